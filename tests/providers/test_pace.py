"""Requests keep to the vendor's pace, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from autoscaler.core.errors import RateLimited, Transient, UnclearOutcome
from autoscaler.core.units import Secret
from autoscaler.runtime.clock import LoopClock
from providers.base import send_only_while
from providers.http import PATIENCE_S, Answer, Request, Service, json_answer
from providers.pace import BACKOFF_S, KEPT_FOR_CHANGES, LONGEST_BACKOFF_S, LONGEST_TOLD_S, Paced

pytestmark = pytest.mark.looptime

NOW = 1_800_000_000.0
OK = json_answer(200, {})
TOO_FREQUENT = Answer(status=429, body=b"API requests too frequent")


class Clock(LoopClock):
    """The loop's time; a test may set it back."""

    set_by = 0.0

    def now(self) -> float:
        return super().now() + self.set_by


class Vendor:
    """Notes what arrives and when, and gives scripted answers."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.came: list[tuple[float, str]] = []
        self.answers: list[Answer | Exception] = []
        self.takes_s = 0.0
        self.closed = False

    async def send(self, request: Request) -> Answer:
        self.came.append((round(self.clock.now() - NOW, 3), request.path))
        answer = self.answers.pop(0) if self.answers else OK
        await self.clock.sleep(self.takes_s)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        self.closed = True


class Bench:
    """An account with an interval of 2 s for `create`, 1 s for `list`, and none for the rest."""

    def __init__(self) -> None:
        self.clock = Clock(epoch=NOW)
        self.vendor = Vendor(self.clock)
        service = Service(url="https://x.test", key=Secret("k"), spacing_s={"create": 2.0, "list": 1.0})
        self.http = Paced(self.vendor, service, self.clock)

    async def send(self, path: str = "/", endpoint: str = "create", method: str = "PUT") -> Answer:
        return await self.http.send(Request(method=method, path=path, endpoint=endpoint))

    def start(self, *paths: str, endpoint: str = "create", method: str = "PUT") -> list[asyncio.Task[Answer]]:
        return [asyncio.ensure_future(self.send(path, endpoint, method)) for path in paths]

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.vendor.came]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def gathered(tasks: Sequence[asyncio.Task[Answer]]) -> list[Answer | BaseException]:
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def refusal(bench: Bench, endpoint: str = "create", method: str = "PUT") -> RateLimited:
    """The refusal of a request that must not be sent."""
    before = len(bench.vendor.came)
    with pytest.raises(RateLimited) as refused:
        await bench.send(endpoint=endpoint, method=method)
    assert len(bench.vendor.came) == before
    return refused.value


async def test_requests_to_an_endpoint_go_out_in_order_and_with_its_interval(bench: Bench) -> None:
    await gathered(bench.start("/a", "/b", "/c"))
    assert bench.vendor.came == [(0.0, "/a"), (2.0, "/b"), (4.0, "/c")]


async def test_the_interval_counts_from_the_answer_for_the_vendor_may_count_late(bench: Bench) -> None:
    bench.vendor.takes_s = 0.5
    for _ in range(3):
        await bench.send()
    assert bench.times == [0.0, 2.5, 5.0]


async def test_a_request_without_an_answer_does_not_hold_up_the_next(bench: Bench) -> None:
    bench.vendor.takes_s = 30.0
    await gathered(bench.start("/a", "/b"))
    assert bench.times == [0.0, 2.0]


async def test_an_interval_follows_a_request_that_failed(bench: Bench) -> None:
    bench.vendor.answers = [UnclearOutcome("reset")]
    with pytest.raises(UnclearOutcome):
        await bench.send()
    await bench.send()
    assert bench.times == [0.0, 2.0]


async def test_an_endpoint_without_an_interval_is_not_held_up(bench: Bench) -> None:
    await gathered(bench.start("/a", "/b", "/c", endpoint="unspaced"))
    assert bench.times == [0.0, 0.0, 0.0]


async def test_listings_do_not_stand_before_a_stop(bench: Bench) -> None:
    listings = bench.start(*"abcdefgh", endpoint="list", method="GET")
    await bench.send("/stop", "stop")
    assert (0.0, "/stop") in bench.vendor.came
    await gathered(listings)


async def test_what_would_wait_too_long_is_refused_at_once_and_never_sent(bench: Bench) -> None:
    results = await gathered(bench.start(*"abcdefghij"))
    refused = [result for result in results if isinstance(result, RateLimited)]
    assert bench.times == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]
    assert [error.retry_after_s for error in refused] == [16.0, 16.0]
    assert "create was not sent: its turn is in 16s" in str(refused[0])


async def test_a_question_in_the_background_may_wait_longer(bench: Bench) -> None:
    searches = [Request(method="POST", path=path, endpoint="create", patience_s=45.0) for path in "abcdefghijkl"]
    await asyncio.gather(*map(bench.http.send, searches))
    assert bench.times == [2.0 * number for number in range(12)]


async def test_who_gives_up_waiting_leaves_no_hole(bench: Bench) -> None:
    tasks = bench.start("/a", "/b", "/c", "/d")
    await bench.clock.sleep(1.0)
    tasks[1].cancel()  # sleeps until its turn
    tasks[2].cancel()  # waits behind it
    await gathered(tasks)
    assert bench.vendor.came == [(0.0, "/a"), (2.0, "/d")]


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(status=429, headers={"retry-after": "9"}), 9.0),
        (Answer(status=429, headers={"x-ratelimit-reset": str(NOW + 11)}), 11.0),
        (Answer(status=429, headers={"ratelimit": '"minute";r=0;t=7, "hour";r=0;t=13, "day";r=5;t=99'}), 13.0),
        (json_answer(429, {"retry_after": 8}), 8.0),
        (TOO_FREQUENT, BACKOFF_S),
    ],
)
async def test_a_refused_endpoint_is_left_alone_for_as_long_as_the_vendor_says(
    bench: Bench, answer: Answer, seconds: float
) -> None:
    bench.vendor.answers = [answer]
    assert (await bench.send()).status == 429
    await bench.send()
    assert bench.times == [0.0, seconds]


async def test_a_long_refusal_is_told_and_nothing_is_sent_meanwhile(bench: Bench) -> None:
    bench.vendor.answers = [Answer(status=429, headers={"retry-after": "100"})]
    await bench.send()
    assert (await refusal(bench)).retry_after_s == pytest.approx(100.0)
    await bench.send(endpoint="stop")
    await bench.clock.sleep(100.0)
    await bench.send()
    assert bench.times == [0.0, 0.0, 100.0]


async def test_those_who_waited_when_the_vendor_refused_are_refused_too(bench: Bench) -> None:
    bench.vendor.answers = [Answer(status=429, headers={"retry-after": "100"})]
    first, *others = await gathered(bench.start("/a", "/b", "/c"))
    assert isinstance(first, Answer)
    assert [type(each) for each in others] == [RateLimited, RateLimited]
    assert bench.times == [0.0]


async def test_a_wait_that_grows_is_given_up_before_the_callers_patience_ends(bench: Bench) -> None:
    bench.vendor.answers = [OK, Answer(status=429, headers={"retry-after": "14"})]
    bench.vendor.takes_s = 1.9
    *_, last = await gathered(bench.start("/a", "/b", "/c"))
    assert isinstance(last, RateLimited)  # it had waited 3.8 s of 15
    assert bench.clock.now() - NOW < PATIENCE_S


async def test_refusals_without_a_word_double_the_wait_up_to_a_limit_until_one_is_accepted(bench: Bench) -> None:
    bench.vendor.answers = [*[TOO_FREQUENT] * 7, OK, TOO_FREQUENT, OK]
    while bench.vendor.answers:
        try:
            await bench.send()
        except RateLimited as error:
            await bench.clock.sleep(error.retry_after_s or 0.0)
    waits = [later - earlier for earlier, later in pairwise(bench.times)]
    assert waits == [BACKOFF_S, 10.0, 20.0, 40.0, 80.0, LONGEST_BACKOFF_S, LONGEST_BACKOFF_S, 2.0, BACKOFF_S]


async def test_a_vendor_that_asks_for_a_day_is_tried_again_within_the_hour(bench: Bench) -> None:
    bench.vendor.answers = [Answer(status=429, headers={"retry-after": "86400"})]
    await bench.send()
    assert (await refusal(bench)).retry_after_s == pytest.approx(LONGEST_TOLD_S)


async def test_an_exhausted_day_is_tried_again_within_the_hour(bench: Bench) -> None:
    bench.vendor.answers = [Answer(status=200, headers={"ratelimit": '"day";r=0;t=80000'})]
    await bench.send()
    assert (await refusal(bench)).retry_after_s == pytest.approx(LONGEST_TOLD_S)


async def test_an_exhausted_window_holds_back_every_endpoint(bench: Bench) -> None:
    bench.vendor.answers = [Answer(status=200, headers={"ratelimit": '"minute";r=0;t=40'})]
    await bench.send()
    for endpoint in ("create", "stop"):
        assert (await refusal(bench, endpoint)).retry_after_s == pytest.approx(40.0)


async def test_the_last_requests_of_a_window_are_kept_for_changes(bench: Bench) -> None:
    low = Answer(status=200, headers={"ratelimit": f'"minute";r={KEPT_FOR_CHANGES - 1};t=40'})
    bench.vendor.answers = [low]
    await bench.send(endpoint="list", method="GET")
    assert (await refusal(bench, "list", "GET")).retry_after_s == pytest.approx(40.0)
    await bench.send(endpoint="stop")


async def test_a_clock_that_is_set_back_holds_nothing_up(bench: Bench) -> None:
    await bench.send()
    bench.clock.set_by = -3600.0
    await bench.send()
    assert len(bench.vendor.came) == 2


async def test_refusals_of_requests_under_way_together_count_once(bench: Bench) -> None:
    bench.vendor.answers = [TOO_FREQUENT] * 3
    bench.vendor.takes_s = 1.0
    await gathered(bench.start("/a", "/b", "/c", endpoint="unspaced"))
    await bench.send(endpoint="unspaced")
    assert bench.times[-1] == 1.0 + BACKOFF_S


async def test_closing_it_closes_what_it_is_around(bench: Bench) -> None:
    await bench.http.close()
    assert bench.vendor.closed


async def test_who_loses_the_right_to_act_while_it_waits_for_its_turn_sends_nothing(bench: Bench) -> None:
    async def act() -> None:
        send_only_while(lambda: bench.clock.now() < NOW + 1.0)
        await bench.send("/late")

    await bench.send("/first")
    with pytest.raises(Transient, match="lease"):
        await asyncio.create_task(act())
    assert [path for _, path in bench.vendor.came] == ["/first"]
    await bench.send("/of another")
    assert len(bench.vendor.came) == 2
