"""What a pool's jobs used in a minute, by tier and by class: what shared machines' money is split by."""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.core.demand import Unknown
from autoscaler.core.ledger import Work
from autoscaler.core.load import Done, Load
from autoscaler.core.samples import PoolSample
from autoscaler.core.snapshot import PoolSnapshot


def told_work(done: Done) -> dict[str, Work]:
    """Jobs that workers told of."""
    return {name: Work(jobs=jobs, work_s=work_s, told=jobs) for name, (jobs, work_s) in done.items() if jobs or work_s}


def work_of(sample: PoolSample, done: Done, load: Load) -> dict[str, Work]:
    """What each tier's jobs used in a minute.

    It is what workers told of the jobs that they finished. Where none told anything, each job that was seen to start
    counts for what jobs of its tier usually take; until that is known, for as much as any other tier's.
    """
    tiers = told_work({name: told for name, told in done.items() if name in sample.tiers or name in load.tiers})
    if tiers:
        return tiers
    return {
        name: Work(jobs=tier.started, work_s=tier.started * load.service_s(name, 1.0))
        for name, tier in sample.tiers.items()
        if tier.started
    }


def in_flight(snapshots: Iterable[PoolSnapshot]) -> dict[str, int]:
    """Jobs in hand by pool, where its queue tells."""
    return {
        each.pool.name: each.demand.in_flight
        for each in snapshots
        if not isinstance(each.demand, Unknown) and each.demand.in_flight is not None
    }
