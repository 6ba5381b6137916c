from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.demand import AgeSource, Demand, InFlightKind
from autoscaler.queues import make_reader
from autoscaler.queues.stream import StreamQueue, StreamTier
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

SETTINGS = StreamQueue(kind="stream", tiers=(StreamTier(name="pro", key="jobs"),), group="workers")
NOW_MS = int(NOW * 1000)


async def add(queue: QueueUnderTest, *ages: float, payload: str = "x") -> None:
    """Entries of these ages in seconds, oldest first."""
    for age in ages:
        await queue.do("XADD", "jobs", f"{NOW_MS - int(age * 1000)}-*", "job", payload)


async def deliver(queue: QueueUnderTest, count: int) -> None:
    await queue.do("XREADGROUP", "GROUP", "workers", "w1", "COUNT", count, "STREAMS", "jobs", ">")


async def reported_lag(queue: QueueUnderTest) -> Any:
    (group,) = await queue.do("XINFO", "GROUPS", "jobs")
    return group[group.index(b"lag") + 1]


async def test_an_absent_stream_is_an_empty_queue_that_was_never_seen(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        demand = await queue.read()
        assert (demand.waiting, demand.in_flight, demand.seen, demand.warnings) == (0, 0, False, ())


async def test_without_the_group_all_entries_wait(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await add(queue, 30, 20)
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.in_flight) == (2, 30.0, 0)
        assert (demand.seen, demand.warnings) == (True, ("group_absent",))
        assert await queue.trips() == 1


async def test_a_stream_with_its_group_and_no_entry_is_seen(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM")
        demand = await queue.read()
        assert (demand.waiting, demand.in_flight, demand.seen, demand.warnings) == (0, 0, True, ())


async def test_lag_waits_and_pending_is_in_flight(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 50, 40, 30, 20)
        await deliver(queue, 1)
        demand = await queue.read()
        tier = demand.tiers[0]
        assert (tier.waiting, tier.waiting_is_lower_bound) == (3, False)
        assert (tier.oldest_wait_s, tier.age_source) == (40.0, AgeSource.STREAM_ID)
        assert (demand.in_flight, demand.in_flight_kind) == (1, InFlightKind.DELIVERED)
        assert demand.oldest_in_flight_at == NOW - 50


async def test_acknowledged_entries_that_stay_in_the_stream_neither_wait_nor_fly(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 50, 40)
        await deliver(queue, 2)
        for entry_id, _ in await queue.do("XRANGE", "jobs", "-", "+"):
            await queue.do("XACK", "jobs", "workers", entry_id)
        demand = await queue.read()
        assert (demand.waiting, demand.in_flight, demand.oldest_wait_s) == (0, 0, None)


async def test_a_steady_stream_takes_one_round_trip_and_a_moving_one_two(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        assert await queue.trips() == 1  # empty
        await add(queue, *range(60, 50, -1))
        assert await queue.trips() == 2  # the first backlog after none: its age is asked for
        assert await queue.trips() == 1
        await add(queue, 10)
        assert await queue.trips() == 1
        await deliver(queue, 3)
        assert await queue.trips() == 2  # the group moved on
        assert await queue.trips() == 1
        assert (await queue.tier()).oldest_wait_s == 57.0
        await deliver(queue, 100)
        assert await queue.trips() == 1  # nothing waits
        assert (await queue.read()).waiting == 0


async def test_a_lag_that_redis_does_not_know_is_counted_entry_by_entry(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await add(queue, 90, 80, 70)
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "$")
        assert (await queue.read()).waiting == 0
        await add(queue, 60, 50)
        assert await reported_lag(queue) is None
        tier = await queue.tier()
        assert (tier.waiting, tier.waiting_is_lower_bound, tier.oldest_wait_s) == (2, False, 60.0)
        await deliver(queue, 1)
        assert (await queue.tier()).waiting == 1


async def test_an_answer_with_all_there_is_serves_though_the_group_moved_on(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await add(queue, 90, 80)
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "$")
        await add(queue, 60, 50, 40)
        await queue.read()
        await deliver(queue, 1)
        assert await queue.trips() == 1
        tier = await queue.tier()
        assert (tier.waiting, tier.waiting_is_lower_bound, tier.oldest_wait_s) == (2, False, 50.0)


async def test_a_deleted_undelivered_entry_is_not_counted(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 60, 50, 40)
        entries = await queue.do("XRANGE", "jobs", "-", "+")
        await queue.do("XDEL", "jobs", entries[1][0])
        assert await reported_lag(queue) is None
        tier = await queue.tier()
        assert (tier.waiting, tier.waiting_is_lower_bound, tier.oldest_wait_s) == (2, False, 60.0)


async def test_an_unknown_lag_beyond_the_count_is_a_lower_bound(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await add(queue, 900, 800)
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "$")
        await add(queue, *range(400, 200, -1))
        tier = await queue.tier()
        assert (tier.waiting, tier.waiting_is_lower_bound, tier.oldest_wait_s) == (101, True, 400.0)
        assert await queue.trips() == 1


async def test_an_unknown_lag_of_huge_entries_is_counted_by_a_few_of_them(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await add(queue, 900, 800, payload="x" * 400_000)
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "$")
        await add(queue, *range(60, 50, -1), payload="x" * 400_000)
        await queue.read()
        assert await queue.sent_bytes() < 1_100_000
        tier = await queue.tier()
        assert (tier.waiting, tier.waiting_is_lower_bound, tier.oldest_wait_s) == (2, True, 60.0)


async def test_large_entries_are_fetched_seldom_and_the_last_age_stands_meanwhile(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 60, 50, payload="x" * 200_000)
        assert (await queue.tier()).oldest_wait_s == 60.0
        await deliver(queue, 1)
        assert await queue.sent_bytes(NOW + 1) < 20_000
        demand = await queue.read(NOW + 2)
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, 62.0, ("payload_too_large",))
        demand = await queue.read(NOW + 30)
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, 80.0, ())


async def test_the_age_of_a_large_entry_stands_for_those_that_follow_until_none_waits(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 60, payload="x" * 2_000_000)
        assert (await queue.tier(NOW)).oldest_wait_s == 60.0
        await deliver(queue, 1)
        empty = await queue.read(NOW + 10)
        assert (empty.waiting, empty.oldest_wait_s, empty.warnings) == (0, None, ())
        await add(queue, -12)
        resting = await queue.read(NOW + 15)
        assert (resting.waiting, resting.oldest_wait_s, resting.warnings) == (1, None, ("payload_too_large",))
        assert (await queue.tier(NOW + 140)).oldest_wait_s == 128.0


async def test_a_lag_above_the_length_after_a_trim_is_clamped(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 90)
        await deliver(queue, 1)
        await add(queue, *range(80, 72, -1))
        await queue.do("XTRIM", "jobs", "MAXLEN", 4)
        if (await reported_lag(queue)) != 8:
            pytest.skip("this redis-server corrects the lag after a trim")
        tier = await queue.tier()
        assert (tier.waiting, tier.oldest_wait_s) == (4, 76.0)


async def test_a_lag_of_entries_that_were_all_trimmed_is_zero(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 80, 70)
        await deliver(queue, 1)
        assert (await queue.read()).waiting == 1
        await queue.do("XTRIM", "jobs", "MAXLEN", 0)
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.in_flight) == (0, None, 1)


