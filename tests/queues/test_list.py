from __future__ import annotations

import json
import random
from typing import Literal

import pytest

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.queues.list import LIBRARY, ListQueue, ListTier
from autoscaler.queues.stamp import Timestamp
from tests.support.queues import NOW, open_queue

Side = Literal["left", "right"]
PUSH: dict[Side, str] = {"left": "RPUSH", "right": "LPUSH"}
POP: dict[Side, str] = {"left": "LPOP", "right": "RPOP"}
SIDES: tuple[Side, ...] = ("left", "right")
TIER = ListTier(name="pro", key="jobs:pro")


def a_list(
    *tiers: ListTier,
    pop_side: Side = "left",
    timestamp: Timestamp | None = None,
    in_flight_keys: tuple[str, ...] = (),
) -> ListQueue:
    return ListQueue(
        kind="list", tiers=tiers or (TIER,), pop_side=pop_side, timestamp=timestamp, in_flight_keys=in_flight_keys
    )


async def test_an_absent_key_is_an_empty_queue_that_was_never_seen(redis_url: str) -> None:
    async with open_queue(redis_url, a_list()) as queue:
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.seen) == (0, None, False)


async def test_a_queue_that_once_had_a_key_stays_seen(redis_url: str) -> None:
    async with open_queue(redis_url, a_list()) as queue:
        await queue.do("RPUSH", "jobs:pro", "a")
        assert (await queue.read()).seen
        await queue.do("LPOP", "jobs:pro")
        assert (await queue.read()).seen


async def test_a_queue_of_which_only_jobs_in_flight_were_seen_is_seen(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(in_flight_keys=("busy", "other"))) as queue:
        await queue.do("RPUSH", "busy", "a")
        assert (await queue.read()).seen
        await queue.do("LPOP", "busy")
        assert (await queue.read()).seen


async def test_a_tier_whose_key_is_absent_is_empty_while_others_exist(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(TIER, ListTier(name="free", key="jobs:free"))) as queue:
        await queue.do("RPUSH", "jobs:free", "a", "b")
        demand = await queue.read()
        assert [(tier.tier, tier.waiting) for tier in demand.tiers] == [("pro", 0), ("free", 2)]
        assert demand.seen


@pytest.mark.parametrize("side", SIDES)
async def test_the_next_job_is_at_the_end_that_workers_pop(redis_url: str, side: Side) -> None:
    settings = a_list(pop_side=side, timestamp=Timestamp(path="meta.created_at", unit="s"))
    async with open_queue(redis_url, settings) as queue:
        for age in (90, 60, 30):
            await queue.do(PUSH[side], "jobs:pro", json.dumps({"meta": {"created_at": NOW - age}}))
        assert (await queue.tier()).oldest_wait_s == 90.0
        await queue.do(POP[side], "jobs:pro")
        tier = await queue.tier()
        assert (tier.waiting, tier.oldest_wait_s, tier.oldest_enqueued_at) == (2, 60.0, NOW - 60)
        assert tier.age_source is AgeSource.CONFIGURED


async def test_a_timestamp_in_the_job_takes_one_round_trip(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(path="at"))) as queue:
        for age in (9, 8, 7):
            await queue.do("RPUSH", "jobs:pro", json.dumps({"at": NOW - age}))
            await queue.do("LPOP", "jobs:pro")
            assert await queue.trips() == 1


async def test_a_timestamp_in_a_hash_is_asked_for_only_when_the_next_job_is_new(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(key="job:{id}", field="at", unit="ms"))) as queue:
        for job, age in (("a", 40), ("b", 20)):
            await queue.do("HSET", f"job:{job}", "at", (NOW - age) * 1000)
            await queue.do("RPUSH", "jobs:pro", job)
        assert await queue.trips() == 2
        assert await queue.trips() == 1
        assert (await queue.tier()).oldest_wait_s == 40.0
        await queue.do("LPOP", "jobs:pro")
        assert await queue.trips() == 2
        assert (await queue.tier(NOW + 1)).oldest_wait_s == 21.0


async def test_a_job_whose_hash_has_expired_is_counted_without_an_age(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(key="job:{id}", field="at"))) as queue:
        await queue.do("RPUSH", "jobs:pro", "a")
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, None, ("age_unreadable",))


async def test_what_is_no_id_is_not_asked_for(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(key="job:{id}", field="at"))) as queue:
        await queue.do("RPUSH", "jobs:pro", "x" * 2000)
        assert await queue.trips() == 1
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, None, ("age_unreadable",))


