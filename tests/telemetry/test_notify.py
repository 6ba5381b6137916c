"""The listener: who speaks, of what, once, and without ever holding up a tick."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.config.notify import NotifySettings, SlackChannel
from autoscaler.core.demand import Unknown
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.ledger import DAY_S, DayLedger, Spent, day_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.unit import WHOLE, Unit, units_of
from autoscaler.core.units import Secret
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.entropy import Entropy
from autoscaler.runtime.report import TickReport
from autoscaler.runtime.told import Told
from autoscaler.telemetry.notify import Notifier
from autoscaler.telemetry.notify_text import Message
from autoscaler.telemetry.notify_ways import way_of
from tests.support.reports import NOW, machine, pool_report, report

pytestmark = pytest.mark.looptime

SETTINGS = NotifySettings(
    channels={"ops": SlackChannel(url=Secret("https://chat.example"), severity="info", also=("orders", "summary"))}
)
BLIND = report(pools={"images": pool_report(demand=Unknown("no answer", NOW))})
WELL = report()
STANDING_BY = report(leads=False, pools={}, leaders={"images": "another"})


@dataclass
class Desk:
    """What leads, and remembers."""

    unit: Unit = WHOLE
    leads: bool = True
    told: tuple[Told, ...] = ()

    def remember_told(self, told: tuple[Told, ...]) -> None:
        self.told = told


@dataclass
class Bench:
    notifier: Notifier
    clock: LoopClock
    desks: list[Desk]
    registry: CollectorRegistry
    taken: list[Message] = field(default_factory=list)

    async def tick(self, found: TickReport | str, seconds: float = 0.0, *entries: Entry) -> list[str]:
        """A tick, that long after the last; gives the lines that are sent by the next."""
        await self.clock.sleep(seconds)
        before, now = len(self.taken), self.clock.now()
        for entry in entries:
            self.notifier.noted(entry)
        if isinstance(found, str):
            self.notifier.failed(found, now)
        else:
            self.notifier.ticked(replace(found, at=now))
        await self.clock.sleep(10.0)
        return [line for message in self.taken[before:] for line in message.lines]


@asynccontextmanager
async def a_daemon(*desks: Desk, settings: NotifySettings = SETTINGS, epoch: float = NOW) -> AsyncIterator[Bench]:
    """A notifier whose messages are kept here in place of being sent."""
    clock, registry, own = LoopClock(epoch=epoch), CollectorRegistry(), [*desks] or [Desk()]
    taken: list[Message] = []

    async def take(message: Message, _now: float) -> str:
        taken.append(message)
        return "ok"

    notifier = Notifier(
        "attic",
        settings,
        registry,
        way_of=lambda _channel: take,
        desks=lambda: own,
        clock=clock,
        entropy=Entropy(1),
    )
    task = asyncio.create_task(notifier.run())
    await clock.sleep(0.0)
    yield Bench(notifier, clock, own, registry, taken)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_concern_is_told_with_its_command_and_so_is_its_end() -> None:
    async with a_daemon() as daemon:
        (line,) = await daemon.tick(BLIND)
        assert line.startswith("critical: images: its queue cannot be read")
        assert line.endswith("→ autoscaler queue FILE")
        assert await daemon.tick(BLIND) == []
        assert await daemon.tick(WELL) == []
        (line,) = await daemon.tick(WELL, 20.0)

    assert line.startswith("resolved after 20s: images: its queue cannot be read")
    assert daemon.registry.get_sample_value("autoscaler_notifications_total", {"channel": "ops", "result": "sent"}) == 2


async def test_who_does_not_lead_says_nothing() -> None:
    async with a_daemon(Desk(leads=False)) as daemon:
        assert await daemon.tick(BLIND) == []


async def test_after_a_take_over_nothing_is_told_twice_and_the_end_is_told_by_who_leads_then() -> None:
    first, second = Desk(), Desk(leads=False)
    async with a_daemon(first) as one, a_daemon(second) as other:
        assert len(await one.tick(BLIND)) == 1
        await other.tick(replace(WELL, leads=False, pools={}))
        second.told, second.leads, first.leads = first.told, True, False  # as the store hands it over
        assert await other.tick(BLIND) == []
        assert await one.tick(replace(WELL, leads=False, pools={}), 60.0) == []
        assert await one.tick(replace(WELL, leads=False, pools={}), 60.0) == []
        await other.tick(WELL)
        (line,) = await other.tick(WELL, 30.0)

    assert line.startswith("resolved after")


async def test_each_daemon_speaks_for_its_own_pools_and_one_of_them_for_the_fleet() -> None:
    images, speech = units_of(["images", "speech"])
    failing = report(listings={"mock": Unknown("503", NOW)}, leaders={"images": "a", "speech": "b"})
    async with a_daemon(Desk(unit=images)) as one, a_daemon(Desk(unit=speech)) as other:
        await one.tick(failing)
        await other.tick(failing)
        assert len(await one.tick(failing, 30.0)) == 1
        assert await other.tick(failing, 30.0) == []


async def test_a_failed_tick_is_told_once_it_lasts_also_by_a_daemon_that_never_made_one() -> None:
    async with a_daemon(Desk(leads=False)) as daemon:
        assert await daemon.tick("the store does not answer") == []
        (line,) = await daemon.tick("the store does not answer", 30.0)
        assert "the store does not answer" in line
        assert await daemon.tick("the store does not answer", 30.0) == []
        assert await daemon.tick(STANDING_BY) == []
        (line,) = await daemon.tick(STANDING_BY, 20.0)

    assert line.startswith("resolved")


async def test_a_daemon_whose_ticks_failed_while_it_led_tells_that_this_is_over_though_another_leads_by_then() -> None:
    desk = Desk()
    async with a_daemon(desk) as daemon:
        assert await daemon.tick("the store does not answer") == []
        assert len(await daemon.tick("the store does not answer", 30.0)) == 1
        desk.leads = False
        assert await daemon.tick(STANDING_BY) == []
        (line,) = await daemon.tick(STANDING_BY, 20.0)
        assert await daemon.tick(STANDING_BY, 20.0) == []

    assert line.startswith("resolved")


async def test_a_pool_that_nobody_leads_is_told_once_by_a_daemon_that_stands_by() -> None:
    orphaned = replace(STANDING_BY, leaders={"images": ""})
    async with a_daemon(Desk(leads=False)) as daemon:
        lines = [line for _ in range(4) for line in await daemon.tick(orphaned, 30.0)]

    assert len(lines) == 1


async def test_an_alarm_of_what_a_concern_tells_in_the_same_tick_is_not_told_twice() -> None:
    stuck = machine("m1", Phase.DRAINING, alarmed=True)
    alarm = Entry(at=NOW, kind=Kind.ALARM, pool="images", instance="m1", text="m1 has been DRAINING for an hour")
    dearer = Entry(at=NOW, kind=Kind.ALARM, pool="images", instance="m2", text="m2 costs 0.900 USD/h now")
    async with a_daemon() as daemon:
        lines = await daemon.tick(report(stuck), 0.0, alarm, dearer)

    assert len(lines) == 2
    assert not any("for an hour" in line for line in lines)
    assert any("0.900" in line for line in lines)


async def test_the_alarm_that_a_queue_could_not_be_read_for_some_ticks_is_not_told_after_the_concern() -> None:
    alarm = Entry(at=NOW, kind=Kind.ALARM, pool="images", text="images: the queue cannot be read: 3 readings failed")
    async with a_daemon() as daemon:
        assert len(await daemon.tick(BLIND)) == 1
        assert await daemon.tick(BLIND, 10.0, alarm) == []


async def test_orders_losses_and_a_reload_are_told_with_the_tick() -> None:
    order = Entry(at=NOW, kind=Kind.OPERATOR, text="order given: pause")
    loss = Entry(at=NOW, kind=Kind.LOSS, pool="images", instance="m1", text="m1 went while it was HOT")
    decision = Entry(at=NOW, kind=Kind.DECISION, pool="images", text="2 HOT wanted")
    async with a_daemon() as daemon:
        assert await daemon.tick(WELL, 0.0, order, loss, decision) == [
            "warning: m1 went while it was HOT",
            "order given: pause",
        ]


async def test_what_a_concern_of_the_fleet_cost_counts_machines_of_pools_that_are_gone() -> None:
    def spent(usd: float) -> dict[int, DayLedger]:
        today = day_of(NOW)
        return {today: DayLedger(day=today, booked_until=NOW, pools={"former": Spent(running_usd=usd)})}

    async with a_daemon() as daemon:
        for _ in range(2):
            await daemon.tick(report(listings={"mock": Unknown("503", NOW)}, books=spent(4.0)), 30.0)
        ended = [line for _ in range(4) for line in await daemon.tick(report(books=spent(6.5)), 60.0)]
    assert ["which cost 2.50 USD" in line for line in ended] == [True]


async def test_a_day_is_summed_up_when_it_is_over() -> None:
    midnight = (NOW // DAY_S + 1) * DAY_S
    fresh = report(pools={"images": replace(pool_report(), spent_today=Spent())})
    async with a_daemon(epoch=midnight - 60.0) as daemon:
        await daemon.tick(WELL)
        await daemon.tick(WELL)
        (line,) = await daemon.tick(fresh, 60.0)
        assert await daemon.tick(fresh) == []

    assert "cost 1.75 USD (images 1.75), 0.00 of it wasted" in line
    assert "images/pro 100.0%" in line


async def test_channels_change_without_losing_what_the_others_hold() -> None:
    quiet = SlackChannel(url=Secret("https://other.example"))
    async with a_daemon() as daemon:
        daemon.notifier.ticked(replace(BLIND, at=daemon.clock.now()))
        daemon.notifier.adapt(replace(SETTINGS, channels={**SETTINGS.channels, "more": quiet}))
        await daemon.tick(BLIND)
        assert [message.title for message in daemon.taken] == ["[attic] critical: queue_unknown"]
        daemon.notifier.adapt(NotifySettings())
        assert await daemon.tick(WELL, 60.0) == []


async def test_a_single_tick_by_hand_tells_nobody_and_is_not_taken_to_have() -> None:
    desk = Desk()
    clock = LoopClock(epoch=NOW)
    notifier = Notifier(
        "attic",
        SETTINGS,
        CollectorRegistry(),
        way_of=way_of,
        desks=lambda: [desk],
        clock=clock,
        entropy=Entropy(1),
    )
    notifier.ticked(BLIND)

    assert desk.told == ()
