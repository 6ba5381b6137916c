"""How patient a tier may be: its error budget.

A tier tolerates that a share of its jobs is late. As long as few were, a burst may wait a little longer than the target
before machines are started for it; the more of the budget is used up, the less. Which jobs are late is seen in the
queue: while the oldest has waited longer than the target, jobs grow late as fast as they came, which is the number that
waits by the age of the oldest. Worked example: 40 of the last day's 1,000 `free` jobs were late, 50 would be tolerated,
so a fifth of the budget is left, and the tier's patience, 3 at most, is 0.5 + (3 - 0.5) × 0.2 = 1 times its target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.core.demand import TierDemand

_HALF_LIFE_S = 86400.0
"""The age at which a job counts for half of a new one."""
_NO_PATIENCE = 0.5
"""Of the target, what a tier may wait whose budget is used up."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """Jobs of one tier and those of them that were late; both fade."""

    jobs: float = 0.0
    late: float = 0.0

    def seen(self, tier: TierDemand, target_s: float, per_s: float, elapsed_s: float) -> Lateness:
        """This count after some more seconds; `per_s` jobs came in each."""
        fade = 0.5 ** (elapsed_s / _HALF_LIFE_S)
        age_s = tier.oldest_wait_s or 0.0
        late_per_s = tier.waiting / age_s if age_s > target_s else 0.0
        return Lateness(self.jobs * fade + per_s * elapsed_s, self.late * fade + late_per_s * elapsed_s)

    def patience(self, tolerated: float, most: float) -> float:
        """How many times its target a job may wait, from `most` with no late job down to a half."""
        used = self.late / max(1.0, self.jobs * tolerated)
        return _NO_PATIENCE + (most - _NO_PATIENCE) * max(0.0, 1.0 - used)


def read(stored: Mapping[str, list[float]]) -> dict[str, Lateness]:
    """The counts by tier, as they were stored."""
    return {tier: Lateness(*counts) for tier, counts in stored.items()}


def write(by_tier: Mapping[str, Lateness]) -> dict[str, list[float]]:
    """The counts as JSON values."""
    return {tier: [round(each.jobs, 3), round(each.late, 3)] for tier, each in by_tier.items()}
