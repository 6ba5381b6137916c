"""What was learned of a pool's jobs: how many come, and how long one slot works on each.

It is learned once a minute from the daemon's own history, and forgets: arrivals within half an hour or so,
service times after a few hundred jobs. Service times come from what workers say of the jobs they finished; where none
does, from the work done and the jobs started, as far as those were counted; else a guess stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscaler.core.samples import PoolSample

RATE_S = 1200.0
"""The age at which an arrival counts for 1/e of a new one."""
_JOBS = 200.0
"""Finished jobs after which an older one counts for 1/e of a new one."""

_FEW = 5.0
_MOST_JOBS, _MOST_WORK_S = 10**6, 30 * 86400.0
"""What a worker may have finished from one beat to the next; a jump above that is no count."""

Done = Mapping[str, tuple[int, float]]
"""Jobs finished and the slot-seconds they took, by tier."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TierLoad:
    """One tier's jobs."""

    arrived: int = 0
    """All arrivals that were ever counted; it only rises."""
    per_s: float = 0.0
    """Arrivals per second, a decaying mean."""
    jobs: float = 0.0
    """Finished jobs whose time is known; a decaying count."""
    work_s: float = 0.0
    """Slot-seconds that those took."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """One pool's jobs."""

    tiers: Mapping[str, TierLoad] = field(default_factory=dict)
    seen_s: float = 0.0
    """For how long arrivals were followed, all in all."""
    until: float = 0.0
    """Epoch seconds of what was learned last."""

    def learned(self, sample: PoolSample, done: Done, until: float) -> Load:
        """This load after one more minute. A tier that no queue ever had is a worker's invention."""
        done = {name: told for name, told in done.items() if name in sample.tiers or name in self.tiers}
        seen_s = sample.seen_s
        keep = math.exp(-seen_s / RATE_S)
        if not done and sample.counted and sample.busy_s:
            done = self._shared_out({name: tier.started for name, tier in sample.tiers.items()}, sample.busy_s)
        tiers = dict(self.tiers)
        for name in dict.fromkeys((*sample.tiers, *done)):
            before = tiers.get(name, TierLoad())
            arrived = sample.tiers[name].arrived if name in sample.tiers else 0
            jobs, work_s = done.get(name, (0, 0.0))
            fade = math.exp(-jobs / _JOBS)
            # The first minutes weigh what they are, so that the rate does not start from nothing.
            weight = max(1.0 - keep, seen_s / (self.seen_s + seen_s)) if seen_s else 0.0
            tiers[name] = TierLoad(
                arrived=before.arrived + arrived,
                per_s=before.per_s + weight * (arrived / seen_s - before.per_s) if seen_s else before.per_s,
                jobs=before.jobs * fade + jobs,
                work_s=before.work_s * fade + work_s,
            )
        return Load(tiers=tiers, seen_s=self.seen_s + seen_s, until=until)

    def _shared_out(self, started: Mapping[str, int], busy_s: float) -> Done:
        """Work of which only the sum is known, given to the tiers in the proportion known so far."""
        usual = {name: jobs * self.service_s(name, 1.0) for name, jobs in started.items() if jobs}
        total = sum(usual.values())
        return {name: (started[name], busy_s * part / total) for name, part in usual.items()} if total else {}

    def service_s(self, tier: str, guess_s: float) -> float:
        """How long a slot works on one job of a tier; until five were seen, the guess makes up for those missing."""
        known = self.tiers.get(tier, TierLoad())
        if known.jobs >= _FEW:
            return known.work_s / known.jobs
        return (known.work_s + guess_s * (_FEW - known.jobs)) / _FEW


class Finished:
    """Adds up what all workers of a fleet say they finished, by pool.

    The first word of a worker may be of any age and counts for nothing; a count that falls is that of a new worker.
    """

    def __init__(self) -> None:
        self._heard: dict[str, Done] = {}
        self._added: dict[str, dict[str, tuple[int, float]]] = {}

    def hear(self, pools: Mapping[str, str], told: Mapping[str, Done | None]) -> None:
        """Take what each worker says, by instance; `pools` has each instance's pool."""
        heard: dict[str, Done] = {}
        for instance, done in told.items():
            if done is None:
                continue
            heard[instance] = done
            before = self._heard.get(instance)
            if before is not None and done != before and instance in pools:
                self._add(self._added.setdefault(pools[instance], {}), before, done)
        self._heard = heard

    @staticmethod
    def _add(added: dict[str, tuple[int, float]], before: Done, done: Done) -> None:
        for tier, (jobs, work_s) in done.items():
            jobs_before, work_before_s = before.get(tier, (0, 0.0))
            if jobs < jobs_before or work_s < work_before_s:
                jobs_before, work_before_s = 0, 0.0
            if jobs - jobs_before > _MOST_JOBS or work_s - work_before_s > _MOST_WORK_S:
                continue
            sum_jobs, sum_s = added.get(tier, (0, 0.0))
            added[tier] = (sum_jobs + jobs - jobs_before, sum_s + work_s - work_before_s)

    def take(self, pool: str) -> Done:
        """What was finished in a pool since the last time it was taken."""
        return self._added.pop(pool, {})
