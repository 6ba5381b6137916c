"""How fast days go by on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter

from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Limits
from autoscaler.core.units import Span
from autoscaler.sim.virtual import VirtualLoop
from tests.benchmarks.figures import Figure
from tests.support.build import pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Rehearsal

_MACHINES = 3
_HOURS = 50
_REPEATS = 3


def tick() -> Iterator[Figure]:
    """The whole loop on virtual time while nothing changes."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        cost_us = runner.run(_microseconds_per_tick())
    yield Figure(
        what=f"tick of a rehearsal: 1 pool, {_MACHINES} machines, best of {_REPEATS}", value=cost_us, unit="µs"
    )
    yield Figure(what="ticks of a rehearsal per second", value=1_000_000.0 / cost_us, unit="/s")


async def _microseconds_per_tick() -> float:
    """Of the best stretch, since whatever else the computer does only adds."""
    world = Rehearsal(CALM, pools=(pool(limits=Limits(hot=Span(_MACHINES, _MACHINES))),))
    daemon = world.daemon()
    await daemon.live(2 * HOUR)
    assert daemon.count(Phase.HOT) == len(daemon.phases()) == _MACHINES
    times_s = []
    for _ in range(_REPEATS):
        started = perf_counter()
        await daemon.live(_HOURS * HOUR)
        times_s.append(perf_counter() - started)
    await daemon.kill()
    return 1_000_000.0 * min(times_s) / (_HOURS * HOUR / TICK_S)
