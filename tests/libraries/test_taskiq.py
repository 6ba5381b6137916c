"""The reader of Taskiq against Taskiq itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.queues.taskiq import LIBRARY, TaskiqQueue, TaskiqTier
from tests.support.acl import least_user
from tests.support.environments import TASKIQ
from tests.support.library import Library, library, until
from tests.support.queues import NOW, QueueUnderTest, open_queue
from tests.support.recognise import recognised

LIST = TaskiqQueue(kind="taskiq", broker="list", tiers=(TaskiqTier(name="jobs"),))
STREAM = TaskiqQueue(kind="taskiq", broker="stream", tiers=(TaskiqTier(name="jobs"),))


@asynccontextmanager
async def taskiq_and_reader(url: str, settings: TaskiqQueue) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with library(TASKIQ, "taskiq_queues.py", url) as taskiq, open_queue(url, settings) as queue:
        yield taskiq, queue


async def started(queue: QueueUnderTest, number: int) -> bool:
    return bool(await queue.do("LLEN", "started") == number)


async def test_a_list_is_counted_and_its_age_bracketed(redis_url: str) -> None:
    async with taskiq_and_reader(redis_url, LIST) as (taskiq, queue):
        empty = await queue.read(NOW)
        assert (empty.waiting, empty.seen, empty.in_flight_kind) == (0, False, InFlightKind.HIDDEN)
        await taskiq("send", broker="list", names=["a", "b"])
        tier = await queue.tier(NOW + 5)
        assert (tier.waiting, tier.oldest_wait_s, tier.age_source) == (2, 5.0, AgeSource.ESTIMATED)


async def test_a_label_that_a_middleware_sets_makes_the_age_of_a_list_exact(redis_url: str) -> None:
    async with taskiq_and_reader(redis_url, LIST) as (taskiq, queue):
        before, after = await taskiq("send", broker="list", names=["a"], stamped=True)
        await taskiq("send", broker="list", names=["b"], stamped=True)
        demand = await queue.read(after + 10)
        [tier] = demand.tiers
        assert tier.oldest_enqueued_at is not None
        assert before <= tier.oldest_enqueued_at <= after
        assert (tier.waiting, tier.age_source) == (2, AgeSource.EXACT)


async def test_a_job_of_a_list_vanishes_from_redis_when_a_worker_takes_it(redis_url: str) -> None:
    async with taskiq_and_reader(redis_url, LIST) as (taskiq, queue):
        await taskiq("send", broker="list", names=["a", "b", "c", "d"])
        pid = await taskiq("work", broker="list")
        await until(lambda: started(queue, 1))
        demand = await queue.read()
        assert (demand.waiting, demand.in_flight) == (await queue.do("LLEN", "taskiq"), None)
        assert demand.warnings[-1:] == ("executing_hidden",)
        await taskiq("tell", pid=pid, how="SIGKILL")
        assert (await queue.read()).waiting == demand.waiting


async def test_jobs_of_a_stream_without_a_group_wait(redis_url: str) -> None:
    async with taskiq_and_reader(redis_url, STREAM) as (taskiq, queue):
        assert not (await queue.read()).seen
        await taskiq("send", broker="stream", names=["a", "b"])
        [[first, _], _] = await queue.do("XRANGE", "taskiq", "-", "+")
        sent_at = int(first.split(b"-")[0]) / 1000
        demand = await queue.read(sent_at + 30)
        assert (demand.waiting, demand.in_flight, demand.warnings) == (2, 0, ("group_absent",))
        assert demand.oldest_wait_s == pytest.approx(30)
        assert (demand.tiers[0].age_source, demand.tiers[0].waiting_is_lower_bound) == (AgeSource.STREAM_ID, False)


async def test_a_worker_that_takes_a_hundred_at_once_hides_the_backlog_and_is_told_of(redis_url: str) -> None:
    async with taskiq_and_reader(redis_url, STREAM) as (taskiq, queue):
        await taskiq("send", broker="stream", names=list("abcdef"))
        await taskiq("work", broker="stream")
        await until(lambda: started(queue, 1))
        demand = await queue.read()
        assert (demand.waiting, demand.in_flight, demand.in_flight_kind) == (0, 6, InFlightKind.DELIVERED)
        assert "prefetch_hides_backlog" in demand.warnings


async def test_one_worker_that_holds_several_is_told_of_though_others_hold_one(redis_url: str) -> None:
    async with open_queue(redis_url, STREAM) as queue:
        await queue.do("XGROUP", "CREATE", "taskiq", "taskiq", "0", "MKSTREAM")
        for held, worker in ((1, "a"), (2, "b"), (1, "c")):
            for _ in range(held):
                await queue.do("XADD", "taskiq", "*", "data", "{}")
            await queue.do("XREADGROUP", "GROUP", "taskiq", worker, "STREAMS", "taskiq", ">")
        demand = await queue.read()
        assert (demand.in_flight, "prefetch_hides_backlog" in demand.warnings) == (4, True)


async def test_one_at_a_time_makes_the_numbers_exact_and_a_killed_workers_job_stays_in_flight(redis_url: str) -> None:
    async with taskiq_and_reader(redis_url, STREAM) as (taskiq, queue):
        now, _ = await taskiq("send", broker="stream", names=list("abcdef"))
        pid = await taskiq("work", broker="stream", xread_count=1)
        await until(lambda: started(queue, 1))
        demand = await queue.read(now)
        assert (demand.waiting, demand.in_flight, demand.warnings) == (5, 1, ())
        await queue.do("RPUSH", "release:a", "done")
        await until(lambda: started(queue, 2))
        await taskiq("tell", pid=pid, how="SIGKILL")
        demand = await queue.read(now)
        assert (demand.waiting, demand.in_flight, demand.warnings) == (4, 1, ())

        await queue.do("DEL", "autoclaim:taskiq:taskiq")  # a lock that the killed worker may have held
        await taskiq("work", broker="stream", xread_count=1, max_async_tasks=9, idle_timeout=100)
        await until(lambda: started(queue, 7))
        demand = await queue.read(now)
        assert (demand.waiting, demand.in_flight) == (0, 5)
        assert demand.warnings == ("prefetch_hides_backlog",)  # it may be a prefetch, as far as Redis tells


async def test_sigterm_kills_no_job(redis_url: str) -> None:
    async with taskiq_and_reader(redis_url, STREAM) as (taskiq, queue):
        await taskiq("send", broker="stream", names=["a", "b"])
        pid = await taskiq("work", broker="stream", xread_count=1)
        await until(lambda: started(queue, 1))
        await taskiq("tell", pid=pid, how="SIGTERM")
        for name in ("a", "b"):  # the next may have started before the worker heard of it
            await queue.do("RPUSH", f"release:{name}", "done")
        assert await until(lambda: taskiq("ended", pid=pid)) == "0"
        demand = await queue.read()
        assert (demand.waiting + await queue.do("LLEN", "started"), demand.in_flight) == (2, 0)


@pytest.mark.parametrize("broker", ["list", "stream"])
async def test_sigterm_ends_an_idle_worker(redis_url: str, broker: str) -> None:
    async with taskiq_and_reader(redis_url, STREAM) as (taskiq, queue):
        pid = await taskiq("work", broker=broker)
        await until(lambda: reads(queue))
        await taskiq("tell", pid=pid, how="SIGTERM")
        assert await until(lambda: taskiq("ended", pid=pid)) == "0"


async def reads(queue: QueueUnderTest) -> bool:
    """Whether a worker asks Redis for tasks."""
    return bool({b"cmd=brpop", b"cmd=xreadgroup"} & set((await queue.do("CLIENT", "LIST")).split()))


@pytest.mark.parametrize("settings", [LIST, STREAM], ids=lambda settings: settings.broker)
async def test_a_user_with_the_least_rights_reads_everything(redis_url: str, settings: TaskiqQueue) -> None:
    async with library(TASKIQ, "taskiq_queues.py", redis_url) as taskiq:
        _, now = await taskiq("send", broker=settings.broker, names=["a", "b"], stamped=True)
        async with least_user(redis_url, LIBRARY.rights(settings)) as user, open_queue(user.url, settings) as queue:
            demand = await queue.read(now)
            assert (demand.waiting, demand.seen, demand.tiers[0].oldest_wait_s is None) == (2, True, False)
            assert await user.refused() == []
            assert await user.excess() == set()


async def test_its_queues_are_recognised(redis_url: str) -> None:
    async with library(TASKIQ, "taskiq_queues.py", redis_url) as taskiq, open_queue(redis_url, LIST) as queue:
        await taskiq("send", broker="list", names=["a"])
        await taskiq("send", broker="list", names=["b"], queue="urgent")
        await taskiq("send", broker="stream", names=["c"], queue="video")
        await queue.do("XGROUP", "CREATE", "video", "acme", "0")
        await queue.do("XADD", "pickled", "*", "data", "a job of another serializer")
        await queue.do("XGROUP", "CREATE", "pickled", "taskiq", "0")
        await queue.do("RPUSH", "mails", "not a job of Taskiq")
        tiers = (TaskiqTier(name="urgent", queue="urgent"), TaskiqTier(name="taskiq"))
        video = (TaskiqTier(name="video", queue="video"),)
        pickled = (TaskiqTier(name="pickled", queue="pickled"),)
        found = await recognised(redis_url)
        assert TaskiqQueue(kind="taskiq", broker="list", tiers=tiers) in found
        assert TaskiqQueue(kind="taskiq", broker="stream", tiers=video, consumer_group_name="acme") in found
        assert TaskiqQueue(kind="taskiq", broker="stream", tiers=pickled) in found
        assert sum(isinstance(settings, TaskiqQueue) for settings in found) == 3


def test_a_list_has_no_consumer_group() -> None:
    with pytest.raises(ValueError, match="`consumer_group_name` is for `broker: stream` only"):
        TaskiqQueue(kind="taskiq", broker="list", tiers=(TaskiqTier(name="jobs"),), consumer_group_name="gpu")
