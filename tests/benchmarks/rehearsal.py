"""How fast days go by on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import process_time

from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Limits
from autoscaler.core.units import Span
from autoscaler.sim.virtual import VirtualLoop
from tests.benchmarks.figures import Figure
from tests.support.build import pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal

_MACHINES = 3
_DAYS = 10
_STRETCHES = 12  # of a day
_LINEAR = 1.25  # what a tick may cost more on the last day than on the first


def tick() -> Iterator[Figure]:
    """The whole loop on virtual time while nothing changes."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        first_us, last_us = runner.run(_microseconds_per_tick())
    yield Figure(what=f"tick of a rehearsal: 1 pool, {_MACHINES} machines", value=first_us, unit="µs")
    yield Figure(what="ticks of a rehearsal per second", value=1_000_000.0 / first_us, unit="/s")
    yield Figure(
        what=f"a tick on day {_DAYS} against one on the first", value=last_us / first_us, unit="×", target=_LINEAR
    )


async def _microseconds_per_tick() -> tuple[float, float]:
    """On the first day and on the last."""
    world = Rehearsal(CALM, pools=(pool(limits=Limits(hot=Span(_MACHINES, _MACHINES))),))
    daemon = world.daemon()
    await daemon.live(2 * HOUR)
    assert daemon.count(Phase.HOT) == len(daemon.phases()) == _MACHINES
    first_us = await _best_of_a_day(daemon)
    await daemon.live((_DAYS - 2) * 24 * HOUR)
    last_us = await _best_of_a_day(daemon)
    await daemon.kill()
    return first_us, last_us


async def _best_of_a_day(daemon: Daemon) -> float:
    """Of the best stretch, since whatever else the computer does only adds."""
    stretch_s = 24 * HOUR / _STRETCHES
    times_s = []
    for _ in range(_STRETCHES):
        started = process_time()
        await daemon.live(stretch_s)
        times_s.append(process_time() - started)
    return 1_000_000.0 * min(times_s) / (stretch_s / TICK_S)
