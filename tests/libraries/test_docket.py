"""The reader of docket against docket itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.queues.docket import LIBRARY, DocketQueue
from autoscaler.queues.library import QueueTier
from tests.support.acl import least_user
from tests.support.environments import PYTHON_QUEUES
from tests.support.library import Library, library, until
from tests.support.queues import NOW, QueueUnderTest, open_queue
from tests.support.recognise import recognised

SETTINGS = DocketQueue(kind="docket", tiers=(QueueTier(name="gpu", queue="gpu"),))


@asynccontextmanager
async def docket_and_reader(url: str) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with library(PYTHON_QUEUES, "docket_queues.py", url) as docket, open_queue(url, SETTINGS) as queue:
        yield docket, queue


async def started(queue: QueueUnderTest, number: int) -> bool:
    return bool(await queue.do("LLEN", "started") == number)


async def in_flight(queue: QueueUnderTest, number: int) -> bool:
    return (await queue.read()).in_flight == number


async def test_what_waits_is_what_docket_counts(redis_url: str) -> None:
    async with docket_and_reader(redis_url) as (docket, queue):
        assert not (await queue.read(NOW)).seen
        now = await docket("add", names=["a", "b"])
        await docket("add", names=["soon"], due=now + 60)
        await docket("add", names=["later"], due=now + 3600)
        demand = await queue.read(now + 30)
        [tier] = demand.tiers
        assert (tier.waiting, tier.delayed) == (2, 2)
        assert (await docket("counts"))["all"] == 4
        assert tier.next_due_at == pytest.approx(now + 60)
        assert tier.oldest_enqueued_at == pytest.approx(now)
        assert tier.age_source is AgeSource.EXACT
        assert (demand.in_flight, demand.in_flight_kind) == (0, InFlightKind.EXECUTING)
        due = await queue.tier(now + 90)
        assert (due.waiting, due.delayed) == (3, 1)


async def test_workers_take_no_more_than_they_run_and_a_killed_ones_task_is_taken_back(redis_url: str) -> None:
    async with docket_and_reader(redis_url) as (docket, queue):
        now = await docket("add", names=list("abcde"))
        pid = await docket("work", concurrency=2, redelivery_timeout="1s")
        await until(lambda: started(queue, 2))
        demand = await queue.read(now)
        assert (demand.waiting, demand.in_flight, demand.warnings) == (3, 2, ())
        assert demand.in_flight == (await docket("counts"))["running"]
        assert demand.oldest_in_flight_at == pytest.approx(now, abs=5)
        await docket("tell", pid=pid, how="SIGKILL")
        await until(lambda: docket("ended", pid=pid))
        assert (await queue.read(now)).in_flight == 2
        await docket("work", concurrency=5, redelivery_timeout="1s")
        await until(lambda: started(queue, 7))
        demand = await queue.read(now)
        assert (demand.waiting, demand.in_flight) == (0, 5)


async def test_a_failed_task_is_delayed_and_one_that_is_late_has_waited_since_it_was_due(redis_url: str) -> None:
    async with docket_and_reader(redis_url) as (docket, queue):
        now = await docket("add", names=["a"])
        await docket("work")
        await until(lambda: started(queue, 1))
        await queue.do("RPUSH", "release:a", "retry")
        await until(lambda: in_flight(queue, 0))
        tier = await queue.tier(now)
        assert (tier.waiting, tier.delayed) == (0, 1)
        assert tier.next_due_at == pytest.approx(now + 3600, abs=30)
        await docket("add", names=["b"])
        await until(lambda: started(queue, 2))
        await docket("add", names=["late"], due=now - 900)
        tier = await queue.tier(now)
        assert tier.waiting == 1
        assert tier.oldest_wait_s == pytest.approx(900)


async def test_a_long_backlog_is_counted_though_a_cancelled_task_made_redis_forget_the_lag(redis_url: str) -> None:
    async with docket_and_reader(redis_url) as (docket, queue):
        await docket("work")
        await docket("add", names=["a"])
        await until(lambda: started(queue, 1))
        await docket("add", names=[f"n{number}" for number in range(150)])
        await docket("cancel", name="n7")
        tier = await queue.tier()
        assert (tier.waiting, tier.waiting_is_lower_bound) == (149, False)
        assert tier.waiting + 1 == (await docket("counts"))["all"]


async def test_tasks_that_were_deleted_while_they_ran_do_not_hide_all_that_wait(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("XGROUP", "CREATE", "gpu:stream", "docket-workers", "0", "MKSTREAM")
        ids = [await queue.do("XADD", "gpu:stream", f"{int(NOW * 1000)}-{number}", "a", "b") for number in range(6)]
        await queue.do("XREADGROUP", "GROUP", "docket-workers", "w", "COUNT", 3, "STREAMS", "gpu:stream", ">")
        await queue.do("XDEL", "gpu:stream", *(each.decode() for each in ids[:3]))
        assert (await queue.tier()).waiting == 3  # as long as Redis knows the lag
        await queue.do("XDEL", "gpu:stream", ids[4].decode())
        demand = await queue.read(NOW + 30)
        assert (demand.waiting, demand.in_flight, demand.oldest_wait_s) == (1, 3, 30.0)


async def test_sigterm_lets_a_worker_finish_its_task(redis_url: str) -> None:
    async with docket_and_reader(redis_url) as (docket, queue):
        await docket("add", names=["a", "b"])
        pid = await docket("work")
        await until(lambda: started(queue, 1))
        await docket("tell", pid=pid, how="SIGTERM")
        await queue.do("RPUSH", "release:a", "done")
        assert await until(lambda: docket("ended", pid=pid)) == "0"
        demand = await queue.read()
        assert (demand.waiting, demand.in_flight, await started(queue, 1)) == (1, 0, True)


async def test_a_user_with_the_least_rights_reads_everything(redis_url: str) -> None:
    async with library(PYTHON_QUEUES, "docket_queues.py", redis_url) as docket:
        await docket("add", names=["a", "b"])
        await docket("add", names=["later"], due=NOW)
        await docket("work")
        async with least_user(redis_url, LIBRARY.rights(SETTINGS)) as user, open_queue(user.url, SETTINGS) as queue:
            await until(lambda: in_flight(queue, 1))
            demand = await queue.read(NOW - 60)
            assert (demand.waiting, demand.tiers[0].delayed, demand.warnings) == (1, 1, ())
            assert await user.refused() == []
            assert await user.excess() == set()


async def test_its_dockets_are_recognised(redis_url: str) -> None:
    async with (
        library(PYTHON_QUEUES, "docket_queues.py", redis_url) as docket,
        open_queue(redis_url, SETTINGS) as queue,
    ):
        await docket("add", names=["a"], docket="gpu")
        await docket("add", names=["b"], docket="urgent", due=NOW)
        await queue.do("XADD", "somebody:stream", "*", "field", "value")
        await queue.do("XGROUP", "CREATE", "somebody:stream", "g", "0")
        found = await recognised(redis_url)
        tiers = (QueueTier(name="urgent", queue="urgent"), QueueTier(name="gpu", queue="gpu"))
        assert DocketQueue(kind="docket", tiers=tiers) in found
