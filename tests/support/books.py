"""Books of made-up simulations, for tests of what is shown of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from autoscaler.core.journal import Entry, Kind
from autoscaler.core.spec import Pool
from autoscaler.sim.books import Books, JobLog, PhaseRow
from autoscaler.sim.scenario import PoolScenario, Scenario
from tests.support.build import FLEET, NOW, pool

DAY_S = 86400.0


def job_log(tiers: Sequence[str], jobs: Iterable[tuple[float, int, float | None, float | None]]) -> JobLog:
    """Jobs as arrival, place of the tier, start and end; None for what never happened."""
    log = JobLog(tuple(tiers))
    log.machines.append("aaaa")
    for arrived_s, tier, started_s, finished_s in jobs:
        number = log.arrive(arrived_s, tier, 1.0)
        if started_s is not None:
            log.start(number, started_s, 0)
        if finished_s is not None:
            log.finish(number, finished_s)
    return log


def phase(phase: str, from_s: float, to_s: float, **changes: Any) -> PhaseRow:
    values: dict[str, Any] = {
        "instance": "aaaa",
        "provider": "mock",
        "placement": "mock-spot",
        "phase": phase,
        "from_s": from_s,
        "to_s": to_s,
        "usd_per_hour": 0.5,
    }
    return PhaseRow(**(values | changes))


def books(own: Pool | None = None, **changes: Any) -> Books:
    """One pool over one day: a machine, and a job each ten minutes that waits five seconds and takes a minute."""
    own = own or pool()
    jobs = [(600.0 * n, n % len(own.tiers), 600.0 * n + 5.0, 600.0 * n + 65.0) for n in range(144)]
    values: dict[str, Any] = {
        "pools": {own.name: own},
        "jobs": {own.name: job_log([tier.name for tier in own.tiers], jobs)},
        "phases": [phase("booting", 0.0, 1800.0), phase("hot", 1800.0, DAY_S)],
        "entries": [],
        "until_s": DAY_S,
        "epoch": NOW,
        "launches": 1,
    }
    return Books(**(values | changes))


def entry(kind: Kind, at_s: float, text: str, **changes: Any) -> Entry:
    """A line of the journal, so long after the beginning."""
    return Entry(at=NOW + at_s, kind=kind, text=text, pool="images", **changes)


def scenario_of(played: Books) -> Scenario:
    """A scenario to which books may belong."""
    return Scenario(
        fleet=FLEET,
        pools=tuple(
            PoolScenario(pool=each, policies=(("thresholds", None),), trace=Path("jobs.csv.gz"))
            for each in played.pools.values()
        ),
        providers={},
    )


def many_jobs(count: int, until_s: float, tiers: int) -> list[tuple[float, int, float | None, float | None]]:
    """Jobs evenly over time whose waits go up and down, from nothing to ten minutes; one in a thousand never starts."""
    jobs: list[tuple[float, int, float | None, float | None]] = []
    for number in range(count):
        arrived_s = until_s * number / count
        wait_s = 600.0 * abs(math.sin(number / 1000.0)) ** 8
        served = number % 1000 != 999
        jobs.append(
            (arrived_s, number % tiers, arrived_s + wait_s, arrived_s + wait_s + 2.0)
            if served
            else (arrived_s, number % tiers, None, None)
        )
    return jobs
