"""The reader of Huey against Huey itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.queues.band import Band
from autoscaler.queues.huey import LIBRARY, HueyQueue, HueyTier
from autoscaler.queues.library import Keyspace
from tests.support.acl import least_user
from tests.support.environments import PYTHON_QUEUES
from tests.support.library import Library, library, until
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

HIDDEN = "executing_hidden"
NAME = "my-app"
PLAIN = HueyQueue(kind="huey", tiers=(HueyTier(name="pro", queue=NAME),))
BY_PRIORITY = HueyQueue(
    kind="huey",
    tiers=(
        HueyTier(name="pro", queue=NAME, priorities=Band(10)),
        HueyTier(name="free", queue=NAME, priorities=Band(high=9)),
    ),
    priority=True,
)


@asynccontextmanager
async def huey_and_reader(
    url: str, settings: HueyQueue, *, zone: str = "UTC", keep: str = "utc"
) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    name = "PriorityRedisHuey" if settings.priority else "RedisHuey"
    async with (
        library(PYTHON_QUEUES, "huey_queues.py", url, name, NAME, zone, keep) as huey,
        open_queue(url, settings) as queue,
    ):
        yield huey, queue


async def scheduled(huey: Library, number: int) -> bool:
    counts: list[int] = await huey("counts")
    return counts == [0, number]


async def is_over(huey: Library, pid: int) -> str | None:
    code: str | None = await huey("ended", pid=pid)
    return code


async def test_what_waits_is_what_huey_counts(redis_url: str) -> None:
    async with huey_and_reader(redis_url, PLAIN) as (huey, queue):
        empty = await queue.read(NOW)
        assert (empty.seen, empty.waiting) == (False, 0)
        await huey("send", times=3)
        demand = await queue.read(NOW + 5)
        assert [demand.waiting, demand.tiers[0].delayed] == await huey("counts") == [3, 0]
        assert (demand.tiers[0].oldest_wait_s, demand.tiers[0].age_source) == (5.0, AgeSource.ESTIMATED)
        assert (demand.in_flight, demand.in_flight_kind, demand.warnings) == (None, InFlightKind.HIDDEN, (HIDDEN,))
        assert await queue.trips(NOW + 10) == 1


async def test_priorities_are_tiers_of_exact_ages(redis_url: str) -> None:
    async with huey_and_reader(redis_url, BY_PRIORITY) as (huey, queue):
        await huey("send")
        free_at = await huey("now")
        await huey("send", priority=9)
        await huey("send", priority=9)
        await huey("send", priority=10)
        pro_at = await huey("now")
        await huey("send", priority=100)
        demand = await queue.read(pro_at + 60)
        assert demand.waiting == (await huey("counts"))[0] == 5
        pro, free = demand.tiers
        assert (pro.waiting, free.waiting) == (2, 3)
        assert pro.age_source is free.age_source is AgeSource.EXACT
        assert pro.oldest_enqueued_at == pytest.approx(pro_at, abs=0.2)
        assert free.oldest_enqueued_at == pytest.approx(free_at, abs=0.2)
        assert (pro.oldest_wait_s or 0.0) < (free.oldest_wait_s or 0.0)
        assert await queue.trips(pro_at) == 1


@pytest.mark.parametrize("settings", [PLAIN, BY_PRIORITY])
async def test_scheduled_tasks_that_come_due_wait_though_no_consumer_lives(redis_url: str, settings: HueyQueue) -> None:
    async with huey_and_reader(redis_url, settings) as (huey, queue):
        pid = await huey("start")
        sent_at = await huey("send", delay=600)
        await huey("send", delay=60)
        await until(lambda: scheduled(huey, 2))
        await huey("tell", pid=pid, how="SIGKILL")
        first = await queue.tier(sent_at + 30)
        assert (first.waiting, first.delayed) == (0, 2)
        assert first.next_due_at == pytest.approx(sent_at + 60, abs=1)
        demand = await queue.read(sent_at + 70)
        assert (demand.waiting, demand.tiers[0].waiting, demand.tiers[0].delayed) == (1, 1, 1)
        assert demand.tiers[0].oldest_wait_s == pytest.approx(10, abs=1)


@pytest.mark.parametrize(("keep", "off_by_s"), [("local", 0.0), ("utc", 5 * 3600.0)])
async def test_outside_utc_due_times_are_true_only_where_huey_keeps_local_times(
    redis_url: str, keep: str, off_by_s: float
) -> None:
    async with huey_and_reader(redis_url, PLAIN, zone="EST5", keep=keep) as (huey, queue):
        await huey("start")
        sent_at = await huey("send", delay=600)
        await until(lambda: scheduled(huey, 1))
        assert (await queue.tier(sent_at)).next_due_at == pytest.approx(sent_at + 600 + off_by_s, abs=1)


async def test_tasks_at_work_are_hidden_and_end_only_with_the_graceful_signal(redis_url: str) -> None:
    async with huey_and_reader(redis_url, PLAIN) as (huey, queue):
        pid = await huey("start", arguments=["--graceful-signal", "TERM"])
        await huey("send", times=2)
        await until(lambda: queue.do("EXISTS", "test:begun"))
        demand = await queue.read(NOW)
        assert (demand.waiting, demand.in_flight, demand.warnings) == (1, None, (HIDDEN,))
        await huey("tell", pid=pid, how="SIGTERM")
        await queue.do("RPUSH", "test:say", "done", "done")  # one more may begin before it heeds the signal
        assert await until(lambda: is_over(huey, pid)) == "0"
        assert (await queue.read(NOW)).waiting == (await huey("counts"))[0]


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_a_task_whose_consumer_is_ended_is_lost(redis_url: str, how: str) -> None:
    async with huey_and_reader(redis_url, PLAIN) as (huey, queue):
        pid = await huey("start")
        await huey("send")
        await until(lambda: queue.do("EXISTS", "test:begun"))
        await huey("tell", pid=pid, how=how)
        await until(lambda: is_over(huey, pid))
        demand = await queue.read(NOW)
        assert (demand.waiting, demand.in_flight, await huey("counts")) == (0, None, [0, 0])


async def test_a_task_that_failed_waits_again_or_is_scheduled(redis_url: str) -> None:
    async with huey_and_reader(redis_url, BY_PRIORITY) as (huey, queue):
        await huey("start")
        sent_at = await huey("send", retries=1, retry_delay=30)
        await queue.do("RPUSH", "test:say", "fail")
        await until(lambda: scheduled(huey, 1))
        demand = await queue.read(sent_at)
        assert (demand.waiting, demand.tiers[0].delayed) == (0, 1)
        assert (await queue.read(sent_at + 60)).waiting == 1


@pytest.mark.parametrize("settings", [PLAIN, BY_PRIORITY])
async def test_large_tasks_are_fetched_seldom(redis_url: str, settings: HueyQueue) -> None:
    async with huey_and_reader(redis_url, settings) as (huey, queue):
        now = await huey("now")
        await queue.read(now)
        await huey("send", size=2_000_000, times=2, priority=10 if settings.priority else None)
        await queue.read(now)
        assert await queue.sent_bytes(now + 5) < 20_000
        demand = await queue.read(now + 10)
        assert (demand.waiting, "payload_too_large" in demand.warnings) == (2, True)
        assert demand.oldest_wait_s is not None


@pytest.mark.parametrize("settings", [PLAIN, BY_PRIORITY])
async def test_a_user_of_exactly_the_rights_reads_everything(redis_url: str, settings: HueyQueue) -> None:
    async with huey_and_reader(redis_url, settings) as (huey, queue):
        await huey("send", times=2)
        await queue.do("ZADD", "huey.schedule.myapp", NOW - 5, "a", NOW + 5, "b")
        async with least_user(redis_url, LIBRARY.rights(settings)) as user:
            async with open_queue(user.url, settings) as reader:
                for _ in range(2):
                    assert (await reader.read(NOW)).waiting == 3
            assert await user.refused() == []
            assert await user.excess() == set()


async def test_the_class_of_a_huey_that_is_not_as_configured_is_told(redis_url: str) -> None:
    async with huey_and_reader(redis_url, BY_PRIORITY) as (huey, _), open_queue(redis_url, PLAIN) as queue:
        await huey("send")
        assert (await queue.unknown()).reason == "queue key 'huey.redis.myapp' holds a zset; expected a list"


def test_hueys_are_recognised_among_other_keys() -> None:
    types = {
        "huey.redis.gpu": "list",
        "huey.schedule.gpu": "zset",
        "huey.results.gpu": "hash",
        "huey.redis.high": "zset",
        "huey.r.high.1": "string",
        "huey.schedule.idle": "zset",
    }
    plain, by_priority = driven(LIBRARY.find(Keyspace(types | {"huey": "list", "gpu": "list"})), lambda _: None)[0]
    assert plain.settings == HueyQueue(
        kind="huey", tiers=(HueyTier(name="gpu", queue="gpu"), HueyTier(name="idle", queue="idle"))
    )
    assert by_priority.settings == HueyQueue(kind="huey", tiers=(HueyTier(name="high", queue="high"),), priority=True)
    assert plain.keys | by_priority.keys == set(types)
    assert len(plain.notes) == 2


@pytest.mark.parametrize(
    ("tiers", "priority", "complaint"),
    [
        ((HueyTier(name="a", queue="my-app"), HueyTier(name="b", queue="myapp")), False, "each needs its own"),
        ((HueyTier(name="a", queue="q", priorities=Band(1)), HueyTier(name="b", queue="q")), True, "overlap"),
        ((HueyTier(name="a", queue="q", priorities=Band(1)),), False, "`priority: true`"),
    ],
)
def test_tiers_that_cannot_be_told_apart_are_refused(
    tiers: tuple[HueyTier, ...], priority: bool, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        HueyQueue(kind="huey", tiers=tiers, priority=priority)
