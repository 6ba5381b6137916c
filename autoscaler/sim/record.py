"""A trace of jobs out of the daemon's own history.

Where every worker counted its jobs, the number of arrivals in each minute and tier is known. Elsewhere the depths show
only a part of them; the others, which started as soon as they came, are inferred from the work done: busy slot-seconds
÷ the service time of a job. Two things are never known: when within its minute a job came, so a minute's arrivals are
spread evenly over it, and how long a single job took, so each has the mean of those around it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from autoscaler.core.errors import SettingsError
from autoscaler.core.samples import PoolSample, Sample, Totals, totals
from autoscaler.sim.traces.job import TraceJob

_AROUND = 30
"""Jobs that make up the mean service time at a moment: those that started nearest to it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """A trace made of samples, and how much of it is certain."""

    jobs: tuple[TraceJob, ...]
    """In order of time, which counts from the first sample."""
    inferred: int
    """How many of them follow from the work done alone; the others were counted, or seen waiting."""
    blind_s: float
    """For how long neither jobs nor work were counted, so that only jobs seen waiting are in the trace."""
    totals: Totals
    """What the pool has cost meanwhile, and for how long nothing at all is known."""

    @property
    def service_s(self) -> float:
        """The mean service time of all jobs, of which there is at least one."""
        return sum(job.service_s or 0.0 for job in self.jobs) / len(self.jobs)


def record(samples: Sequence[Sample], pool: str, service_s: float | None = None) -> Recording:
    """The jobs that came to a pool over the samples of a window, of which there is at least one.

    `service_s` is the mean service time, in seconds, where workers did not count their jobs; without it, that of the
    jobs that were counted.

    Raises:
        SettingsError: there are jobs, and how long they take is neither known nor given.
    """
    parts = [(sample, sample.pools[pool]) for sample in samples if pool in sample.pools]
    pools = [part for _, part in parts]
    means, unseen = _Means(pools, service_s), _Unseen(pools)
    jobs: list[TraceJob] = []
    inferred, blind_s = 0, 0.0
    for number, (sample, part) in enumerate(parts):
        arrived = Counter({tier: tally.arrived for tier, tally in part.tiers.items()})
        if not part.counted and part.busy_s is None:
            blind_s += part.seen_s
        elif not part.counted and (part.busy_s or _started(part)):
            more = unseen.jobs(part, (part.busy_s or 0.0) / means.at(number))
            arrived.update(more)
            inferred += len(more)
        if arrived.total():
            jobs += _spread(arrived, sample.at - samples[0].at, sample.until - sample.at, means.at(number))
    return Recording(jobs=tuple(jobs), inferred=inferred, blind_s=blind_s, totals=totals(samples, pool))


class _Means:
    """Mean service times: work done ÷ jobs started, over samples in which both are known."""

    def __init__(self, parts: Sequence[PoolSample], given_s: float | None) -> None:
        unknown = PoolSample()
        known = [p if p.counted and p.tiers and p.busy_s is not None else unknown for p in parts]
        self._started = [0, *accumulate(_started(part) for part in known)]
        self._busy_s = [0.0, *accumulate(part.busy_s or 0.0 for part in known)]
        self._counted = [part.counted for part in parts]
        self._given_s = given_s

    def at(self, number: int) -> float:
        """The mean around one of the samples: over those in which the jobs that are nearest to it started."""
        total = self._started[-1]
        if self._given_s is not None and not (self._counted[number] and total):
            return self._given_s
        if not total:
            raise SettingsError(
                "how long jobs take is not known, since no worker counted any; give their mean, as in --service 40s"
            )
        middle = (self._started[number] + self._started[number + 1]) / 2
        first = max(0.0, min(middle - _AROUND / 2, total - _AROUND))
        begin = bisect_right(self._started, first) - 1
        end = max(begin + 1, bisect_right(self._started, first + _AROUND) - 1)
        return (self._busy_s[end] - self._busy_s[begin]) / (self._started[end] - self._started[begin])


class _Unseen:
    """Jobs that no reading showed waiting and no worker counted.

    They are given to the tiers in the shares that the known arrivals have; where none are known, in equal ones.
    """

    def __init__(self, parts: Sequence[PoolSample]) -> None:
        self._known: Counter[str] = Counter()
        for part in parts:
            self._known.update({tier: tally.arrived for tier, tally in part.tiers.items()})
        self._given: Counter[str] = Counter()
        self._owed = 0.0
        """Jobs whose work was done and that are not accounted for; below zero, jobs whose work is still to come."""

    def jobs(self, part: PoolSample, worth: float) -> list[str]:
        """The tiers of such jobs in one minute, in which the work of `worth` jobs was done.

        Of the jobs known to have started, no more than those in flight can have work to come.
        """
        self._owed = max(self._owed + worth - _started(part), -float(part.in_flight or 0))
        number = int(max(0.0, self._owed)) if part.tiers else 0
        self._owed -= number
        return [self._next(part.tiers) for _ in range(number)]

    def _next(self, tiers: Mapping[str, object]) -> str:
        share = (self._given.total() + 1) / max(1, self._known.total())
        tier = max(tiers, key=lambda name: self._known[name] * share - self._given[name])
        self._given[tier] += 1
        return tier


def _started(part: PoolSample) -> int:
    return sum(tally.started for tally in part.tiers.values())


def _spread(arrived: Mapping[str, int], begin_s: float, length_s: float, service_s: float) -> Iterator[TraceJob]:
    times = [
        (begin_s + (number + 0.5) / count * length_s, tier)
        for tier, count in arrived.items()
        for number in range(count)
    ]
    for t_s, tier in sorted(times, key=lambda time: time[0]):
        yield TraceJob(t_s, tier, service_s, None)