async def test_a_lag_that_counts_trimmed_entries_is_zero_when_nothing_follows_the_delivered_ones(
    redis_url: str,
) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 80, 70, 60, 50)
        await queue.do("XTRIM", "jobs", "MAXLEN", 2)
        await deliver(queue, 2)
        await queue.do("XGROUP", "SETID", "jobs", "workers", f"{NOW_MS - 50_000}-0", "ENTRIESREAD", 2)
        assert (await reported_lag(queue)) == 2
        assert (await queue.read()).waiting == 0


async def test_a_stream_made_anew_is_not_judged_by_the_old_ids(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 30, 20, 10)
        await deliver(queue, 2)
        await queue.read()
        await queue.do("DEL", "jobs")
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, 60, 50)
        tier = await queue.tier()
        assert (tier.waiting, tier.oldest_wait_s) == (2, 60.0)


async def test_a_stream_id_from_the_future_is_told_as_clock_skew(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await add(queue, -60)
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, 0.0, ("clock_skew",))


async def test_ids_that_are_no_times_count_without_an_age(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "jobs", "workers", "0", "MKSTREAM")
        await queue.do("XADD", "jobs", "5-1", "job", "x")
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, None, ("absurd_timestamp",))


async def test_tiers_have_a_stream_each_and_share_the_group(redis_url: str) -> None:
    tiers = (StreamTier(name="pro", key="jobs"), StreamTier(name="free", key="jobs:free"))
    async with open_queue(redis_url, StreamQueue(kind="stream", tiers=tiers, group="workers")) as queue:
        for key in ("jobs", "jobs:free"):
            await queue.do("XGROUP", "CREATE", key, "workers", "0", "MKSTREAM")
            for age in (30, 20):
                await queue.do("XADD", key, f"{NOW_MS - age * 1000}-0", "job", "x")
            await queue.do("XREADGROUP", "GROUP", "workers", "w1", "COUNT", 1, "STREAMS", key, ">")
        await queue.do("XADD", "jobs:free", f"{NOW_MS - 10_000}-0", "job", "x")
        await queue.do("XACK", "jobs:free", "workers", f"{NOW_MS - 30_000}-0")
        await queue.do("XREADGROUP", "GROUP", "workers", "w1", "COUNT", 1, "STREAMS", "jobs:free", ">")
        demand = await queue.read()
        assert [tier.waiting for tier in demand.tiers] == [1, 1]
        assert (demand.in_flight, demand.oldest_in_flight_at) == (2, NOW - 30)