def test_rights_are_those_to_the_keys_as_they_are_written() -> None:
    timestamp = Timestamp(key="job?:{id}:meta", field="at")
    rights = LIBRARY.rights(a_list(ListTier(name="pro", key="a*[b]\\"), timestamp=timestamp, in_flight_keys=("busy",)))
    assert rights.keys == ("a\\*\\[b\\]\\\\", "busy", "job\\?:*:meta")


@pytest.mark.parametrize(
    "element",
    ["no json", "[" * 100_000, '{"at": null}', '{"at": {}}', '{"at": "soon"}', "[1]", '{"at": true}', '{"at": 1e999}'],
    ids=lambda element: element[:12],
)
async def test_a_job_without_a_readable_timestamp_is_counted_without_an_age(redis_url: str, element: str) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(path="at"))) as queue:
        await queue.do("RPUSH", "jobs:pro", element)
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, None, ("age_unreadable",))
        assert demand.tiers[0].age_source is AgeSource.NONE


async def test_a_timestamp_out_of_all_reason_gives_no_age(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(path="at", unit="s"))) as queue:
        await queue.do("RPUSH", "jobs:pro", json.dumps({"at": NOW * 1000}))
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, None, ("absurd_timestamp",))


@pytest.mark.parametrize(("ahead", "warnings"), [(3.0, ()), (60.0, ("clock_skew",))])
async def test_a_job_from_the_future_has_no_age_yet_and_a_large_skew_is_told(
    redis_url: str, ahead: float, warnings: tuple[str, ...]
) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(path="at"))) as queue:
        await queue.do("RPUSH", "jobs:pro", json.dumps({"at": NOW + ahead}))
        demand = await queue.read()
        assert (demand.oldest_wait_s, demand.warnings) == (0.0, warnings)


@pytest.mark.parametrize("side", SIDES)
async def test_an_estimated_age_is_at_most_one_tick_above_the_truth(redis_url: str, side: Side) -> None:
    chance = random.Random(7)
    async with open_queue(redis_url, a_list(pop_side=side)) as queue:
        waiting: list[float] = []
        assert (await queue.tier(NOW)).waiting == 0
        for tick in range(1, 150):
            now = NOW + 5.0 * tick
            busy = tick % 50 < 25
            for _ in range(chance.randint(0, 6 if busy else 1)):
                waiting.append(now - chance.uniform(0.0, 4.9))
                waiting.sort()
            for at in waiting[-6:]:
                if at > now - 5.0:
                    await queue.do(PUSH[side], "jobs:pro", repr(at))
            for _ in range(min(len(waiting), chance.randint(0, 2 if busy else 5))):
                assert float(await queue.do(POP[side], "jobs:pro")) == waiting.pop(0)
            tier = await queue.tier(now)
            assert tier.waiting == len(waiting)
            if waiting:
                assert tier.age_source is AgeSource.ESTIMATED
                assert tier.oldest_wait_s is not None
                assert 0.0 <= tier.oldest_wait_s - (now - waiting[0]) <= 5.0
            else:
                assert tier.oldest_wait_s is None
        assert queue.link.round_trips == 150


async def test_jobs_from_before_the_start_are_at_least_as_old_as_stated(redis_url: str) -> None:
    async with open_queue(redis_url, a_list()) as queue:
        await queue.do("RPUSH", "jobs:pro", "a", "b")
        first, later = await queue.read(NOW), await queue.read(NOW + 60)
        assert (first.oldest_wait_s, first.tiers[0].age_source) == (None, AgeSource.NONE)
        assert (later.oldest_wait_s, later.warnings) == (60.0, ("age_lower_bound",))


async def test_huge_jobs_are_fetched_once_and_then_only_counted(redis_url: str) -> None:
    async with open_queue(redis_url, a_list()) as queue:
        await queue.read(NOW)
        await queue.do("RPUSH", "jobs:pro", "x" * 2_000_000)
        demand = await queue.read(NOW + 5)
        assert (demand.waiting, demand.oldest_wait_s) == (1, 5.0)
        assert demand.warnings == ("age_upper_bound", "payload_too_large")
        assert await queue.sent_bytes(NOW + 10) < 20_000
        assert (await queue.read(NOW + 10)).oldest_wait_s == 10.0
        await queue.do("DEL", "jobs:pro")
        assert (await queue.read(NOW + 15)).warnings == ()


