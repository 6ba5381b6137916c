"""The rounds of a daemon: a tick of its loops, a wait, the next tick."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from autoscaler.runtime.loop import Loop
from autoscaler.runtime.ports import Clock
from autoscaler.runtime.supervise import Wake

_LEAST_GAP = 0.1  # of a tick: however often the loops are woken, providers are not hammered


async def go_round(loops: Sequence[Loop], wake: Wake, clock: Clock, tick_s: float) -> None:
    """Tick for ever. A tick that fails or takes too long changes nothing, is told, and the next one follows.

    All loops tick in the same turn of the event loop, so that what they ask of one Redis goes out as one pipeline.
    """
    while True:
        started = clock.now()
        await asyncio.gather(*(loop.tick_safely() for loop in loops))
        least_s = tick_s * _LEAST_GAP
        left_s = started + tick_s - clock.now()  # an hour too much, where the clock was set back by one
        await wake.wait(clock, min(tick_s, max(least_s, left_s)), least_s=least_s)
