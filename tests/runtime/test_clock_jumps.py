"""The clock of the daemon's computer is set; the event loop's own time goes on as ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.decision import Action
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Deadlines
from providers.mock import Fault, Operation, Step
from tests.support.build import NOW
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Rehearsal
from tests.support.settable_clock import SettableClock

P = Phase


async def test_a_clock_that_is_set_back_between_two_ticks_does_not_put_off_the_next() -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await daemon.live(TICK_S + 0.5)  # the second tick has just ended
    clock.ahead_s -= HOUR
    daemon.watcher.report = None

    await daemon.live(2 * TICK_S)

    assert daemon.watcher.report is not None


async def test_a_deadline_is_kept_when_the_clock_was_set_back() -> None:
    world = Rehearsal(replace(CALM, scenario=(Step(fault=Fault.BOOT_HANGS, call=Operation.RENT),)))
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await daemon.live(60)
    clock.ahead_s -= HOUR

    await daemon.live(Deadlines().booting + 60)

    assert Action.RELEASE in {outcome.action for outcome in daemon.watcher.outcomes}


async def test_an_order_is_repeated_when_the_clock_was_set_back() -> None:
    world = Rehearsal(replace(CALM, scenario=(Step(fault=Fault.RATE_LIMITED, call=Operation.STOP, times=1),)))
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    world.queue.waiting = 31
    await daemon.live(HOUR)
    world.queue.waiting = 0
    while daemon.count(P.STOPPING) == 0:
        await daemon.live(TICK_S)
    clock.ahead_s -= HOUR

    await daemon.live(60)

    assert (daemon.count(P.STOPPING), daemon.count(P.WARM)) == (0, 1)


async def test_no_hour_is_left_out_of_the_books_when_the_clock_was_set_back() -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await daemon.live(2 * HOUR)
    clock.ahead_s -= HOUR
    await daemon.live(HOUR)

    world.market.settle(NOW + 3 * HOUR)
    assert daemon.usd_today() == pytest.approx(sum(world.market.billed_usd(NOW + 3 * HOUR).values()), rel=0.02)
