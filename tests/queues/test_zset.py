from __future__ import annotations

import json
from typing import Literal

import pytest

from autoscaler.core.demand import AgeSource
from autoscaler.queues.age import PER_SECOND, NumberUnit
from autoscaler.queues.band import Band
from autoscaler.queues.stamp import Timestamp
from autoscaler.queues.zset import ZsetQueue, ZsetTier
from tests.support.queues import NOW, open_queue

TIER = ZsetTier(name="pro", key="jobs")


def timed(unit: NumberUnit = "s", *, in_flight_keys: tuple[str, ...] = ()) -> ZsetQueue:
    return ZsetQueue(kind="zset", tiers=(TIER,), score="time", unit=unit, in_flight_keys=in_flight_keys)


def by_priority(
    *tiers: ZsetTier, pop: Literal["lowest", "highest"] = "lowest", timestamp: Timestamp | None = None
) -> ZsetQueue:
    return ZsetQueue(kind="zset", tiers=tiers or (TIER,), score="priority", pop=pop, timestamp=timestamp)


@pytest.mark.parametrize("unit", PER_SECOND)
async def test_a_score_that_is_a_time_divides_waiting_from_delayed(redis_url: str, unit: NumberUnit) -> None:
    async with open_queue(redis_url, timed(unit)) as queue:
        for offset in (-60, -30, 0, 30, 90):
            await queue.do("ZADD", "jobs", (NOW + offset) * PER_SECOND[unit], offset)
        tier = await queue.tier()
        assert (tier.waiting, tier.delayed, tier.next_due_at) == (3, 2, NOW + 30)
        assert (tier.oldest_wait_s, tier.age_source) == (60.0, AgeSource.CONFIGURED)
        assert await queue.trips() == 1


async def test_a_job_that_comes_due_counts_as_waiting(redis_url: str) -> None:
    async with open_queue(redis_url, timed()) as queue:
        await queue.do("ZADD", "jobs", NOW + 30, "a")
        before, after = await queue.tier(NOW + 29), await queue.tier(NOW + 31)
        assert (before.waiting, before.delayed, before.oldest_wait_s) == (0, 1, None)
        assert (after.waiting, after.delayed, after.oldest_wait_s, after.next_due_at) == (1, 0, 1.0, None)


async def test_an_absent_key_is_an_empty_queue_that_was_never_seen(redis_url: str) -> None:
    async with open_queue(redis_url, timed()) as queue:
        demand = await queue.read()
        assert (demand.waiting, demand.tiers[0].delayed, demand.seen) == (0, 0, False)
        await queue.do("ZADD", "jobs", NOW + 30, "a")
        assert (await queue.read()).seen


async def test_times_in_another_unit_make_the_queue_unknown_rather_than_empty(redis_url: str) -> None:
    async with open_queue(redis_url, timed("s")) as queue:
        await queue.do("ZADD", "jobs", int(NOW * 1000), "a")
        reason = (await queue.unknown()).reason
        assert reason == (
            "queue key 'jobs': score 1800000000000 is no time in s, but would be one in ms; expected `unit: ms`"
        )


async def test_one_job_parked_for_ever_makes_no_unit_doubtful_while_others_wait(redis_url: str) -> None:
    async with open_queue(redis_url, timed("s")) as queue:
        await queue.do("ZADD", "jobs", NOW - 5, "a", int(NOW * 1000), "parked")
        tier = await queue.tier()
        assert (tier.waiting, tier.delayed, tier.oldest_wait_s) == (1, 1, 5.0)


async def test_times_in_a_coarser_unit_count_without_an_age(redis_url: str) -> None:
    async with open_queue(redis_url, timed("ms")) as queue:
        await queue.do("ZADD", "jobs", NOW - 60, "a")
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, None, ("absurd_timestamp",))


@pytest.mark.parametrize("score", ["+inf", "9e99"])
async def test_a_job_parked_for_ever_is_delayed_and_no_more(redis_url: str, score: str) -> None:
    async with open_queue(redis_url, timed()) as queue:
        await queue.do("ZADD", "jobs", score, "a")
        tier = await queue.tier()
        assert (tier.waiting, tier.delayed) == (0, 1)


async def test_a_job_that_may_start_at_once_counts_without_an_age(redis_url: str) -> None:
    async with open_queue(redis_url, timed()) as queue:
        await queue.do("ZADD", "jobs", "-inf", "a")
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, None, ("age_unreadable",))


async def test_bands_of_scores_on_one_key_are_tiers(redis_url: str) -> None:
    tiers = (
        ZsetTier(name="pro", key="jobs", scores=Band(float("-inf"), 9)),
        ZsetTier(name="free", key="jobs", scores=Band(10, float("inf"))),
    )
    async with open_queue(redis_url, by_priority(*tiers)) as queue:
        await queue.do("ZADD", "jobs", 0, "a", 9, "b", 10, "c", 11, "d", 1000, "e")
        assert [tier.waiting for tier in (await queue.read()).tiers] == [2, 3]
        assert await queue.trips() == 1


async def test_each_tier_may_have_a_key_of_its_own(redis_url: str) -> None:
    async with open_queue(redis_url, by_priority(TIER, ZsetTier(name="free", key="jobs:free"))) as queue:
        await queue.do("ZADD", "jobs:free", -5, "a", 5, "b")
        assert [tier.waiting for tier in (await queue.read()).tiers] == [0, 2]


