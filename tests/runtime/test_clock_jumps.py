"""The clock of the daemon's computer is set; the event loop's own time goes on as ever."""

from __future__ import annotations

from autoscaler.runtime.clock import LoopClock
from tests.support.build import NOW
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Rehearsal


class SettableClock(LoopClock):
    """A clock that a test sets."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


async def test_a_clock_that_is_set_back_between_two_ticks_does_not_put_off_the_next() -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await daemon.live(TICK_S + 0.5)  # the second tick has just ended
    clock.ahead_s -= HOUR
    daemon.watcher.report = None

    await daemon.live(2 * TICK_S)

    assert daemon.watcher.report is not None
