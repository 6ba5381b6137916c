"""The reader of Sidekiq against Sidekiq 6.4, as Debian has it, and against jobs as Sidekiq 8 writes them."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from autoscaler.core.demand import AgeSource, Demand, InFlightKind
from autoscaler.queues.library import QueueTier
from autoscaler.queues.sidekiq import LIBRARY, SidekiqQueue
from tests.support.acl import least_user
from tests.support.environments import Environment
from tests.support.library import Library, library, until
from tests.support.queues import NOW, QueueUnderTest, open_queue
from tests.support.recognise import recognised

GPU = QueueTier(name="gpu", queue="gpu")
SETTINGS = SidekiqQueue(kind="sidekiq", tiers=(GPU,))
SHARED = SidekiqQueue(kind="sidekiq", tiers=(QueueTier(name="vip", queue="vip"), GPU))


class Debian(Environment):
    """A package of Debian and the Ruby that it needs."""

    def require(self) -> None:
        if shutil.which("sidekiq") is None:
            pytest.skip(f"{self.name}: not installed")

    def command(self, script: Path, *arguments: str) -> list[str]:
        return ["ruby", str(script), *arguments]


SIDEKIQ = Debian("ruby-sidekiq", ())


@asynccontextmanager
async def sidekiq_and_reader(
    url: str, settings: SidekiqQueue = SETTINGS
) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with library(SIDEKIQ, "sidekiq_queues.rb", url) as sidekiq, open_queue(url, settings) as queue:
        yield sidekiq, queue


async def started(queue: QueueUnderTest, number: int) -> bool:
    return bool(await queue.do("LLEN", "started") == number)


async def is_busy(queue: QueueUnderTest, number: int, now: float = NOW) -> Demand | None:
    """What is read once that many jobs are in flight; processes tell at each heartbeat."""
    demand = await queue.read(now)
    return demand if demand.in_flight == number else None


async def test_what_waits_is_what_sidekiq_counts(redis_url: str) -> None:
    async with sidekiq_and_reader(redis_url) as (sidekiq, queue):
        assert not (await queue.read()).seen
        await sidekiq("enqueue", queue="gpu", name="a")
        first = await sidekiq("counts", queue="gpu")
        now = first["first_at"]
        await sidekiq("enqueue", queue="gpu", name="b")
        await sidekiq("enqueue", queue="gpu", name="soon", due=now + 60)
        await sidekiq("enqueue", queue="gpu", name="later", due=now + 3600)
        counts = await sidekiq("counts", queue="gpu")
        demand = await queue.read(now + 30)
        [tier] = demand.tiers
        assert (tier.waiting, tier.delayed) == (counts["size"], counts["scheduled"]) == (2, 2)
        assert (tier.oldest_enqueued_at, tier.age_source) == (now, AgeSource.EXACT)
        assert tier.next_due_at == pytest.approx(now + 60)
        assert (demand.in_flight, demand.in_flight_kind, demand.warnings) == (0, InFlightKind.EXECUTING, ())
        due = await queue.tier(now + 90)
        assert (due.waiting, due.delayed) == (3, 1)


async def test_jobs_for_later_that_may_be_anothers_are_not_counted_but_told(redis_url: str) -> None:
    async with sidekiq_and_reader(redis_url) as (sidekiq, queue):
        await sidekiq("enqueue", queue="gpu", name="a")
        await sidekiq("enqueue", queue="gpu", name="soon", due=NOW)
        assert (await queue.tier(NOW + 1)).waiting == 2
        await sidekiq("enqueue", queue="mails", name="m")
        demand = await queue.read(NOW + 1)
        assert (demand.waiting, demand.tiers[0].delayed, demand.warnings) == (1, None, ("delayed_unknown",))


async def test_jobs_for_later_of_a_pool_with_several_queues_count_in_the_last(redis_url: str) -> None:
    async with sidekiq_and_reader(redis_url, SHARED) as (sidekiq, queue):
        await sidekiq("enqueue", queue="vip", name="a", due=NOW)
        demand = await queue.read(NOW + 1)
        assert ([tier.waiting for tier in demand.tiers], demand.warnings) == ([0, 1], ("delayed_unknown",))


async def test_processes_tell_what_is_in_flight_until_they_are_quiet_and_done(redis_url: str) -> None:
    async with sidekiq_and_reader(redis_url) as (sidekiq, queue):
        for name in ("fails", "last", "left"):
            await sidekiq("enqueue", queue="gpu", name=name)
        now = (await sidekiq("counts", queue="gpu"))["first_at"]
        pid = await sidekiq("work", queues=["gpu"], host="i-7f3")
        await until(lambda: started(queue, 1))
        await queue.do("RPUSH", "release:fails", "retry")
        await until(lambda: started(queue, 2))
        demand = await until(lambda: is_busy(queue, 1, now))
        counts = await sidekiq("counts", queue="gpu")
        assert (demand.in_flight, dict(demand.busy), demand.warnings) == (counts["busy"], {"i-7f3": 1}, ())
        assert (demand.waiting, demand.tiers[0].delayed) == (counts["size"], counts["retries"]) == (1, 1)

        await sidekiq("tell", pid=pid, how="TSTP")
        await until(lambda: is_quiet(queue))
        await queue.do("RPUSH", "release:last", "done")
        demand = await until(lambda: is_busy(queue, 0, now))
        assert (demand.waiting, dict(demand.busy), await started(queue, 2)) == (1, {}, True)
        await sidekiq("tell", pid=pid, how="TERM")
        assert await until(lambda: sidekiq("ended", pid=pid)) == "0"


async def is_quiet(queue: QueueUnderTest) -> bool:
    [process] = await queue.do("SMEMBERS", "processes")
    return bool(await queue.do("HGET", process.decode(), "quiet") == b"true")


async def test_a_killed_process_counts_until_its_heartbeat_expires(redis_url: str) -> None:
    async with sidekiq_and_reader(redis_url) as (sidekiq, queue):
        await sidekiq("enqueue", queue="gpu", name="lost")
        await sidekiq("enqueue", queue="mails", name="m")
        pid = await sidekiq("work", queues=["gpu"], host="i-7f3")
        demand = await until(lambda: is_busy(queue, 1))
        assert demand.warnings == ("in_flight_shared",)
        await sidekiq("tell", pid=pid, how="KILL")
        await until(lambda: sidekiq("ended", pid=pid))
        assert (await queue.read()).in_flight == 1
        [process] = await queue.do("SMEMBERS", "processes")
        assert 0 < await queue.do("TTL", process.decode()) <= 60
        await queue.do("DEL", process.decode())
        assert (await queue.read()).in_flight == 0
        assert await queue.do("SISMEMBER", "processes", process.decode()) == 1


async def push(queue: QueueUnderTest, enqueued_at: float, *, prefix: str = "") -> None:
    """A job as Sidekiq writes it: milliseconds since version 8, seconds before."""
    job = {"class": "Hold", "jid": "b4a577edbccf1d805744efa9", "queue": "gpu", "args": ["x"]}
    await queue.do("SADD", f"{prefix}queues", "gpu")
    await queue.do("LPUSH", f"{prefix}queue:gpu", json.dumps({**job, "enqueued_at": enqueued_at}))


@pytest.mark.parametrize("enqueued_at", [int((NOW - 30) * 1000), NOW - 30.0])
async def test_times_are_read_as_each_version_writes_them(redis_url: str, enqueued_at: float) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await push(queue, enqueued_at)
        assert (await queue.tier()).oldest_wait_s == 30.0


async def test_a_namespace_is_before_every_key(redis_url: str) -> None:
    settings = SidekiqQueue(kind="sidekiq", tiers=(GPU,), namespace="acme")
    async with open_queue(redis_url, settings) as queue:
        await push(queue, NOW, prefix="acme:")
        await queue.do("ZADD", "acme:retry", NOW + 60, "a job")
        await queue.do("SADD", "acme:processes", "i-7f3:8:b47c43a80675")
        await queue.do("HSET", "acme:i-7f3:8:b47c43a80675", "busy", 2, "beat", NOW)
        demand = await queue.read()
        assert (demand.waiting, demand.tiers[0].delayed, demand.in_flight) == (1, 1, 2)
        assert list(await recognised(redis_url)) == [settings]


async def test_a_process_that_does_not_say_how_busy_it_is_leaves_the_number_in_flight_unknown(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("SADD", "processes", "fd00::7:8:b47c43a80675", "i-7f3:8:b47c43a80675")
        await queue.do("HSET", "fd00::7:8:b47c43a80675", "busy", 2, "beat", NOW)
        gone = await queue.read()
        assert (gone.in_flight, dict(gone.busy)) == (2, {"fd00::7": 2})
        await queue.do("HSET", "i-7f3:8:b47c43a80675", "beat", NOW)
        demand = await queue.read()
        assert (demand.in_flight, demand.warnings) == (None, ("in_flight_unreadable",))


async def test_a_user_with_the_least_rights_reads_everything(redis_url: str) -> None:
    async with (
        open_queue(redis_url, SETTINGS) as admin,
        least_user(redis_url, LIBRARY.rights(SETTINGS)) as user,
        open_queue(user.url, SETTINGS) as queue,
    ):
        await push(admin, NOW - 30)
        await admin.do("ZADD", "schedule", NOW + 60, "a job")
        await admin.do("SADD", "processes", "i-7f3:8:b47c43a80675")
        await admin.do("HSET", "i-7f3:8:b47c43a80675", "busy", 2, "beat", NOW)
        demand = await queue.read()
        assert (demand.waiting, demand.tiers[0].delayed, demand.in_flight, demand.oldest_wait_s) == (1, 1, 2, 30.0)
        assert await user.refused() == []
        assert await user.excess() == set()


async def test_its_queues_are_recognised_and_those_of_resque_are_not(redis_url: str) -> None:
    async with sidekiq_and_reader(redis_url) as (sidekiq, queue):
        await sidekiq("enqueue", queue="default", name="a")
        await sidekiq("enqueue", queue="critical", name="b")
        await queue.do("SADD", "resque:queues", "video")
        await queue.do("RPUSH", "resque:queue:video", "{}")
        await queue.do("SADD", "shop:queues", "till")
        tiers = (QueueTier(name="critical", queue="critical"), QueueTier(name="default", queue="default"))
        found = [settings for settings in await recognised(redis_url) if isinstance(settings, SidekiqQueue)]
        assert found == [SidekiqQueue(kind="sidekiq", tiers=tiers)]