HUGE = "x" * 2_000_000


async def test_the_age_of_a_huge_job_stands_for_those_that_follow_until_none_waits(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(path="at"))) as queue:
        await queue.do("RPUSH", "jobs:pro", json.dumps({"at": NOW - 60, "image": HUGE}))
        assert (await queue.tier(NOW)).oldest_wait_s == 60.0
        assert (await queue.tier(NOW + 5)).oldest_wait_s == 65.0
        await queue.do("DEL", "jobs:pro")
        empty = await queue.read(NOW + 10)
        assert (empty.oldest_wait_s, empty.warnings) == (None, ())
        await queue.do("RPUSH", "jobs:pro", json.dumps({"at": NOW + 12}))
        resting = await queue.read(NOW + 15)
        assert (resting.waiting, resting.oldest_wait_s, resting.warnings) == (1, None, ("payload_too_large",))
        assert (await queue.tier(NOW + 140)).oldest_wait_s == 128.0


async def test_a_clock_that_is_set_back_keeps_no_job_from_being_fetched(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(path="at"))) as queue:
        await queue.do("RPUSH", "jobs:pro", json.dumps({"at": NOW - 60, "image": HUGE}))
        await queue.read(NOW)
        await queue.do("DEL", "jobs:pro")
        await queue.do("RPUSH", "jobs:pro", json.dumps({"at": NOW - 3610}))
        demand = await queue.read(NOW - 3600)
        assert (demand.oldest_wait_s, demand.warnings) == (10.0, ())


async def test_an_id_that_comes_again_into_an_empty_list_begins_to_wait_again(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(timestamp=Timestamp(key="job:{id}", field="at"))) as queue:
        for at in (NOW - 10, NOW + 90):
            await queue.do("RPUSH", "jobs:pro", "nightly")
            await queue.do("HSET", "job:nightly", "at", at)
            assert (await queue.tier(at + 3)).oldest_wait_s == 3.0
            await queue.do("LPOP", "jobs:pro")
            assert (await queue.tier(at + 5)).oldest_wait_s is None


async def test_without_in_flight_keys_jobs_in_flight_are_hidden(redis_url: str) -> None:
    async with open_queue(redis_url, a_list()) as queue:
        demand = await queue.read()
        assert (demand.in_flight, demand.in_flight_kind) == (None, InFlightKind.HIDDEN)


async def test_in_flight_keys_are_counted_whatever_their_type(redis_url: str) -> None:
    keys = ("a:list", "a:set", "a:zset", "a:hash", "a:missing")
    async with open_queue(redis_url, a_list(in_flight_keys=keys)) as queue:
        assert (await queue.read()).in_flight == 0
        await queue.do("RPUSH", "a:list", "1")
        await queue.do("SADD", "a:set", "1", "2")
        await queue.do("ZADD", "a:zset", 1, "1", 2, "2", 3, "3")
        await queue.do("HSET", "a:hash", "1", 1, "2", 2, "3", 3, "4", 4)
        assert await queue.trips() == 2
        assert await queue.trips() == 1
        demand = await queue.read()
        assert (demand.in_flight, demand.in_flight_kind, demand.seen) == (10, InFlightKind.EXECUTING, True)


async def test_an_in_flight_key_may_change_its_type(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(in_flight_keys=("busy",))) as queue:
        await queue.do("RPUSH", "busy", "1")
        assert (await queue.read()).in_flight == 1
        await queue.do("DEL", "busy")
        assert (await queue.read()).in_flight == 0
        await queue.do("SADD", "busy", "1", "2")
        assert (await queue.read()).in_flight == 2


async def test_an_in_flight_key_that_cannot_be_counted_makes_the_number_unknown_and_not_zero(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(in_flight_keys=("busy", "odd"))) as queue:
        await queue.do("RPUSH", "busy", "1")
        await queue.do("SET", "odd", "1")
        demand = await queue.read()
        assert (demand.in_flight, demand.warnings) == (None, ("in_flight_unreadable",))


async def test_a_key_of_another_type_makes_the_queue_unknown_and_names_what_was_found(redis_url: str) -> None:
    async with open_queue(redis_url, a_list(TIER, ListTier(name="free", key="jobs:free"))) as queue:
        await queue.do("RPUSH", "jobs:pro", "a")
        await queue.do("HSET", "jobs:free", "a", 1)
        assert (await queue.unknown()).reason == "queue key 'jobs:free' holds a hash; expected a list"
