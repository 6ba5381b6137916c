"""An outbox holds, groups and tries again, on virtual time; whatever a receiver does, it goes on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from autoscaler.config.notify import Channel, Quiet
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.concerns import Severity
from autoscaler.runtime.entropy import Entropy
from autoscaler.telemetry.notify_news import Change, News
from autoscaler.telemetry.notify_outbox import Outbox, Result, quiet_for_s
from autoscaler.telemetry.notify_text import Message
from autoscaler.telemetry.notify_ways import Undelivered
from tests.support.news import news

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_S = 10.0
NIGHT = Quiet(hours="22:00..07:00", zone="Europe/Berlin")


@dataclass
class Receiver:
    """A way that writes down what it is given, and fails as told."""

    clock: LoopClock
    fails: Callable[[int], Exception | None] = lambda _number: None
    tries: list[float] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)

    async def __call__(self, message: Message, now: float) -> str:
        self.tries.append(now)
        if (error := self.fails(len(self.tries))) is not None:
            raise error
        self.taken.append(message)
        return "ok"

    @property
    def lines(self) -> list[tuple[str, ...]]:
        return [each.lines for each in self.taken]


@dataclass
class Bench:
    outbox: Outbox
    receiver: Receiver
    clock: LoopClock
    counted: Counter[Result]


@asynccontextmanager
async def an_outbox(channel: Channel | None = None, *, epoch: float = 1_795_000_000.0) -> AsyncIterator[Bench]:
    clock, counted = LoopClock(epoch=epoch), Counter[Result]()
    receiver = Receiver(clock)

    def tell(_channel: str, result: Result, count: int) -> None:
        counted[result] += count

    outbox = Outbox(
        "ops",
        channel or Channel(),
        receiver,
        fleet="attic",
        every_s=EVERY_S,
        clock=clock,
        entropy=Entropy(1),
        tell=tell,
    )
    task = asyncio.create_task(outbox.run())
    yield Bench(outbox, receiver, clock, counted)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def about(subject: str, severity: Severity = Severity.WARNING, **changes: object) -> News:
    return news(severity=severity, subject=subject, text=subject, **changes)  # type: ignore[arg-type]


# --- which ------------------------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_channel_tells_of_its_severity_and_pools_and_of_orders_and_summaries_if_it_is_asked_to() -> None:
    everything = [
        *(
            about(f"{severity} of {pool}", severity, pool=pool)
            for severity in Severity
            for pool in ("images", "speech")
        ),
        about("fleet", Severity.CRITICAL, pool=""),
        about("order", Severity.INFO, change=Change.ORDER),
        about("summary", Severity.INFO, change=Change.SUMMARY, pool=""),
    ]

    async def told(channel: Channel) -> set[str]:
        async with an_outbox(channel) as bench:
            bench.outbox.put(everything)
            await bench.clock.sleep(1.0)
            return {each.subject for message in bench.receiver.taken for each in message.news}

    assert await told(Channel(severity="critical")) == {"critical of images", "critical of speech", "fleet"}
    assert await told(Channel(pools=("speech",))) == {"warning of speech", "critical of speech"}
    assert await told(Channel(severity="critical", pools=("speech",), also=("orders", "summary"))) == {
        "critical of speech",
        "summary",
    }
    assert "order" in await told(Channel(severity="critical", also=("orders",)))
    assert "order" not in await told(Channel(severity="info"))


# --- when -------------------------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_the_first_message_goes_at_once_and_what_comes_soon_after_it_is_told_together() -> None:
    async with an_outbox() as bench:
        for number in range(9):
            bench.outbox.put([about(f"m{number}")])
            await bench.clock.sleep(1.0)
        await bench.clock.sleep(EVERY_S)

    assert [len(message.news) for message in bench.receiver.taken] == [1, 8]
    assert bench.receiver.tries[1] - bench.receiver.tries[0] == pytest.approx(EVERY_S)


@pytest.mark.looptime
async def test_a_clock_that_was_set_back_by_an_hour_holds_a_message_for_no_longer_than_usual() -> None:
    async with an_outbox() as bench:
        bench.outbox.put([about("m1")])
        await bench.clock.sleep(1.0)
        bench.clock._epoch -= 3600.0
        bench.outbox.put([about("m2")])
        await bench.clock.sleep(2 * EVERY_S)

    assert len(bench.receiver.taken) == 2


@pytest.mark.looptime
async def test_in_quiet_hours_only_what_is_critical_is_told_and_the_rest_comes_as_one_at_their_end() -> None:
    evening = datetime(2026, 11, 21, 23, 0, tzinfo=BERLIN).timestamp()
    async with an_outbox(Channel(quiet=NIGHT), epoch=evening) as bench:
        bench.outbox.put([about("m1"), about("m2", Severity.CRITICAL)])
        await bench.clock.sleep(3600.0)
        bench.outbox.put([about("m3"), about("m1", change=Change.ENDED)])
        assert bench.receiver.lines == [("critical: m2",)]
        await bench.clock.sleep(7 * 3600.0 - 1.0)
        assert len(bench.receiver.taken) == 1
        await bench.clock.sleep(2.0)

    assert bench.receiver.lines[1:] == [("warning: m3", "resolved m1")]


@pytest.mark.looptime
async def test_quiet_hours_that_let_nothing_through_hold_what_is_critical_too() -> None:
    evening = datetime(2026, 11, 21, 23, 0, tzinfo=BERLIN).timestamp()
    quiet = Quiet(hours="22:00..07:00", zone="Europe/Berlin", lets_through="nothing")
    async with an_outbox(Channel(quiet=quiet), epoch=evening) as bench:
        bench.outbox.put([about("m1", Severity.CRITICAL)])
        await bench.clock.sleep(7 * 3600.0)
        assert bench.receiver.taken == []
        await bench.clock.sleep(3601.0)

    assert len(bench.receiver.taken) == 1


@pytest.mark.parametrize(
    ("hours", "local", "left_h"),
    [
        ("22:00..07:00", (2026, 11, 21, 22, 0), 9.0),
        ("22:00..07:00", (2026, 11, 22, 6, 30), 0.5),
        ("22:00..07:00", (2026, 11, 22, 7, 0), 0.0),
        ("22:00..07:00", (2026, 11, 22, 21, 59), 0.0),
        ("12:00..13:30", (2026, 11, 22, 12, 30), 1.0),
        ("12:00..13:30", (2026, 11, 22, 11, 0), 0.0),
        ("22:00..07:00", (2026, 3, 28, 23, 0), 7.0),  # the night that lacks an hour
        ("22:00..07:00", (2026, 10, 24, 23, 0), 9.0),  # the night that has one more
    ],
)
def test_quiet_hours_are_those_of_the_wall_clock(hours: str, local: tuple[int, ...], left_h: float) -> None:
    now = datetime(*local, tzinfo=BERLIN).timestamp()  # type: ignore[arg-type,misc]

    assert quiet_for_s(Quiet(hours=hours, zone="Europe/Berlin"), now) == left_h * 3600.0


@given(st.integers(1_767_225_600, 1_830_297_600))
def test_quiet_hours_end_by_their_end_and_are_over_then(now: int) -> None:
    left_s = quiet_for_s(NIGHT, now)

    assert 0.0 <= left_s <= 10 * 3600.0
    assert quiet_for_s(NIGHT, now + left_s) == 0.0


# --- failing ----------------------------------------------------------------------------------------------------------


@pytest.mark.looptime
async def test_a_receiver_that_fails_is_tried_again_ever_more_rarely_and_then_given_up() -> None:
    async with an_outbox() as bench:
        bench.receiver.fails = lambda number: Undelivered("HTTP 500") if number <= 10 else None
        with capture_logs() as logs:
            bench.outbox.put([about("m1")])
            await bench.clock.sleep(7200.0)
            bench.outbox.put([about("m2")])
            await bench.clock.sleep(1.0)

    gaps = [after - before for before, after in zip(bench.receiver.tries, bench.receiver.tries[1:10], strict=False)]
    assert all(min(150.0, 2.0**n) <= gap <= min(300.0, 2.0 * 2.0**n) for n, gap in enumerate(gaps, start=1))
    assert [each["event"] for each in logs] == ["notify_failed", "notify_given_up"]
    assert bench.counted == {"failed": 9, "given_up": 1, "sent": 1}
    assert bench.receiver.lines == [("warning: m2",)]


@pytest.mark.looptime
async def test_what_is_refused_for_good_is_not_tried_again() -> None:
    async with an_outbox() as bench:
        bench.receiver.fails = lambda number: Undelivered("HTTP 404", final=True)
        bench.outbox.put([about("m1")])
        await bench.clock.sleep(7200.0)

    assert bench.counted == {"given_up": 1}


@pytest.mark.looptime
async def test_a_receiver_that_asks_for_time_gets_it_and_then_one_message_of_all() -> None:
    async with an_outbox() as bench:
        bench.receiver.fails = lambda number: Undelivered("HTTP 429", retry_after_s=600.0) if number == 1 else None
        bench.outbox.put([about("m1")])
        await bench.clock.sleep(10.0)
        bench.outbox.put([about("m2"), about("m3")])
        await bench.clock.sleep(700.0)

    assert bench.receiver.tries[1] - bench.receiver.tries[0] == pytest.approx(600.0)
    assert bench.receiver.lines == [("warning: m1",), ("warning: m2", "warning: m3")]


@pytest.mark.looptime
async def test_a_way_that_hangs_or_has_a_bug_holds_up_nobody() -> None:
    async with an_outbox() as bench:

        async def odd(message: Message, now: float) -> str:
            bench.receiver.tries.append(now)
            if len(bench.receiver.tries) == 1:
                await asyncio.get_running_loop().create_future()
            if len(bench.receiver.tries) == 2:
                raise ZeroDivisionError
            bench.receiver.taken.append(message)
            return "ok"

        bench.outbox._way = odd
        bench.outbox.put([about("m1")])
        await bench.clock.sleep(600.0)

    assert bench.counted == {"failed": 2, "sent": 1}
    assert len({message.id for message in bench.receiver.taken}) == 1


@pytest.mark.looptime
async def test_while_a_receiver_is_away_the_oldest_news_go_and_are_counted() -> None:
    async with an_outbox() as bench:
        bench.receiver.fails = lambda number: Undelivered("away") if number == 1 else None
        bench.outbox.put([about("m0")])
        await bench.clock.sleep(0.1)
        bench.outbox.put([about(f"m{number}") for number in range(1, 1501)])
        await bench.clock.sleep(60.0)

    assert bench.counted["dropped"] == 500
    assert bench.receiver.lines[1][-1] == "500 older ones were dropped"
    assert len(bench.receiver.taken[1].news) == 1000
