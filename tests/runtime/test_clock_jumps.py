"""The clock of the daemon's computer is set; the event loop's own time goes on as ever."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.decision import Action
from autoscaler.core.demand import Unknown
from autoscaler.core.journal import Kind
from autoscaler.core.ledger import DAY_S
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing
from autoscaler.core.signal import HOLD_S
from autoscaler.core.spec import Deadlines
from providers.mock import Fault, Operation, Step
from providers.wrapper import Wrapper
from tests.support.build import NOW
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal
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


async def test_no_machine_with_work_is_stopped_when_the_clock_was_set_forth() -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await two_hot(world, daemon)
    names = list(daemon.phases())
    world.queue.waiting = 0
    world.queue.busy = dict.fromkeys(names, 1)

    for _ in range(4):
        clock.ahead_s += HOUR
        await daemon.live(600)

    assert not [each for each in daemon.watcher.outcomes if each.action in (Action.STOP, Action.RELEASE)]


async def test_jobs_that_are_gone_are_doubted_for_no_longer_when_the_clock_was_set() -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await two_hot(world, daemon)
    world.queue.waiting = 1000
    await daemon.live(60)
    world.queue.waiting = 0
    await daemon.live(60)
    assert daemon.report.pools["images"].snapshot.signal.fall
    clock.ahead_s -= HOUR
    await daemon.live(HOLD_S + 60)

    assert daemon.report.pools["images"].snapshot.signal.fall is None


@pytest.mark.parametrize("ahead_s", [HOUR, -HOUR])
async def test_a_clock_that_is_set_is_no_failed_reading_and_no_fall(ahead_s: float) -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await two_hot(world, daemon)
    clock.ahead_s += ahead_s
    world.queue.waiting = Unknown("timeout", clock.now())
    await daemon.live(2 * TICK_S)
    world.queue.waiting = 10
    await daemon.live(60)

    assert alarms_of_queues(daemon) == []


@pytest.mark.parametrize("ahead_s", [HOUR, -HOUR])
async def test_one_daemon_alone_leads_when_the_clock_was_set(ahead_s: float) -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)
    first, second = world.daemon(), world.daemon()
    await two_hot(world, first)
    clock.ahead_s += ahead_s
    await first.live(HOUR)

    assert first.report.leads is not second.report.leads
    assert len(world.rented()) == 2
    assert not [*alarms_of_queues(first), *alarms_of_queues(second)]


@pytest.mark.parametrize("ahead_s", [HOUR, -HOUR])
async def test_a_placement_left_alone_for_a_while_is_tried_again_when_the_clock_was_set(ahead_s: float) -> None:
    refusals = (Step(fault=Fault.RATE_LIMITED, call=Operation.RENT, times=1),)
    world = Rehearsal(replace(CALM, scenario=refusals))
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await daemon.live(20)
    assert not world.rented()
    clock.ahead_s += ahead_s
    await daemon.live(300)

    assert len(world.rented()) == 1


@pytest.mark.parametrize("ahead_s", [DAY_S, -DAY_S, 365 * DAY_S, -NOW], ids=["a day", "back", "a year", "1970"])
async def test_a_clock_that_is_set_and_put_right_again_costs_no_cent_and_no_machine(ahead_s: float) -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await two_hot(world, daemon)
    done, costs = len(daemon.watcher.outcomes), daemon.usd_today()
    clock.ahead_s += ahead_s
    await daemon.live(3 * TICK_S)
    clock.ahead_s -= ahead_s
    await daemon.live(600)

    assert daemon.watcher.outcomes[done:] == []
    assert daemon.usd_today() == pytest.approx(costs * (1.0 + 600 / (2 * HOUR)), rel=0.1)
    assert len([text for text in daemon.texts(Kind.ALARM) if "clock was set" in text]) == 2


@pytest.mark.parametrize("behind_s", [DAY_S, NOW], ids=["a day", "1970"])
async def test_a_daemon_that_starts_before_its_clock_is_put_right_costs_no_cent_and_no_machine(behind_s: float) -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)
    first = world.daemon()
    await two_hot(world, first)
    costs = first.usd_today()
    await first.stop()
    clock.ahead_s -= behind_s
    daemon = world.daemon()
    await daemon.live(3 * TICK_S)
    clock.ahead_s += behind_s
    await daemon.live(600)

    assert daemon.watcher.outcomes == []
    assert daemon.usd_today() == pytest.approx(costs * (1.0 + 600 / (2 * HOUR)), rel=0.1)
    assert [each for each in daemon.report.instances.values() if each != each.not_after(clock.now())] == []


async def test_machines_are_rented_when_the_clock_was_set_back_while_listings_take_long() -> None:
    world = Rehearsal(CALM)
    world.clock = clock = SettableClock(epoch=NOW)

    class LongListing(Wrapper):
        async def list_machines(self) -> Listing:
            await clock.sleep(TICK_S / 2)
            return await super().list_machines()

    daemon = world.daemon(provider=LongListing(world.provider))
    await daemon.live(HOUR)
    clock.ahead_s -= HOUR
    world.queue.waiting = 31
    await daemon.live(60)

    assert len(world.rented()) == 2


async def test_what_is_waited_for_is_waited_for_as_long_when_the_clock_was_set_forward() -> None:
    world = Rehearsal(replace(CALM, scenario=(Step(fault=Fault.BOOT_HANGS, call=Operation.RENT),)))
    world.clock = clock = SettableClock(epoch=NOW)
    daemon = world.daemon()
    await daemon.live(60)
    for _ in range(3):
        clock.ahead_s += DAY_S
        await daemon.live(60)
    assert [outcome.action for outcome in daemon.watcher.outcomes] == [Action.RENT]
    assert not any("still booting" in text for text in daemon.texts(Kind.ALARM))

    await daemon.live(Deadlines().booting)
    assert any("still booting" in text for text in daemon.texts(Kind.ALARM)), "its listings are of the market's clock"


def alarms_of_queues(daemon: Daemon) -> list[str]:
    return [text for text in daemon.texts(Kind.ALARM) if "clock was set" not in text]


async def two_hot(world: Rehearsal, daemon: Daemon) -> None:
    await daemon.live(HOUR)
    world.queue.waiting = 31
    await daemon.live(60)
    world.queue.waiting = 10
    await daemon.live(HOUR)
    assert daemon.count(P.HOT) == 2
