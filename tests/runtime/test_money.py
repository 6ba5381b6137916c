"""The day's money is a promise, whatever else is not known."""

from __future__ import annotations

from autoscaler.core.demand import Unknown
from autoscaler.core.spec import Cap, Limits
from autoscaler.core.units import Span
from tests.support.build import NOW, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, Rehearsal


async def test_the_day_budget_is_kept_while_the_queue_cannot_be_read() -> None:
    tight = pool(limits=Limits(hot=Span(1, 6), warm=Span(0, 3), usd_per_day=Cap(warn=20.0, stop=30.0)))
    world = Rehearsal(CALM, pools=(tight,))
    daemon = world.daemon()
    world.queue.waiting = 10_000
    await daemon.live(4 * HOUR)
    world.queue.waiting = Unknown("connection refused", NOW)

    for _ in range(20):
        await daemon.live(HOUR)
        assert daemon.usd_today() <= 30.0
