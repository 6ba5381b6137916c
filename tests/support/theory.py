"""What the tests against queueing theory share: random jobs, and how sure a mean over replications is."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from autoscaler.sim.workload import Job

_T_99 = {7: 3.499, 9: 3.250}
"""Student's t by degrees of freedom: between minus and plus this lie 99 % of all means."""

Draw = Callable[[random.Random], float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over independent replications, and half the width of its 99 % confidence interval."""

    mean: float
    half_width: float

    def agrees_with(self, theory: float, *, within: float) -> bool:
        """Whether the interval covers what theory says, and is no wider than this share of it on either side."""
        return abs(self.mean - theory) <= self.half_width <= within * theory

    @classmethod
    def of(cls, replications: Sequence[float]) -> Estimate:
        """From 8 or 10 replications."""
        count = len(replications)
        return cls(
            mean=statistics.fmean(replications),
            half_width=_T_99[count - 1] * statistics.stdev(replications) / math.sqrt(count),
        )


def exponential(mean: float) -> Draw:
    """Exponential times."""
    return lambda rng: rng.expovariate(1.0 / mean)


def poisson_jobs(rng: random.Random, *, per_s: float, service: Draw) -> Iterator[Job]:
    """Jobs of one tier, for ever."""
    now_s = 0.0
    while True:
        now_s += rng.expovariate(per_s)
        yield Job(arrived_s=round(now_s, 3), tier=0, service_s=service(rng), model=None)
