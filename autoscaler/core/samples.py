"""The daemon's own history: one sample a minute, of all pools.

What is exact and what is not: the depth of each tier is read on each tick, and workers may count the jobs they take,
by tier. Jobs do not vanish, so what arrived in a tier is the change of its depth plus the jobs started from it. Where
not every worker counts, only a part of both is seen: a tier whose depth rose had at least that many arrivals, one whose
depth fell at least that many starts. Jobs that came and started between two ticks leave no other trace than the work
done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase

SAMPLE_S = 60.0
"""A sample ends with the first tick of a new minute of the daemon's clock."""


class TierSample(NamedTuple):
    """One tier in one minute."""

    arrived: int
    """Jobs that came; where the pool's jobs were not counted, the fewest there can have been."""
    started: int
    """Jobs that were taken by a worker; where they were not counted, the fewest there can have been."""
    waiting: int
    """Jobs that waited at the end of the minute."""
    oldest_wait_s: float | None
    """How long the next job had waited then; None when there was none, or its age is unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSample:
    """One pool in one minute."""

    tiers: Mapping[str, TierSample] = field(default_factory=dict)
    """Most urgent first; empty where the queue was not seen at all."""
    seen_s: float = 0.0
    """Seconds for which the queue was followed; what is missing is a gap, not quiet. Where a reading failed at the end
    of a minute and the next succeeded, its seconds are the next minute's."""
    counted: bool = False
    """Every worker counted its jobs, so that arrivals and starts are exact, save that a few jobs may be counted in the
    next minute, about as many as are taken from one heartbeat to the next."""
    in_flight: int | None = None
    """Jobs being worked on at the end of the minute."""
    busy_s: float | None = None
    """Work done, in slot-seconds; None where it was not known throughout."""
    machine_s: Mapping[Phase, float] = field(default_factory=dict)
    """Machine-seconds spent in each phase."""
    usd: float = 0.0
    """What the machines have cost, as booked."""
    offered_usd_per_hour: float | None = None
    """The cheapest machine that could have been rented at the end of the minute; None where nobody had looked."""
    wanted: int | None = None
    """Machines that were wanted running at the end of the minute; None in samples of older programs."""


class Stay(NamedTuple):
    """The time of a machine in one phase, which is over."""

    instance: str
    pool: str
    placement: str
    provider: str
    gpu: str
    region: str
    phase: Phase
    since: float
    """Epoch seconds."""
    until: float
    usd_per_hour: float
    """What it cost when the phase ended."""

    @classmethod
    def of(cls, record: Instance, until: float) -> Stay:
        """The phase of a record, which ended then."""
        return cls(
            instance=record.id,
            pool=record.pool,
            placement=record.placement,
            provider=record.provider,
            gpu=record.gpu,
            region=record.region,
            phase=record.phase,
            since=record.phase_since,
            until=until,
            usd_per_hour=record.burn_usd_per_hour,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """All pools in one minute; or in a part of one, around a gap."""

    at: float
    """Epoch seconds of the daemon's clock when it begins."""
    until: float
    pools: Mapping[str, PoolSample] = field(default_factory=dict)
    stays: tuple[Stay, ...] = ()
    """What machines did until they did something else within that time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """What a pool has done and cost over some samples."""

    at: float
    """Epoch seconds when the first of them begins."""
    until: float
    gap_s: float = 0.0
    """How much of that time is not known."""
    usd: float = 0.0
    machine_s: Mapping[Phase, float] = field(default_factory=dict)
    """Machine-seconds in each phase."""
    busy_s: float = 0.0
    """Work done, in slot-seconds, where it was known."""


def window(samples: Iterable[Sample], since: float = float("-inf"), until: float = float("inf")) -> list[Sample]:
    """The samples that begin in a span of time, in order.

    Where the daemon's clock was put back, or two daemons led in turn, some times are covered twice; of these samples
    the one that began first counts.
    """
    chosen: list[Sample] = []
    for sample in sorted(samples, key=lambda sample: sample.at):
        if since <= sample.at < until and (not chosen or sample.at >= chosen[-1].until):
            chosen.append(sample)
    return chosen


def totals(samples: Sequence[Sample], pool: str) -> Totals:
    """What a pool has done and cost over the samples of a window, of which there is at least one."""
    parts = [sample.pools[pool] for sample in samples if pool in sample.pools]
    machine_s: Counter[Phase] = Counter()
    for part in parts:
        machine_s.update(part.machine_s)
    at, until = samples[0].at, samples[-1].until
    return Totals(
        at=at,
        until=until,
        gap_s=max(0.0, until - at - sum(part.seen_s for part in parts)),
        usd=sum(part.usd for part in parts),
        machine_s=dict(machine_s),
        busy_s=sum(part.busy_s or 0.0 for part in parts),
    )
