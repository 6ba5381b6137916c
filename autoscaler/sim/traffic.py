"""Jobs that arrive by chance, more at some times than at others."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Arrival(NamedTuple):
    """One job that arrives."""

    t_s: float
    """Seconds since the beginning."""
    tier: str
    service_s: float
    """How long one slot works on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """Bursts that come and go: quiet at first, busiest half a period later, then quiet again."""

    quiet_per_h: float
    """Jobs an hour between the bursts."""
    burst_per_h: float
    """Jobs an hour at the height of a burst."""
    period_s: float
    """From burst to burst."""
    sharpness: float = 2.0
    """The greater, the shorter the bursts."""
    shares: Mapping[str, float]
    """How much of the traffic each tier has; any positive numbers."""
    service_s: float
    """Median service time."""
    service_spread: float = 0.4
    """Standard deviation of its logarithm: 0.4 puts two thirds of all jobs between 0.67 and 1.5 times the median."""

    def per_h(self, t_s: float) -> float:
        """Jobs an hour at a moment: a raised cosine to the power of `sharpness`."""
        height = math.pow(0.5 - 0.5 * math.cos(2 * math.pi * t_s / self.period_s), self.sharpness)
        return self.quiet_per_h + (self.burst_per_h - self.quiet_per_h) * height


def arrivals(traffic: Traffic, rng: random.Random) -> Iterator[Arrival]:
    """Jobs without end, in order of time; the same for the same generator.

    A Poisson process whose rate changes, by thinning (Lewis and Shedler, 1979): candidates come at the highest rate,
    and each stays with the probability of the rate at its moment over the highest.
    """
    tiers, shares = list(traffic.shares), list(traffic.shares.values())
    most_per_h = max(traffic.quiet_per_h, traffic.burst_per_h)
    median = math.log(traffic.service_s)
    t_s = 0.0
    while True:
        t_s += rng.expovariate(most_per_h) * 3600.0
        if rng.random() * most_per_h < traffic.per_h(t_s):
            [tier] = rng.choices(tiers, shares)
            yield Arrival(t_s, tier, rng.lognormvariate(median, traffic.service_spread))
