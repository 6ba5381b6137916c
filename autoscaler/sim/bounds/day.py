"""One day of a horizon, as a value: everything that its bound depends on, fit to be handed to another process."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.sim.bounds.terms import Jobs, Terms


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """What a day pays, in USD, for that which it has at the expense of others. A price may be negative."""

    late: tuple[float, ...]
    """For each late job, by tier."""
    left_over: float = 0.0
    """For each second of one slot's work that is left to other days."""
    hot: tuple[float, float] = (0.0, 0.0)
    """For each machine that is HOT at the start, and at the end."""
    warm: tuple[float, float] = (0.0, 0.0)
    """For each machine that is WARM at the start, and at the end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """A stretch of the horizon."""

    start_s: float
    end_s: float
    bucket_s: float
    """The grain of time."""
    jobs: Jobs
    """Those that come in it."""
    terms: Terms
    targets_s: tuple[float, ...]
    """Wait targets, by tier."""
    late_most: tuple[int, ...]
    """The most jobs that may be late on all days together, by tier."""
    alone: bool
    """Whether it is the whole horizon, so that nothing can be left to other days."""
    prices: Prices
