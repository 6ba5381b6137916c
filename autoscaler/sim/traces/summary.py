"""What a trace looks like, in one pass and with memory that does not grow with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from autoscaler.sim.traces.job import TraceJob

MINUTE_S, HOUR_S = 60.0, 3600.0
SERVICE_ACCURACY = 0.005
"""Relative error of the quantiles of service times."""

_MOST_NAMES = 10_000
_MOST_BARS = 1024
_FINEST_S = HOUR_S / 4096  # doubled twelve times, it is an hour


@dataclass(frozen=True, kw_only=True, slots=True)
class Peak:
    """The busiest of equal spans of time, which are counted from t_s = 0."""

    at_s: float
    """Where it begins."""
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Service times in seconds. The quantiles are by nearest rank and off by at most half a per cent."""

    jobs: int
    """How many tell theirs."""
    mean: float
    p50: float
    p95: float
    p99: float
    load: float | None
    """Slots that are busy on average: the sum of all service times over the span of the trace; None if that is 0."""
    busiest_hour: Peak
    """The same of the hour whose jobs bring the most work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """The values of a column."""

    jobs: Mapping[str, int]
    """How many jobs have each, the most frequent first; of more than 10,000 values, those met first."""
    unlisted: int
    """How many jobs have one that is not listed."""
    changes: float
    """The share of jobs, among those that have one, that have another than the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """How many jobs arrived in each of at most 1024 equal spans, from the first job on."""

    from_s: float
    width_s: float
    jobs: Sequence[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A trace of at least one job."""

    jobs: int
    first_s: float
    last_s: float
    busiest_minute: Peak
    """Jobs."""
    busiest_hour: Peak
    """Jobs."""
    dispersion: float
    """Index of dispersion of the counts per minute: their variance over their mean, over all minutes from the first
    job's to the last job's (Cox and Lewis, 1966). A Poisson process of constant rate has 1; bursts and the change from
    day to night raise it."""
    tiers: Names | None
    models: Names | None
    service: Service | None
    bars: Bars

    @property
    def span_s(self) -> float:
        """From the first job to the last."""
        return self.last_s - self.first_s

    @property
    def jobs_per_s(self) -> float | None:
        """The mean rate over the span; None if that is 0."""
        return self.jobs / self.span_s if self.span_s else None


def summarize(jobs: Iterable[TraceJob]) -> Summary | None:
    """Look at every job once; None if there is none."""
    minutes, hours, work = _Spans(MINUTE_S), _Spans(HOUR_S), _Spans(HOUR_S)
    service, tiers, models, bars = _Sketch(), _Tally(), _Tally(), _Histogram()
    count, first, last = 0, 0.0, 0.0
    for job in jobs:
        t_s = last = job.t_s
        if not count:
            first = t_s
        count += 1
        minutes.add(t_s, 1.0)
        hours.add(t_s, 1.0)
        bars.add(t_s - first)
        tiers.add(job.tier)
        models.add(job.model)
        if job.service_s is not None:
            service.add(job.service_s)
            work.add(t_s, job.service_s)
    if not count:
        return None
    return Summary(
        jobs=count,
        first_s=first,
        last_s=last,
        busiest_minute=minutes.peak(),
        busiest_hour=hours.peak(),
        dispersion=minutes.dispersion(),
        tiers=tiers.names(),
        models=models.names(),
        service=_service(service, work, last - first) if service.count else None,
        bars=Bars(from_s=first, width_s=bars.width_s, jobs=bars.counts),
    )


def _service(sketch: _Sketch, work: _Spans, span_s: float) -> Service:
    busiest = work.peak()
    return Service(
        jobs=sketch.count,
        mean=sketch.total / sketch.count,
        p50=sketch.quantile(0.5),
        p95=sketch.quantile(0.95),
        p99=sketch.quantile(0.99),
        load=sketch.total / span_s if span_s else None,
        busiest_hour=Peak(at_s=busiest.at_s, value=busiest.value / HOUR_S),
    )


class _Spans:
    """Sums over equal spans of time that pass one after another."""

    def __init__(self, width_s: float) -> None:
        self._width_s = width_s
        self._now: float | None = None
        self._sum = 0.0
        self._first = 0.0
        self._total = self._squares = 0.0
        self._best = (-math.inf, 0.0)

    def add(self, t_s: float, value: float) -> None:
        """Add to the span of a moment; moments come in order."""
        span = t_s // self._width_s
        if span != self._now:
            self._close()
            if self._now is None:
                self._first = span
            self._now, self._sum = span, 0.0
        self._sum += value

    def peak(self) -> Peak:
        """The span with the greatest sum, the first of equals."""
        self._close()
        most, at = self._best
        return Peak(at_s=at * self._width_s, value=most)

    def dispersion(self) -> float:
        """Variance over mean of the sums of all spans, those without anything included."""
        self._close()
        spans = (self._now or 0.0) - self._first + 1.0
        mean = self._total / spans
        return (self._squares / spans - mean * mean) / mean

    def _close(self) -> None:
        if self._now is not None:
            self._total += self._sum
            self._squares += self._sum * self._sum
            self._best = max(self._best, (self._sum, self._now), key=lambda best: best[0])
            self._sum = 0.0


class _Sketch:
    """Quantiles of numbers that are not negative, to a relative error.

    Counts in buckets whose bounds grow by a constant factor, as in DDSketch (Masson, Rim and Lee, VLDB 2019): with an
    accuracy a and g = (1 + a) / (1 - a), the bucket i holds (g^(i-1), g^i] and stands for 2 g^i / (g + 1).
    """

    _GROWTH = (1 + SERVICE_ACCURACY) / (1 - SERVICE_ACCURACY)
    _LOG_GROWTH = math.log(_GROWTH)

    _ZERO = -1_000_000  # its bucket stands for a number so small that a float of it is 0

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self._buckets[math.ceil(math.log(value) / self._LOG_GROWTH) if value else self._ZERO] += 1

    def quantile(self, fraction: float) -> float:
        """The smallest value that at least this fraction of all do not exceed."""
        buckets = sorted(self._buckets)
        ranks = accumulate(self._buckets[bucket] for bucket in buckets)
        bucket = next(bucket for bucket, rank in zip(buckets, ranks, strict=True) if rank >= fraction * self.count)
        return 2.0 * self._GROWTH**bucket / (self._GROWTH + 1.0)


class _Tally:
    """How often each name occurs."""

    def __init__(self) -> None:
        self._jobs: Counter[str] = Counter()
        self._unlisted = 0
        self._before: str | None = None
        self._changes = 0

    def add(self, name: str | None) -> None:
        if name is None:
            return
        if name in self._jobs or len(self._jobs) < _MOST_NAMES:
            self._jobs[name] += 1
        else:
            self._unlisted += 1
        if name != self._before:
            self._changes += self._before is not None
            self._before = name

    def names(self) -> Names | None:
        """What was counted; None if no job had a name."""
        if not self._jobs:
            return None
        pairs = self._jobs.total() + self._unlisted - 1
        return Names(
            jobs=dict(self._jobs.most_common()),
            unlisted=self._unlisted,
            changes=self._changes / pairs if pairs else 0.0,
        )


class _Histogram:
    """Counts over time whose spans become wider, two into one, as time goes on."""

    def __init__(self) -> None:
        self.width_s = _FINEST_S
        self.counts: list[int] = []

    def add(self, t_s: float) -> None:
        bar = int(t_s / self.width_s)
        while bar >= _MOST_BARS:
            self.counts = [sum(self.counts[at : at + 2]) for at in range(0, len(self.counts), 2)]
            self.width_s *= 2.0
            bar = int(t_s / self.width_s)
        if bar >= len(self.counts):
            self.counts += [0] * (bar + 1 - len(self.counts))
        self.counts[bar] += 1
