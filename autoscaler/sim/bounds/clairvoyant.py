"""The least that an autoscaler could have paid that knew all jobs beforehand and kept each tier's promise.

The horizon is cut into days, each of which is solved on its own, in another process if one likes::

    plan = price_days(jobs, terms, promises, horizon_s=13 * 86400.0)
    bound = plan.total([solve_day(day) for day in plan.days])

What days share has a price (Lagrangian relaxation): a job that may be late on one day may not be on another, work that
one day leaves over is done on others, and a machine that is there in the morning was there in the evening. Whatever
the prices are, the sum over the days is a lower bound. With those of the linear relaxation of all days together it is
never below that relaxation, hence not below pure work. One day alone shares nothing and needs no prices.

The bound is the solver's dual bound: no plan is below it, found or not. It holds in a world where

- nothing is cheaper, shorter or quicker than `Terms` and `Jobs` say;
- the market takes no machine away: it would end a set-up half done, and machines of the floor that are away are not
  paid; at common rates of interruption this is well below the gap;
- the autoscaler keeps its floors, from one set-up on that of HOT, from one more for each standby that of HOT and WARM
  together; and its ceilings, machines on their way to HOT counted as HOT.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import mul
from time import perf_counter
from types import ModuleType

from autoscaler.core.errors import SettingsError
from autoscaler.sim.bounds.day import Day, Prices
from autoscaler.sim.bounds.terms import Jobs, Promise, Terms

_DAY_S = 86400.0
_BUCKET_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DayBound:
    """What a day costs at least, prices of shared things included."""

    bound_usd: float
    """No plan for the day is below it; infinite if there is none."""
    solution_usd: float
    """The best plan found; infinite if none was found in time."""
    seconds: float
    """How long it took to solve."""

    @property
    def gap(self) -> float:
        """How far the bound is below the solution, as a share of the solution."""
        return _gap(self.bound_usd, self.solution_usd)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """The clairvoyant bound of a horizon."""

    usd: float
    """No autoscaler that keeps the promise pays less; infinite if none can keep it."""
    gap: float
    """By which share the bound could rise at most if every day were solved to the end."""
    days: tuple[DayBound, ...]

    @property
    def seconds(self) -> float:
        """How long it took to solve all days."""
        return math.fsum(day.seconds for day in self.days)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The days of a horizon, each to be solved on its own."""

    days: tuple[Day, ...]
    """None when nobody can keep the promise."""
    allowance_usd: float
    """What all the late jobs that are allowed are worth at the days' price for them."""

    def total(self, bounds: Sequence[DayBound]) -> Bound:
        """The bound of the horizon from those of all its days."""
        usd = math.fsum(day.bound_usd for day in bounds) - self.allowance_usd
        solution_usd = math.fsum(day.solution_usd for day in bounds) - self.allowance_usd
        return Bound(usd=usd, gap=_gap(usd, solution_usd), days=tuple(bounds))


def _gap(bound_usd: float, solution_usd: float) -> float:
    return 1.0 - bound_usd / solution_usd if bound_usd < solution_usd else 0.0


def price_days(jobs: Jobs, terms: Terms, promises: Sequence[Promise], *, horizon_s: float) -> Plan:
    """Cut a horizon into days and give what they share a price. Jobs come before the horizon's end.

    Raises:
        SettingsError: numpy and scipy are not installed.
    """
    starts_s = [number * _DAY_S for number in range(max(1, math.ceil(horizon_s / _DAY_S)))]
    counts = Counter(jobs.tier)
    late_most = tuple(math.floor(each.late_share * counts[tier] + 1e-9) for tier, each in enumerate(promises))
    days = tuple(
        Day(
            start_s=start_s,
            end_s=min(start_s + _DAY_S, horizon_s),
            bucket_s=_BUCKET_S,
            jobs=jobs.between(start_s, start_s + _DAY_S),
            terms=terms,
            targets_s=tuple(promise.wait_target_s for promise in promises),
            late_most=late_most,
            alone=len(starts_s) == 1,
            prices=Prices(late=(0.0,) * len(promises)),
        )
        for start_s in starts_s
    )
    if len(days) == 1:
        return Plan(days=days, allowance_usd=0.0)
    prices = _engine().shared_prices(days)
    if prices is None:
        return Plan(days=(), allowance_usd=-math.inf)
    return Plan(
        days=tuple(replace(day, prices=own) for day, own in zip(days, prices, strict=True)),
        allowance_usd=math.fsum(map(mul, prices[0].late, late_most)),
    )


def solve_day(day: Day, *, gap: float = 0.02, limit_s: float = 60.0) -> DayBound:
    """What one day costs at least.

    The search ends when the bound is within the relative `gap` of the best plan found, or after `limit_s` seconds. In
    the latter case the result depends on the computer, and may be loose, but is a bound all the same.

    Raises:
        SettingsError: numpy and scipy are not installed.
    """
    engine = _engine()
    started = perf_counter()
    solution = engine.solve_priced(day, gap=gap, limit_s=limit_s)
    return DayBound(bound_usd=solution.bound_usd, solution_usd=solution.usd, seconds=perf_counter() - started)


def require_solver() -> None:
    """Find out before long work, not after it.

    Raises:
        SettingsError: numpy and scipy are not installed.
    """
    _engine()


def _engine() -> ModuleType:
    """The part that needs numpy and scipy, which few users need."""
    try:
        from autoscaler.sim.bounds import engine
    except ImportError as error:
        raise SettingsError(
            "the clairvoyant bound needs numpy and scipy: pip install 'gpu-autoscaler[bounds]'"
        ) from error
    return engine
