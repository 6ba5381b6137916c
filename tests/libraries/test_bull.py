"""Bull's queues as read here, against Bull itself."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import TypeAdapter, ValidationError

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.discover import look
from autoscaler.queues.band import Band
from autoscaler.queues.bull import LIBRARY, BullQueue
from autoscaler.queues.bullmq import PriorityTier
from autoscaler.queues.library import Keyspace
from autoscaler.queues.source import answered
from tests.support.acl import least_user
from tests.support.environments import NODE_QUEUES
from tests.support.library import Library, library, settled, until
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

GPU = PriorityTier(name="gpu", queue="gpu")
BANDS = (
    PriorityTier(name="vip", queue="gpu", priorities=Band(high=2)),
    PriorityTier(name="pro", queue="gpu", priorities=Band(3, 5)),
    PriorityTier(name="free", queue="gpu", priorities=Band(6)),
)


def settings(*tiers: PriorityTier) -> BullQueue:
    return BullQueue(kind="bull", tiers=tiers or (GPU,))


@asynccontextmanager
async def process(url: str) -> AsyncIterator[Library]:
    async with library(NODE_QUEUES, "bull.mjs", str(urlsplit(url).port)) as found:
        yield found


@asynccontextmanager
async def bull_and(url: str, *tiers: PriorityTier) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with process(url) as bull, open_queue(url, settings(*tiers)) as read:
        yield bull, read


async def add(bull: Library, ago_s: float = 0.0, **opts: Any) -> str:
    """Enqueue a job at a known time; gives its id."""
    job = await bull("add", **{"queue": "gpu", "timestamp": int((NOW - ago_s) * 1000), **opts})
    return str(job["id"])


async def test_waiting_jobs_are_counted_and_the_next_one_tells_the_age(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read):
        never = await read.read()
        assert (never.waiting, never.in_flight, never.seen, never.paused) == (0, 0, False, False)
        for ago_s in (90, 60, 30):
            await add(bull, ago_s)
        demand = await read.read()
        tier = demand.tiers[0]
        assert (tier.waiting, tier.oldest_wait_s, tier.age_source) == (3, 90.0, AgeSource.EXACT)
        assert (demand.seen, demand.in_flight, demand.in_flight_kind) == (True, 0, InFlightKind.EXECUTING)
        assert (await bull("counts", queue="gpu"))["waiting"] == 3
        assert await read.trips() == 1
        await add(bull, 20, priority=7)
        assert (await read.tier()).oldest_wait_s == 20.0
        await add(bull, 10, lifo=True)
        assert (await read.tier()).oldest_wait_s == 10.0
        await read.do("DEL", "bull:gpu:wait")
        async with open_queue(redis_url, settings()) as later:
            emptied = await later.read()
            assert (emptied.waiting, emptied.seen) == (0, True)


async def test_running_jobs_stay_in_flight_when_their_worker_is_killed(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read):
        for _ in range(3):
            await add(bull, 60)
        async with process(redis_url) as worker:
            await worker("work", queue="gpu", concurrency=2)
            await settled(read, 1, 2)
            counts = await bull("counts", queue="gpu")
            assert (counts["waiting"], counts["active"]) == (1, 2)
            os.kill(worker.pid, signal.SIGKILL)
        assert (await read.read()).in_flight == 2
        async with process(redis_url) as worker:
            await worker("finish")
            await worker("work", queue="gpu")
            drained = await settled(read, 0, 2)
            assert (drained.oldest_wait_s, drained.seen) == (None, True)


async def test_a_worker_that_is_paused_ends_what_it_has_and_takes_no_more(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read), process(redis_url) as worker:
        for _ in range(2):
            await add(bull, 60)
        await worker("work", queue="gpu")
        await settled(read, 1, 1)
        await worker("drain", queue="gpu")
        assert not await worker("drained")
        await worker("finish")
        await until(lambda: worker("drained"))
        left = await read.read()
        assert (left.waiting, left.in_flight, left.paused) == (1, 0, False)


async def test_delayed_jobs_wait_once_they_are_due_though_no_worker_lives(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read):
        await add(bull, delay=60_000)
        await add(bull, delay=90_000)
        before, after = await read.tier(NOW + 59), await read.tier(NOW + 65)
        assert (before.waiting, before.delayed, before.oldest_wait_s) == (0, 2, None)
        assert before.next_due_at == pytest.approx(NOW + 60, abs=1e-3)
        assert (after.waiting, after.delayed) == (1, 1)
        assert after.oldest_wait_s == pytest.approx(5, abs=1e-3)
        assert (await bull("counts", queue="gpu"))["delayed"] == 2


async def test_a_delayed_job_that_was_promoted_by_hand_waits_since_its_creation(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read):
        by_hand = await add(bull, 600, delay=3_600_000)
        await bull("promote", queue="gpu", id=by_hand)
        assert (await read.tier()).oldest_wait_s == 600.0


async def test_a_delayed_job_that_became_ready_waits_since_it_was_due(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read):
        await add(bull)
        async with process(redis_url) as worker:
            await worker("work", queue="gpu")
            await settled(read, 0, 1)
            late = await bull("add", queue="gpu", delay=200)
            await until(lambda: read.do("LLEN", "bull:gpu:wait"))
            due_at = late["timestamp"] / 1000 + 0.2
            assert (await read.tier(due_at + 7)).oldest_wait_s == pytest.approx(7, abs=1e-3)


async def test_a_retry_with_a_backoff_is_delayed_until_it_is_due(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read):
        await add(bull, job="fail", attempts=2, backoff={"type": "fixed", "delay": 60_000})
        async with process(redis_url) as worker:
            await worker("work", queue="gpu")
            await until(lambda: read.do("ZCARD", "bull:gpu:delayed"))
        [_, score] = await read.do("ZRANGE", "bull:gpu:delayed", 0, 0, "WITHSCORES")
        due_at = int(float(score)) // 4096 / 1000
        before, after = await read.tier(due_at - 1), await read.tier(due_at + 5)
        assert (before.waiting, before.delayed, after.waiting) == (0, 1, 1)
        assert after.oldest_wait_s == pytest.approx(5, abs=1e-3)


async def test_tiers_share_a_queue_by_bands_of_priorities_and_the_last_has_jobs_without_one(redis_url: str) -> None:
    async with bull_and(redis_url, *BANDS) as (bull, read):
        for ago_s in (90, 80):
            await add(bull, ago_s)
        for priority in (7, 5, 3, 2, 1):
            await add(bull, 100 + priority, priority=priority)
        assert [tier.waiting for tier in (await read.read()).tiers] == [2, 2, 3]
        demand = await read.read()
        assert [tier.oldest_wait_s for tier in demand.tiers] == [101.0, 103.0, 107.0]
        counts = await bull("priorities", queue="gpu", of=[0, 1, 2, 3, 4, 5, 6, 7])
        assert list(counts.values()) == [2, 1, 1, 1, 0, 1, 0, 1]
        assert demand.waiting == (await bull("counts", queue="gpu"))["waiting"]


async def test_the_age_of_jobs_without_a_priority_is_that_of_the_next_one_a_tick_ago(redis_url: str) -> None:
    async with bull_and(redis_url, *BANDS) as (bull, read):
        for ago_s in (90, 80):
            await add(bull, ago_s)
        await add(bull, 5, priority=1)
        ages = [(await read.read()).tiers[2].oldest_wait_s for _ in range(2)]
        assert ages == [None, 90.0]
        assert (await read.do("RPOP", "bull:gpu:wait"), await read.do("ZREM", "bull:gpu:priority", 3)) == (b"3", 1)
        assert await read.do("RPOP", "bull:gpu:wait") == b"1"
        assert [(await read.read()).tiers[2].oldest_wait_s for _ in range(2)] == [90.0, 80.0]
        assert await read.trips() == 2
        await read.do("DEL", "bull:gpu:wait")
        assert (await read.read()).tiers[2].oldest_wait_s is None


async def test_jobs_of_a_paused_queue_wait_on(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read), open_queue(redis_url, settings(*BANDS)) as bands:
        await add(bull, 60)
        await add(bull, 30, priority=1)
        await bull("pause", queue="gpu")
        await add(bull, 10)
        paused = await read.read()
        assert (paused.paused, paused.waiting, paused.oldest_wait_s) == (True, 3, 30.0)
        assert [tier.waiting for tier in (await bands.read()).tiers] == [1, 0, 2]
        assert (await bands.read()).tiers[2].oldest_wait_s == 60.0
        await bull("resume", queue="gpu")
        resumed = await read.read()
        assert (resumed.paused, resumed.waiting, resumed.oldest_wait_s) == (False, 3, 30.0)


async def test_the_data_of_jobs_is_never_fetched(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read):
        await add(bull, 60, bytes=2_000_000)
        await add(bull, 60, bytes=2_000_000, priority=1)
        await add(bull, 60, bytes=2_000_000, delay=1000)
        assert await read.sent_bytes() < 10_000
        assert (await read.read()).waiting == 3


async def test_a_user_with_the_least_rights_reads_everything(redis_url: str) -> None:
    rights = LIBRARY.rights(settings(*BANDS))
    async with bull_and(redis_url) as (bull, _), least_user(redis_url, rights) as user:
        await add(bull, 60)
        await add(bull, 50, priority=4)
        await add(bull, delay=60_000)
        async with open_queue(user.url, settings(*BANDS)) as read:
            await read.read()
            tiers = (await read.read()).tiers
        assert [(tier.waiting, tier.delayed, tier.oldest_wait_s) for tier in tiers] == [
            *((0, 1, None), (1, 0, 50.0), (1, 0, 60.0)),
        ]
        assert await user.refused() == []
        assert await user.excess() == set()


async def test_queues_are_recognised_by_their_keys(redis_url: str) -> None:
    async with bull_and(redis_url) as (bull, read):
        await add(bull, queue="free:jobs", priority=1)
        await add(bull, queue="pro-jobs", delay=1000)
        await read.do("SET", "shop:cart:id", "7")
        looked = await look(read.link, lambda _seen, _total: None)
        [found] = await answered(read.link, LIBRARY.find(looked.keyspace))
    assert found.settings == settings(
        PriorityTier(name="pro-jobs", queue="pro-jobs"), PriorityTier(name="free-jobs", queue="free:jobs")
    )
    assert found.keys == {key for key in looked.keyspace.types if key.startswith("bull:")}


@pytest.mark.parametrize("foreign", [{"bull:gpu:events": "stream"}, {"bull:gpu:jobs": "hash"}])
def test_queues_of_bullmq_and_bee_queue_are_not_taken_for_bulls(foreign: dict[str, str]) -> None:
    bull = {"bull:gpu:id": "string", "bull:gpu:active": "list"}
    assert len(driven(LIBRARY.find(Keyspace(bull)), lambda _: None)[0]) == 1
    assert driven(LIBRARY.find(Keyspace(bull | foreign)), lambda _: None)[0] == []


@pytest.mark.parametrize(
    ("bands", "complaint"),
    [
        (["1.."], None),
        (["..9", "10.."], None),
        (["2.."], "a band of `priorities` from 1 on and found 2.."),
        (["1..9"], "a band of `priorities` from 10 on and found none"),
        (["1..", "0"], "jobs without a priority start last, and belong to the band that is open above"),
    ],
)
def test_bands_that_leave_out_a_priority_or_count_one_twice_are_refused(
    bands: list[str], complaint: str | None
) -> None:
    tiers = [{"name": f"t{n}", "queue": "gpu", "priorities": band} for n, band in enumerate(bands)]
    adapter: TypeAdapter[BullQueue] = TypeAdapter(BullQueue)
    if complaint is None:
        assert adapter.validate_python({"kind": "bull", "tiers": tiers}).prefix == "bull"
        return
    with pytest.raises(ValidationError) as refused:
        adapter.validate_python({"kind": "bull", "tiers": tiers})
    assert complaint in str(refused.value)