@pytest.mark.parametrize(("pop", "age"), [("lowest", 30.0), ("highest", 90.0)])
async def test_the_next_job_is_at_the_end_that_workers_pop(
    redis_url: str, pop: Literal["lowest", "highest"], age: float
) -> None:
    tier = ZsetTier(name="pro", key="jobs", scores=Band(1, 5))
    async with open_queue(redis_url, by_priority(tier, pop=pop, timestamp=Timestamp(path="at"))) as queue:
        for score, seconds in ((0, 1), (1, 30), (5, 90), (6, 1)):
            await queue.do("ZADD", "jobs", score, json.dumps({"at": NOW - seconds}))
        assert (await queue.tier()).oldest_wait_s == age
        assert await queue.trips() == 1


async def test_a_timestamp_in_a_hash_serves_sorted_sets_too(redis_url: str) -> None:
    settings = by_priority(timestamp=Timestamp(key="job:{id}", field="created_at"))
    async with open_queue(redis_url, settings) as queue:
        await queue.do("ZADD", "jobs", 1, "a")
        await queue.do("HSET", "job:a", "created_at", "2027-01-15T07:59:00+00:00")
        assert (await queue.tier()).oldest_wait_s == 60.0
        assert await queue.trips() == 1


async def test_priorities_without_a_timestamp_have_no_age(redis_url: str) -> None:
    async with open_queue(redis_url, by_priority()) as queue:
        await queue.do("ZADD", "jobs", 1, "a")
        tier = await queue.tier()
        assert (tier.waiting, tier.oldest_wait_s, tier.age_source) == (1, None, AgeSource.NONE)


@pytest.mark.parametrize("settings", [timed(), by_priority(timestamp=Timestamp(path="at"))])
async def test_huge_jobs_are_fetched_seldom_and_counted_always(redis_url: str, settings: ZsetQueue) -> None:
    async with open_queue(redis_url, settings) as queue:
        huge = json.dumps({"at": NOW - 60, "image": "x" * 2_000_000})
        await queue.do("ZADD", "jobs", NOW - 60, huge)
        assert await queue.sent_bytes(NOW) > 2_000_000
        assert await queue.sent_bytes(NOW + 10) < 20_000
        await queue.do("ZADD", "jobs", NOW - 50, "b")
        demand = await queue.read(NOW + 20)
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (2, 80.0, ("payload_too_large",))
        await queue.do("ZREM", "jobs", huge)
        assert await queue.sent_bytes(NOW + 130) < 20_000
        demand = await queue.read(NOW + 140)
        assert (demand.waiting, "payload_too_large" in demand.warnings) == (1, False)


async def test_a_huge_job_that_comes_due_while_none_is_fetched_has_its_age(redis_url: str) -> None:
    async with open_queue(redis_url, timed()) as queue:
        await queue.do("ZADD", "jobs", NOW + 30, "x" * 2_000_000)
        assert (await queue.tier(NOW)).next_due_at == NOW + 30
        assert (await queue.tier(NOW + 10)).next_due_at == NOW + 30
        tier = await queue.tier(NOW + 40)
        assert (tier.waiting, tier.oldest_wait_s, tier.next_due_at) == (1, 10.0, None)


@pytest.mark.parametrize("settings", [timed(), by_priority(timestamp=Timestamp(path="at"))])
async def test_the_age_of_a_huge_job_stands_for_those_that_follow_until_none_waits(
    redis_url: str, settings: ZsetQueue
) -> None:
    async with open_queue(redis_url, settings) as queue:
        await queue.do("ZADD", "jobs", NOW - 60, json.dumps({"at": NOW - 60, "image": "x" * 2_000_000}))
        await queue.read(NOW)
        await queue.do("DEL", "jobs")
        empty = await queue.read(NOW + 10)
        assert (empty.oldest_wait_s, empty.warnings) == (None, ())
        await queue.do("ZADD", "jobs", NOW + 12, json.dumps({"at": NOW + 12}))
        resting = await queue.read(NOW + 15)
        assert (resting.waiting, resting.oldest_wait_s) == (1, None)
        assert "payload_too_large" in resting.warnings
        assert (await queue.tier(NOW + 140)).oldest_wait_s == 128.0


async def test_no_due_time_that_has_passed_is_told_as_the_next(redis_url: str) -> None:
    async with open_queue(redis_url, timed()) as queue:
        await queue.do("ZADD", "jobs", NOW + 30, "x" * 2_000_000, NOW + 90, "b")
        assert (await queue.tier(NOW)).next_due_at == NOW + 30
        tier = await queue.tier(NOW + 40)
        assert (tier.waiting, tier.delayed, tier.next_due_at) == (1, 1, None)


async def test_a_huge_job_that_came_due_and_was_done_leaves_no_age_behind(redis_url: str) -> None:
    async with open_queue(redis_url, timed()) as queue:
        await queue.do("ZADD", "jobs", NOW + 30, "x" * 2_000_000)
        assert (await queue.tier(NOW)).next_due_at == NOW + 30
        await queue.do("DEL", "jobs")
        await queue.read(NOW + 40)
        await queue.do("ZADD", "jobs", NOW + 45, "b")
        assert (await queue.tier(NOW + 50)).oldest_wait_s is None


async def test_jobs_in_flight_are_counted_under_their_keys(redis_url: str) -> None:
    async with open_queue(redis_url, timed(in_flight_keys=("running",))) as queue:
        await queue.do("HSET", "running", "a", 1)
        assert (await queue.read()).in_flight == 1


@pytest.mark.parametrize("settings", [timed(), by_priority()])
async def test_a_key_of_another_type_makes_the_queue_unknown_and_names_what_was_found(
    redis_url: str, settings: ZsetQueue
) -> None:
    async with open_queue(redis_url, settings) as queue:
        await queue.do("RPUSH", "jobs", "a")
        assert (await queue.unknown()).reason == "queue key 'jobs' holds a list; expected a zset"
