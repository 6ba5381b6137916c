"""The rounds of a daemon: a tick, a wait, the next tick."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from autoscaler.runtime.ports import Clock
from autoscaler.runtime.supervise import Wake

_LEAST_GAP = 0.1  # of a tick: however often the daemon is woken, providers are not hammered


async def go_round(
    tick: Callable[[], Awaitable[object]], wake: Wake, clock: Clock, every_s: Callable[[], float]
) -> None:
    """Tick for ever; `every_s` from the beginning of one tick to that of the next, or as soon as something happened."""
    while True:
        started = clock.now()
        await tick()
        tick_s = every_s()
        least_s = tick_s * _LEAST_GAP
        left_s = started + tick_s - clock.now()  # an hour too much, where the clock was set back by one
        await wake.wait(clock, min(tick_s, max(least_s, left_s)), least_s=least_s)