async def test_a_key_of_another_type_makes_the_queue_unknown_and_names_what_was_found(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("ZADD", "jobs", 1, "a")
        assert (await queue.unknown()).reason == "queue key 'jobs' holds a zset; expected a stream"


def entry(ms: int) -> list[Any]:
    return [b"%d-0" % ms, [b"job", b"x"]]


def test_redis_6_which_knows_no_lag_is_counted_entry_by_entry() -> None:
    reader = make_reader(SETTINGS)
    group = [b"name", b"workers", b"consumers", 1, b"pending", 1, b"last-delivered-id", b"%d-0" % (NOW_MS - 30_000)]
    known: dict[tuple[Any, ...], Any] = {
        ("EXISTS", "jobs"): 1,
        ("XLEN", "jobs"): 3,
        ("XINFO", "GROUPS", "jobs"): [group],
        ("XPENDING", "jobs", "workers"): [1, group[-1], group[-1], [[b"w1", b"1"]]],
        ("XRANGE", "jobs", "(0-0", "+", "COUNT", 1): [entry(NOW_MS - 30_000)],
        ("XRANGE", "jobs", f"({NOW_MS - 30_000}-0", "+", "COUNT", 101): [
            entry(NOW_MS - 20_000),
            entry(NOW_MS - 10_000),
        ],
    }
    demand, _ = driven(reader.read(NOW), known.__getitem__)
    assert isinstance(demand, Demand)
    assert (demand.waiting, demand.oldest_wait_s, demand.in_flight) == (2, 20.0, 1)


@pytest.mark.parametrize("lag", [-1, None, "many"])
def test_a_lag_that_is_no_count_is_never_taken_for_zero(lag: object) -> None:
    reader = make_reader(SETTINGS)
    answers: dict[tuple[Any, ...], Any] = {
        ("EXISTS", "jobs"): 1,
        ("XLEN", "jobs"): 3,
        ("XINFO", "GROUPS", "jobs"): [[b"name", b"workers", b"last-delivered-id", b"0-0", b"lag", lag]],
        ("XPENDING", "jobs", "workers"): [0, None, None, None],
        ("XRANGE", "jobs", "(0-0", "+", "COUNT", 1): [entry(NOW_MS)],
    }
    demand, _ = driven(reader.read(NOW), answers.get)
    assert not isinstance(demand, Demand) or demand.waiting > 0
