"""The reader of SAQ against SAQ itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from autoscaler.core.demand import AgeSource, Demand, InFlightKind
from autoscaler.queues.library import Keyspace, QueueTier
from autoscaler.queues.saq import LIBRARY, SaqQueue
from tests.support.acl import least_user
from tests.support.environments import PYTHON_QUEUES
from tests.support.library import Library, library, until
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

SETTINGS = SaqQueue(kind="saq", tiers=(QueueTier(name="pro", queue="high"), QueueTier(name="free", queue="low")))
GRACEFUL = {"shutdown_grace_period_s": 20, "dequeue_timeout": 0.1, "timers": {"sweep": 1, "worker_info": 1}}


@asynccontextmanager
async def saq_and_reader(url: str) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with library(PYTHON_QUEUES, "saq_app.py", url) as saq, open_queue(url, SETTINGS) as queue:
        yield saq, queue


def depths(demand: Demand) -> list[int | None]:
    """Of the first tier: waiting, in flight, delayed."""
    return [demand.tiers[0].waiting, demand.in_flight, demand.tiers[0].delayed]


async def counts_are(saq: Library, queued: int, active: int, scheduled: int) -> bool:
    counts: list[int] = await saq("counts", queue="high")
    return counts == [queued, active, scheduled]


async def begun(queue: QueueUnderTest, times: bytes) -> bool:
    number: bytes | None = await queue.do("GET", "test:begun")
    return number == times


async def is_over(saq: Library, pid: int) -> str | None:
    code: str | None = await saq("ended", pid=pid)
    return code


async def test_what_waits_is_what_saq_counts(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        assert not (await queue.read(NOW)).seen
        first_at = await saq("send", queue="high")
        await saq("send", queue="high", times=2)
        demand = await queue.read(first_at + 12)
        assert depths(demand) == await saq("counts", queue="high") == [3, 0, 0]
        assert (demand.tiers[0].oldest_enqueued_at, demand.tiers[0].age_source) == (first_at, AgeSource.EXACT)
        assert (demand.in_flight_kind, demand.warnings) == (InFlightKind.EXECUTING, ())
        assert await queue.trips(first_at + 13) == 1


async def test_scheduled_jobs_that_come_due_wait_though_no_worker_lives(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        now = int(await saq("now"))
        await saq("send", queue="high")
        for delay in (600, 60):
            await saq("send", queue="high", scheduled=now + delay)
        demand = await queue.read(now + 30)
        assert depths(demand) == await saq("counts", queue="high") == [1, 0, 2]
        assert demand.tiers[0].next_due_at == now + 60
        await queue.do("DEL", "saq:high:queued")
        high = await queue.tier(now + 70)
        assert (high.waiting, high.delayed, high.oldest_wait_s) == (1, 1, 10.0)


async def test_a_scheduled_job_in_line_is_as_old_as_its_time(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        await saq("start", queue="high")
        await saq("send", queue="high")
        await until(lambda: counts_are(saq, 0, 1, 0))
        due_at = int(await saq("now")) + 2
        await saq("send", queue="high", scheduled=due_at)
        await until(lambda: counts_are(saq, 1, 1, 0))
        high = await queue.tier(due_at + 100)
        assert (high.waiting, high.delayed, high.oldest_enqueued_at) == (1, 0, due_at)


async def test_jobs_at_work_are_counted_and_a_killed_workers_stay_so(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        sent_at = await saq("send", queue="high", times=3)
        pid = await saq("start", queue="high")
        await until(lambda: counts_are(saq, 2, 1, 0))
        demand = await queue.read(sent_at)
        assert (depths(demand), demand.in_flight_kind) == ([2, 1, 0], InFlightKind.EXECUTING)
        await saq("tell", pid=pid, how="SIGKILL")
        await until(lambda: is_over(saq, pid))
        assert depths(await queue.read(sent_at + 3600)) == await saq("counts", queue="high") == [2, 1, 0]


async def test_jobs_that_failed_or_were_put_back_are_as_old_as_that(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        sent_at = await saq("send", queue="high", retries=3, retry_delay=60)
        pid = await saq("start", queue="high")
        await queue.do("RPUSH", "test:say", "fail")
        await until(lambda: counts_are(saq, 0, 0, 1))
        demand = await queue.read(sent_at + 30)
        assert depths(demand) == [0, 0, 1]
        assert demand.tiers[0].next_due_at == pytest.approx(sent_at + 60, abs=5)
        assert (await queue.tier(sent_at + 70)).waiting == 1

        sent_at = await saq("send", queue="high")
        await until(lambda: begun(queue, b"2"))
        await saq("tell", pid=pid, how="SIGTERM")
        assert await until(lambda: is_over(saq, pid)) == "0"
        put_back_at = await saq("now")
        high = await queue.tier(put_back_at + 10)
        assert high.waiting == (await saq("counts", queue="high"))[0] == 1
        assert high.oldest_enqueued_at is not None
        assert sent_at < high.oldest_enqueued_at < put_back_at


async def test_with_a_grace_period_a_stopped_worker_finishes_its_job(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        sent_at = await saq("send", queue="high")
        pid = await saq("start", queue="high", **GRACEFUL)
        await until(lambda: begun(queue, b"1"))
        await saq("tell", pid=pid, how="SIGTERM")
        await queue.do("RPUSH", "test:say", "done")
        assert await until(lambda: is_over(saq, pid)) == "0"
        assert depths(await queue.read(sent_at)) == await saq("counts", queue="high") == [0, 0, 0]


async def test_an_idle_queue_with_a_worker_is_seen(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        await saq("start", queue="high")

        async def seen() -> bool:
            return (await queue.read(NOW)).seen

        await until(seen)


async def test_large_jobs_are_fetched_once_and_their_ages_estimated(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        now = await saq("now")
        await queue.read(now)
        await saq("send", queue="high", size=2_000_000, times=3)
        assert await queue.sent_bytes(now + 5) > 2_000_000
        await queue.do("LPOP", "saq:high:queued")
        assert await queue.sent_bytes(now + 10) < 20_000
        demand = await queue.read(now + 10)
        assert (demand.waiting, demand.warnings) == (2, ("payload_too_large",))
        assert demand.tiers[0].oldest_wait_s == pytest.approx(10)
        assert demand.tiers[0].age_source is AgeSource.ESTIMATED


async def test_a_user_of_exactly_the_rights_reads_everything(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        sent_at = await saq("send", queue="high", size=100_000, times=2)
        await saq("send", queue="low", scheduled=int(sent_at) + 60)
        async with least_user(redis_url, LIBRARY.rights(SETTINGS)) as user:
            async with open_queue(user.url, SETTINGS) as reader:
                await reader.read(sent_at)
                await queue.do("LPOP", "saq:high:queued")
                demand = await reader.read(sent_at + 70)
                assert (demand.waiting, demand.in_flight) == (2, 0)
            assert await user.refused() == []
            assert await user.excess() == set()


async def test_its_queues_are_recognised_among_other_keys(redis_url: str) -> None:
    async with saq_and_reader(redis_url) as (saq, queue):
        await saq("send", queue="low")
        await saq("send", queue="high", scheduled=int(NOW))
        keys = [key.decode() for key in await queue.do("KEYS", "*")]
        types = {key: (await queue.do("TYPE", key)).decode() for key in keys}
        [found], asked = driven(LIBRARY.find(Keyspace(types | {"low": "list", "saq": "zset"})), lambda _: None)
        tiers = (QueueTier(name="high", queue="high"), QueueTier(name="low", queue="low"))
        assert (found.settings, asked) == (SaqQueue(kind="saq", tiers=tiers), [])
        assert found.keys == set(types)
