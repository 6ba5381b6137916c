"""The reader of Dramatiq against Dramatiq itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from autoscaler.core.demand import AgeSource, Demand, InFlightKind
from autoscaler.queues.dramatiq import LIBRARY, DramatiqQueue
from autoscaler.queues.library import Keyspace, QueueTier
from tests.support.acl import least_user
from tests.support.environments import PYTHON_QUEUES
from tests.support.library import Library, library, until
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

TIERS = (QueueTier(name="pro", queue="high"), QueueTier(name="free", queue="low"))
DEAD_AFTER_S = 60.0


@asynccontextmanager
async def dramatiq_and_reader(
    url: str, *, namespace: str = "dramatiq", encoder: str = "json"
) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    settings = DramatiqQueue(kind="dramatiq", tiers=TIERS, namespace=namespace)
    async with (
        library(PYTHON_QUEUES, "dramatiq_app.py", url, namespace, encoder) as dramatiq,
        open_queue(url, settings) as queue,
    ):
        yield dramatiq, queue


def depths(demand: Demand) -> list[tuple[int, int | None]]:
    return [(tier.waiting, tier.delayed) for tier in demand.tiers]


async def in_flight(queue: QueueUnderTest, now: float, number: int) -> Demand | None:
    demand = await queue.read(now)
    return demand if demand.in_flight == number else None


async def delayed_in_memory(queue: QueueUnderTest) -> bool:
    return (await queue.do("HLEN", "dramatiq:high.DQ.msgs"), await queue.do("LLEN", "dramatiq:high.DQ")) == (1, 0)


async def is_over(dramatiq: Library, pid: int) -> str | None:
    code: str | None = await dramatiq("ended", pid=pid)
    return code


@pytest.mark.parametrize("namespace", ["dramatiq", "{acme}"])
async def test_what_waits_is_what_dramatiq_counts(redis_url: str, namespace: str) -> None:
    async with dramatiq_and_reader(redis_url, namespace=namespace) as (dramatiq, queue):
        assert not (await queue.read(NOW)).seen
        first_at, _ = await dramatiq("send", queue="high")
        await dramatiq("send", queue="high", times=2)
        demand = await queue.read(first_at + 12)
        assert depths(demand) == [(await dramatiq("count", queue="high"), 0), (0, 0)] == [(3, 0), (0, 0)]
        assert demand.tiers[0].oldest_enqueued_at == first_at
        assert demand.tiers[0].oldest_wait_s == pytest.approx(12)
        assert demand.tiers[0].age_source is AgeSource.EXACT
        assert (demand.in_flight, demand.in_flight_kind, demand.warnings) == (0, InFlightKind.DELIVERED, ())
        assert await queue.trips(first_at + 13) == 1


async def test_delayed_messages_that_come_due_wait_though_no_worker_lives(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url) as (dramatiq, queue):
        due_at = [(await dramatiq("send", queue="high", delay=delay))[1] for delay in (3600, 60, 600)]
        now = due_at[1] - 30
        await queue.read(now)
        demand = await queue.read(now)
        high = demand.tiers[0]
        assert (high.waiting, high.delayed) == (0, await dramatiq("count", queue="high")) == (0, 3)
        assert (high.next_due_at, demand.warnings) == (due_at[1], ())
        high = await queue.tier(due_at[1] + 5)
        assert (high.waiting, high.delayed, high.next_due_at) == (1, 2, due_at[2])
        assert high.oldest_wait_s == pytest.approx(5)
        assert await queue.trips(now) == 1


async def test_a_message_that_was_delayed_is_as_old_as_its_time_in_the_queue(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url) as (dramatiq, queue):
        now, _ = await dramatiq("send", queue="high")
        await dramatiq("start", queue="high", prefetch=1)
        await until(lambda: in_flight(queue, now, 1))
        await dramatiq("send", queue="high", delay=3)
        await until(lambda: delayed_in_memory(queue))
        assert (await queue.tier(now + 3600)).waiting == 0
        await until(lambda: queue.do("LLEN", "dramatiq:high"))
        high = await queue.tier(now + 3605)
        assert (high.waiting, high.oldest_wait_s, high.age_source) == (1, 5.0, AgeSource.ESTIMATED)


@pytest.mark.parametrize(("prefetch", "taken"), [(0, 2), (1, 1)])
async def test_messages_that_a_worker_took_are_in_flight(redis_url: str, prefetch: int, taken: int) -> None:
    async with dramatiq_and_reader(redis_url) as (dramatiq, queue):
        sent_at, _ = await dramatiq("send", queue="high", times=5)
        pid = await dramatiq("start", queue="high", prefetch=prefetch)
        demand = await until(lambda: in_flight(queue, sent_at, taken))
        assert demand.tiers[0].waiting + taken == await dramatiq("count", queue="high")
        assert demand.warnings == ("prefetch_hides_backlog",)
        await queue.do("RPUSH", "test:say", *["done"] * 4)
        await until(lambda: in_flight(queue, sent_at, 1))

        await dramatiq("send", queue="high", delay=3600)
        await until(lambda: delayed_in_memory(queue))
        demand = await queue.read(sent_at)
        assert (demand.tiers[0].delayed, demand.tiers[0].next_due_at) == (1, None)
        assert "delayed_unknown" in demand.warnings

        await dramatiq("tell", pid=pid, how="SIGTERM")
        await until(lambda: queue.do("EXISTS", "test:stopping"))
        await queue.do("RPUSH", "test:say", "done")
        assert await until(lambda: is_over(dramatiq, pid)) == "0"
        demand = await queue.read(sent_at)
        assert (depths(demand)[0], demand.in_flight, demand.warnings) == ((0, 1), 0, ())
        assert demand.tiers[0].next_due_at is not None


async def test_a_stopped_worker_puts_back_what_it_did_not_start_and_finishes_its_job(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url) as (dramatiq, queue):
        sent_at, _ = await dramatiq("send", queue="high", times=3)
        pid = await dramatiq("start", queue="high")
        await until(lambda: in_flight(queue, sent_at, 2))
        await dramatiq("tell", pid=pid, how="SIGTERM")
        await until(lambda: queue.do("EXISTS", "test:stopping"))
        await queue.do("RPUSH", "test:say", "done")
        assert await until(lambda: is_over(dramatiq, pid)) == "0"
        demand = await queue.read(sent_at)
        assert (depths(demand)[0], demand.in_flight) == ((2, 0), 0)
        assert demand.waiting == await dramatiq("count", queue="high")


async def test_what_a_killed_worker_held_stays_in_flight(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url) as (dramatiq, queue):
        await dramatiq("send", queue="high")
        pid = await dramatiq("start", queue="high")
        now = await dramatiq("now")
        await until(lambda: in_flight(queue, now, 1))
        await dramatiq("send", queue="high", delay=3600)
        await until(lambda: delayed_in_memory(queue))
        await dramatiq("tell", pid=pid, how="SIGKILL")
        await until(lambda: is_over(dramatiq, pid))
        now = await dramatiq("now")
        assert (await queue.read(now)).in_flight == 1
        later = await queue.read(now + DEAD_AFTER_S + 1)
        assert (later.in_flight, later.waiting) == (2, 0)
        assert (await dramatiq("count", queue="high")) == 2


async def test_a_message_that_failed_is_delayed_until_it_is_tried_again(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url) as (dramatiq, queue):
        sent_at, _ = await dramatiq("send", queue="high")
        pid = await dramatiq("start", queue="high")
        await queue.do("RPUSH", "test:say", "fail")
        await until(lambda: delayed_in_memory(queue))
        await dramatiq("tell", pid=pid, how="SIGTERM")
        assert await until(lambda: is_over(dramatiq, pid)) == "0"
        demand = await queue.read(sent_at)
        assert (depths(demand)[0], demand.in_flight) == ((0, 1), 0)
        due_at = demand.tiers[0].next_due_at
        assert due_at is not None
        assert 15 < due_at - sent_at < 60
        assert (await queue.tier(due_at + 1)).waiting == 1


async def test_large_messages_are_fetched_once_and_their_ages_estimated(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url) as (dramatiq, queue):
        now = await dramatiq("now")
        await queue.read(now)
        await dramatiq("send", queue="high", size=2_000_000, times=3)
        assert await queue.sent_bytes(now + 5) > 2_000_000
        for tick in range(2, 5):
            await queue.do("LPOP", "dramatiq:high")
            assert await queue.sent_bytes(now + 5 * tick) < 20_000
            demand = await queue.read(now + 5 * tick)
            if demand.waiting:
                high = demand.tiers[0]
                assert high.oldest_wait_s == pytest.approx(5 * tick)
                assert high.age_source is AgeSource.ESTIMATED
                assert "payload_too_large" in demand.warnings


async def test_large_delayed_messages_are_read_once_and_seldom(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url) as (dramatiq, queue):
        due_at = [(await dramatiq("send", queue="high", delay=delay, size=500_000))[1] for delay in (3600, 600)]
        now = await dramatiq("now")
        assert 500_000 < await queue.sent_bytes(now) < 600_000
        assert await queue.sent_bytes(now + 5) < 20_000
        first = await queue.read(now + 5)
        assert (first.tiers[0].next_due_at, first.warnings) == (due_at[0], ("delayed_unknown",))
        await queue.read(now + 40)
        second = await queue.read(now + 80)
        assert (second.tiers[0].next_due_at, second.warnings) == (due_at[1], ())
        assert await queue.sent_bytes(now + 120) < 20_000


async def test_pickled_messages_are_counted_and_not_read(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url, encoder="pickle") as (dramatiq, queue):
        now = await dramatiq("now")
        await queue.read(now)
        await dramatiq("send", queue="high")
        await dramatiq("send", queue="low", delay=3600)
        demand = await queue.read(now + 5)
        assert depths(demand) == [(1, 0), (1, 0)]
        assert demand.warnings == ("delayed_unknown",)
        assert demand.tiers[0].age_source is AgeSource.ESTIMATED


async def test_a_user_of_exactly_the_rights_reads_everything(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url) as (dramatiq, queue):
        sent_at, _ = await dramatiq("send", queue="high")
        await dramatiq("send", queue="high", delay=60)
        await queue.do("ZADD", "dramatiq:__heartbeats__", 0, "dead")
        await queue.do("SADD", "dramatiq:__acks__.dead.low.DQ", "gone")
        await queue.do("HSET", "dramatiq:low.DQ.msgs", "gone", "{}")
        settings = DramatiqQueue(kind="dramatiq", tiers=TIERS)
        async with least_user(redis_url, LIBRARY.rights(settings)) as user:
            async with open_queue(user.url, settings) as reader:
                demand = await reader.read(sent_at + 70)
                assert (depths(demand), demand.in_flight) == ([(2, 0), (0, 1)], 1)
                await queue.do("DEL", "dramatiq:high")
                await reader.read(sent_at + 80)
            assert await user.refused() == []
            assert await user.excess() == set()


async def test_its_queues_are_recognised_among_other_keys(redis_url: str) -> None:
    async with dramatiq_and_reader(redis_url, namespace="acme") as (dramatiq, queue):
        await dramatiq("send", queue="low")
        await dramatiq("send", queue="high", delay=60)
        keys = [key.decode() for key in await queue.do("KEYS", "*")]
        types = {key: (await queue.do("TYPE", key)).decode() for key in keys}
        [found], asked = driven(LIBRARY.find(Keyspace(types | {"low": "list", "low.msgs": "hash"})), lambda _: None)
        tiers = (QueueTier(name="high", queue="high"), QueueTier(name="low", queue="low"))
        assert (found.settings, asked) == (DramatiqQueue(kind="dramatiq", tiers=tiers, namespace="acme"), [])
        assert found.keys == set(types)
        assert len(found.notes) == 1
