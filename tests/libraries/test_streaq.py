"""The reader of streaq against streaq itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from autoscaler.core.demand import AgeSource, Demand, InFlightKind
from autoscaler.queues.streaq import LIBRARY, StreaqQueue, StreaqTier
from tests.support.acl import least_user
from tests.support.environments import PYTHON_QUEUES
from tests.support.library import Library, library, settled, until
from tests.support.queues import NOW, QueueUnderTest, open_queue
from tests.support.recognise import recognised

TIERS = (
    StreaqTier(name="high", queue="gpu", priority="high"),
    StreaqTier(name="low", queue="gpu", priority="low"),
)
SETTINGS = StreaqQueue(kind="streaq", tiers=TIERS)


@asynccontextmanager
async def streaq_and_reader(url: str) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with library(PYTHON_QUEUES, "streaq_queues.py", url) as streaq, open_queue(url, SETTINGS) as queue:
        yield streaq, queue


def depths(demand: Demand) -> list[tuple[int, int | None]]:
    return [(tier.waiting, tier.delayed) for tier in demand.tiers]


async def started(queue: QueueUnderTest, *names: str) -> bool:
    found = [(await queue.do("LINDEX", "started", number)) for number in range(len(names))]
    return found == [name.encode() for name in names]


async def in_flight(queue: QueueUnderTest, number: int, now: float) -> bool:
    return (await queue.read(now)).in_flight == number


async def test_what_waits_is_what_streaq_counts(redis_url: str) -> None:
    async with streaq_and_reader(redis_url) as (streaq, queue):
        assert not (await queue.read(NOW)).seen
        await streaq("enqueue", name="first", priority="low")
        now = await enqueued_at(queue, "low")
        for name in ("second", "third"):
            await streaq("enqueue", name=name, priority="high")
        await streaq("enqueue", name="soon", priority="low", due=now + 60)
        await streaq("enqueue", name="later", priority="low", due=now + 3600)
        await streaq("enqueue", name="child", priority="high", after="first")
        demand = await queue.read(now + 30)
        assert depths(demand) == [(2, 0), (1, 2)]
        assert demand.waiting + 2 == await streaq("size")
        low = demand.tiers[1]
        assert (low.oldest_enqueued_at, low.age_source) == (now, AgeSource.EXACT)
        assert low.next_due_at == pytest.approx(now + 60, abs=0.001)
        assert (demand.in_flight, demand.warnings, demand.seen) == (0, ("group_absent",), True)
        due = await queue.read(now + 90)
        assert depths(due) == [(2, 0), (2, 1)]


async def enqueued_at(queue: QueueUnderTest, priority: str) -> float:
    """When streaq says that the first task of a stream was enqueued."""
    [[_, fields]] = await queue.do("XRANGE", f"streaq:gpu:queues:{priority}", "-", "+")
    return int(fields[fields.index(b"enqueue_time") + 1]) / 1000


async def test_a_task_that_was_due_before_a_worker_came_has_waited_since(redis_url: str) -> None:
    async with streaq_and_reader(redis_url) as (streaq, queue):
        await streaq("enqueue", name="a", priority="high")
        now = await enqueued_at(queue, "high")
        await streaq("enqueue", name="old", priority="high", due=now - 500)
        await streaq("work")
        await until(lambda: started(queue, "a"))
        await streaq("enqueue", name="older", priority="high", due=now - 900)
        await until(lambda: in_stream(queue))
        tier = await queue.tier(now)
        assert (tier.waiting, tier.oldest_wait_s) == (1, 900.0)


async def in_stream(queue: QueueUnderTest) -> bool:
    return not await queue.do("ZCARD", "streaq:gpu:queues:delayed:high")


async def test_what_a_worker_holds_is_in_flight_and_it_warns_of_what_does_not_run(redis_url: str) -> None:
    async with streaq_and_reader(redis_url) as (streaq, queue):
        for name in "abcde":
            await streaq("enqueue", name=name, priority="low")
        await streaq("work", concurrency=2)
        await until(lambda: in_flight(queue, 3, NOW))
        await until(lambda: queue.do("LINDEX", "started", 1))
        demand = await queue.read()
        assert [tier.waiting for tier in demand.tiers] == [0, 2]
        assert (demand.in_flight_kind, await queue.do("SCARD", "streaq:gpu:index:running")) == (
            InFlightKind.DELIVERED,
            2,
        )
        assert "prefetch_hides_backlog" in demand.warnings
        for name in "abcd":
            await queue.do("RPUSH", f"release:{name}", "done")
        last = await settled(queue, 0, 1)
        assert "prefetch_hides_backlog" not in last.warnings


async def test_a_long_backlog_is_counted_though_tasks_that_ended_out_of_turn_made_redis_forget_the_lag(
    redis_url: str,
) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        stream = "streaq:gpu:queues:high"
        await queue.do("XGROUP", "CREATE", stream, "workers", "0", "MKSTREAM")
        for number in range(150):
            await queue.do("XADD", stream, "*", "task_id", number, "enqueue_time", int(NOW * 1000))
        [[_, taken]] = await queue.do("XREADGROUP", "GROUP", "workers", "w", "COUNT", 2, "STREAMS", stream, ">")
        await queue.do("XACK", stream, "workers", taken[1][0].decode())
        await queue.do("XDEL", stream, taken[1][0].decode())
        demand = await queue.read()
        assert (demand.waiting, demand.tiers[0].waiting_is_lower_bound, demand.in_flight) == (148, False, 1)


async def test_a_killed_workers_task_stays_in_flight_until_another_takes_it_back(redis_url: str) -> None:
    async with streaq_and_reader(redis_url) as (streaq, queue):
        await streaq("enqueue", name="a", priority="high")
        pid = await streaq("work", idle_timeout=1)
        await until(lambda: started(queue, "a"))
        await streaq("tell", pid=pid, how="SIGKILL")
        await until(lambda: streaq("ended", pid=pid))
        demand = await queue.read()
        assert (demand.waiting, demand.in_flight, demand.warnings) == (0, 1, ())
        await streaq("work", idle_timeout=1)
        await until(lambda: started(queue, "a", "a"))
        assert (await queue.read()).in_flight == 1


async def test_a_retried_task_is_delayed_and_its_running_mark_goes(redis_url: str) -> None:
    async with streaq_and_reader(redis_url) as (streaq, queue):
        await streaq("enqueue", name="a", priority="low")
        now = await enqueued_at(queue, "low")
        await streaq("work")
        await until(lambda: started(queue, "a"))
        await queue.do("RPUSH", "release:a", "retry")
        await until(lambda: in_flight(queue, 0, now))
        demand = await queue.read(now)
        assert (depths(demand), await streaq("status", name="a")) == ([(0, 0), (0, 1)], "scheduled")
        assert demand.tiers[1].next_due_at == pytest.approx(now + 3600, abs=30)


async def test_sigterm_lets_a_worker_finish_its_task_within_its_grace_period(redis_url: str) -> None:
    async with streaq_and_reader(redis_url) as (streaq, queue):
        for name in "abcd":
            await streaq("enqueue", name=name, priority="low")
        pid = await streaq("work")
        await until(lambda: started(queue, "a"))
        await streaq("tell", pid=pid, how="SIGTERM")
        await queue.do("RPUSH", "release:a", "done")
        assert await until(lambda: streaq("ended", pid=pid)) == "0"
        demand = await queue.read()
        assert (await streaq("status", name="a"), demand.waiting) == ("done", 2)
        assert demand.in_flight == 1  # taken ahead: another worker takes it after the idle timeout


async def test_a_user_with_the_least_rights_reads_everything(redis_url: str) -> None:
    async with library(PYTHON_QUEUES, "streaq_queues.py", redis_url) as streaq:
        for name in "abc":
            await streaq("enqueue", name=name, priority="high")
        await streaq("enqueue", name="later", priority="low", due=NOW)
        async with least_user(redis_url, LIBRARY.rights(SETTINGS)) as user, open_queue(user.url, SETTINGS) as queue:
            await streaq("work")
            await until(lambda: in_flight(queue, 2, NOW - 60))
            demand = await queue.read(NOW - 60)
            assert depths(demand) == [(1, 0), (0, 1)]
            assert "in_flight_unreadable" not in demand.warnings
            assert await user.refused() == []
            assert await user.excess() == set()


async def test_its_queues_are_recognised(redis_url: str) -> None:
    async with (
        library(PYTHON_QUEUES, "streaq_queues.py", redis_url) as streaq,
        open_queue(redis_url, SETTINGS) as queue,
    ):
        await streaq("enqueue", name="a", priority="low")
        await streaq("enqueue", name="b", priority="high", due=NOW)
        assert await queue.do("EXISTS", "streaq:gpu:queues:low") == 1
        [(settings, notes)] = (await recognised(redis_url)).items()
        places = [(tier.queue, tier.priority) for tier in settings.tiers]
        assert (settings.kind, places, len(notes)) == ("streaq", [("gpu", "high"), ("gpu", "low")], 1)
