"""The reader of RQ against RQ itself."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.exceptions import NoPermissionError

from autoscaler.core.demand import AgeSource, Demand, InFlightKind
from autoscaler.queues.library import Keyspace, QueueTier
from autoscaler.queues.rq import LIBRARY, RqQueue
from tests.support.acl import least_user
from tests.support.environments import PYTHON_QUEUES, RQ_1, RQ_2, Environment
from tests.support.library import Library, library, until
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

TIERS = (QueueTier(name="pro", queue="high"), QueueTier(name="free", queue="low"))
SETTINGS = RqQueue(kind="rq", tiers=TIERS)
WORKER = "gpu-0@i-7f3"
HEARTBEAT_OF_A_KILLED_WORKER_S = 90.0

with_rq = pytest.mark.parametrize("environment", [PYTHON_QUEUES, RQ_2, RQ_1], ids=["rq-3", "rq-2", "rq-1"])


@asynccontextmanager
async def rq_and_reader(environment: Environment, url: str) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with library(environment, "rq_queues.py", url) as rq, open_queue(url, SETTINGS) as queue:
        yield rq, queue


def depths(demand: Demand) -> list[tuple[int, int | None]]:
    return [(tier.waiting, tier.delayed) for tier in demand.tiers]


@with_rq
async def test_what_waits_is_what_rq_counts(environment: Environment, redis_url: str) -> None:
    async with rq_and_reader(environment, redis_url) as (rq, queue):
        assert not (await queue.read(NOW)).seen
        await rq("enqueue", queue="high", name="first")
        _, first_at = await rq("job", queue="high", name="first")
        alone = await queue.tier(first_at + 12)
        assert (alone.waiting, alone.oldest_enqueued_at, alone.age_source) == (1, first_at, AgeSource.EXACT)
        assert alone.oldest_wait_s == pytest.approx(12)

        await rq("enqueue", queue="high", name="second")
        await rq("enqueue", queue="high", name="urgent", at_front=True)
        await rq("enqueue", queue="high", name="child", after="first")
        await rq("enqueue", queue="low", name="soon", due=first_at + 60)
        await rq("enqueue", queue="low", name="later", due=first_at + 3600)
        demand = await queue.read(first_at + 30)
        high, low = await rq("counts", queue="high"), await rq("counts", queue="low")
        assert (high["deferred"], low["scheduled"]) == (1, 2)
        assert depths(demand) == [(high["queued"], 0), (low["queued"], low["scheduled"])] == [(3, 0), (0, 2)]
        assert demand.tiers[0].oldest_enqueued_at == (await rq("job", queue="high", name="urgent"))[1]
        assert demand.tiers[1].next_due_at == int(first_at + 60)
        assert (demand.in_flight, demand.in_flight_kind, demand.warnings) == (0, InFlightKind.EXECUTING, ())

        due = (await queue.read(int(first_at) + 75)).tiers[1]
        assert (due.waiting, due.delayed, due.oldest_wait_s) == (1, 1, 15.0)
        assert await queue.trips() == 1


@with_rq
async def test_a_queue_that_is_empty_is_seen_if_it_was_ever_used(environment: Environment, redis_url: str) -> None:
    async with rq_and_reader(environment, redis_url) as (rq, queue):
        await rq("enqueue", queue="low", name="job")
        await queue.do("DEL", "rq:queue:low")
        assert (await queue.read(NOW)).seen


@with_rq
async def test_a_worker_at_work_is_seen_and_its_machine_busy(environment: Environment, redis_url: str) -> None:
    async with rq_and_reader(environment, redis_url) as (rq, queue):
        await rq("suspend")
        await rq("enqueue", queue="high", name="job", retries=1)
        _, enqueued_at = await rq("job", queue="high", name="job")
        paused = await queue.read(enqueued_at)
        assert (paused.paused, depths(paused)) == (True, [(1, 0), (0, 0)])

        await rq("suspend", resume=True)
        await rq("work", name=WORKER, queues=["high", "low"])
        await until(lambda: at_work(queue, enqueued_at))
        demand = await queue.read(enqueued_at)
        assert not demand.paused
        assert demand.in_flight == (await rq("counts", queue="high"))["started"] == 1
        assert depths(demand) == [(0, 0), (0, 0)]
        assert await queue.trips() == 1

        await queue.do("RPUSH", "release:job", "fail")
        await until(lambda: enqueued_again(rq, enqueued_at))
        await until(lambda: at_work(queue, enqueued_at))
        await queue.do("RPUSH", "release:job", "done")
        await until(lambda: busy(queue, enqueued_at, {}))
        assert (await queue.read(enqueued_at)).in_flight == (await rq("counts", queue="high"))["started"] == 0


@with_rq
async def test_sigterm_lets_a_worker_finish_its_job(environment: Environment, redis_url: str) -> None:
    async with rq_and_reader(environment, redis_url) as (rq, queue):
        await rq("enqueue", queue="high", name="last")
        await rq("enqueue", queue="high", name="next")
        _, enqueued_at = await rq("job", queue="high", name="last")
        pid = await rq("work", name=WORKER, queues=["high"])
        await until(lambda: at_work(queue, enqueued_at))
        os.kill(pid, signal.SIGTERM)
        await until(lambda: queue.do("HEXISTS", f"rq:worker:{WORKER}", "shutdown_requested_date"))
        assert (await queue.read(enqueued_at)).in_flight == 1
        await queue.do("RPUSH", "release:last", "done")
        assert await until(lambda: exit_code(rq)) == "0"
        assert (await rq("job", queue="high", name="last"))[0] == "finished"
        assert depths(await queue.read(enqueued_at)) == [(1, 0), (0, 0)]


@with_rq
async def test_sigterm_loses_no_job_that_a_worker_of_ours_has_just_taken(
    environment: Environment, redis_url: str
) -> None:
    options = ["--worker-class", "rq_drain.Worker", "--queue-class", "rq_interrupted.Queue"]
    async with rq_and_reader(environment, redis_url) as (rq, queue):
        for name in ("taken", "next"):
            await rq("enqueue", queue="high", name=name)
            await queue.do("RPUSH", f"release:{name}", "done")
        await rq("work", name=WORKER, queues=["high", "low"], options=options)
        assert await until(lambda: exit_code(rq)) == "0"
        assert (await rq("job", queue="high", name="taken"))[0] == "finished"
        assert (await rq("job", queue="high", name="next"))[0] == "queued"
        assert (await queue.read(NOW)).tiers[0].waiting == 1


@with_rq
async def test_sigterm_ends_a_worker_of_ours_that_has_nothing_to_do(environment: Environment, redis_url: str) -> None:
    options = ["--worker-class", "rq_drain.Worker", "--worker-ttl", "16"]
    async with rq_and_reader(environment, redis_url) as (rq, queue):
        pid = await rq("work", name=WORKER, queues=["high", "low"], options=options)
        await until(lambda: waits(queue))
        os.kill(pid, signal.SIGTERM)
        assert await until(lambda: exit_code(rq)) == "0"


@with_rq
async def test_a_killed_workers_job_counts_until_a_living_worker_takes_it_back(
    environment: Environment, redis_url: str
) -> None:
    async with rq_and_reader(environment, redis_url) as (rq, queue):
        await rq("enqueue", queue="high", name="lost", retries=1)
        _, enqueued_at = await rq("job", queue="high", name="lost")
        pid = await rq("work", name=WORKER, queues=["high"])
        await until(lambda: at_work(queue, enqueued_at))
        await until(lambda: beats_at_work(queue))
        os.kill(pid, signal.SIGKILL)
        await until(lambda: exit_code(rq))
        soon, later = [await queue.read(enqueued_at + age) for age in (60, HEARTBEAT_OF_A_KILLED_WORKER_S + 30)]
        assert (soon.in_flight, later.in_flight, later.waiting) == (1, 1, 0)
        assert await beats_at_work(queue)
        await queue.do("PEXPIRE", f"rq:worker:{WORKER}", 1)
        await until(lambda: busy(queue, enqueued_at, {}))

        for execution in await queue.do("ZRANGE", "rq:wip:high", 0, -1):  # as if the 90 s had passed,
            await queue.do("ZADD", "rq:wip:high", "XX", 1, execution)
        await queue.do("DEL", "rq:clean_registries:high")  # and RQ's quarter of an hour between two looks
        await queue.do("RPUSH", "release:lost", "done", "done")  # the killed worker's own process goes on
        await rq("work", name=f"again@{WORKER}", queues=["high"])
        await until(lambda: finished(rq, "lost"))
        assert (await queue.read(enqueued_at + 120)).in_flight == 0


@with_rq
async def test_expired_jobs_at_the_head_give_their_turn_in_age_to_the_next(
    environment: Environment, redis_url: str
) -> None:
    async with rq_and_reader(environment, redis_url) as (rq, queue):
        for name in ("a", "b", "c"):
            await rq("enqueue", queue="high", name=name, ttl=1)
        await rq("enqueue", queue="high", name="lives")
        _, enqueued_at = await rq("job", queue="high", name="lives")
        assert (await queue.tier(enqueued_at)).waiting == 4
        await until(lambda: is_gone(queue, "rq:job:c"))
        head = await queue.read(enqueued_at + 5)
        assert (head.tiers[0].waiting, head.tiers[0].oldest_enqueued_at, head.warnings) == (4, enqueued_at, ())
        assert await queue.trips() == 1

        await rq("enqueue", queue="high", name="d", at_front=True, ttl=1)
        await until(lambda: is_gone(queue, "rq:job:d"))
        dead = await queue.read(enqueued_at + 5)
        assert (dead.tiers[0].waiting, dead.tiers[0].oldest_wait_s, dead.warnings) == (5, None, ("head_expired",))


@with_rq
async def test_a_user_with_the_least_rights_reads_everything(environment: Environment, redis_url: str) -> None:
    async with library(environment, "rq_queues.py", redis_url) as rq:
        for name in ("job", "next"):
            await rq("enqueue", queue="high", name=name)
        await rq("enqueue", queue="low", name="soon", due=NOW)
        await rq("work", name=WORKER, queues=["high"])
        async with least_user(redis_url, LIBRARY.rights(SETTINGS)) as user, open_queue(user.url, SETTINGS) as queue:
            await until(lambda: busy(queue, NOW, {"i-7f3": 1}))
            await rq("suspend")
            demand = await queue.read()
            assert (demand.paused, depths(demand), demand.warnings) == (True, [(1, 0), (1, 0)], ())
            assert [tier.age_source for tier in demand.tiers] == [AgeSource.EXACT] * 2
            assert await user.refused() == []
            assert await user.excess() == set()


@with_rq
async def test_its_queues_are_recognised(environment: Environment, redis_url: str) -> None:
    async with library(environment, "rq_queues.py", redis_url) as rq, open_queue(redis_url, SETTINGS) as queue:
        await rq("enqueue", queue="low", name="soon", due=NOW)
        await rq("enqueue", queue="low", name="a")
        await rq("enqueue", queue="high", name="b")
        await queue.do("SADD", "acme:queues", "acme:queue:video")
        await queue.do("SADD", "sidekiq:queues", "default")
        keys = [key.decode() for key in await queue.do("KEYS", "*")]
        keyspace = Keyspace({key: (await queue.do("TYPE", key)).decode() for key in keys})
        replies = {("SMEMBERS", key): await queue.do("SMEMBERS", key) for key in keys if key.endswith(":queues")}
        found, _ = driven(LIBRARY.find(keyspace), lambda command: replies[command])  # type: ignore[index]
        assert [each.settings for each in found] == [
            RqQueue(kind="rq", tiers=(QueueTier(name="video", queue="video"),), key_prefix="acme"),
            RqQueue(kind="rq", tiers=(QueueTier(name="high", queue="high"), QueueTier(name="low", queue="low"))),
        ]
        assert [len(each.notes) for each in found] == [0, 1]
        assert found[1].keys == {key for key in keys if key.startswith("rq:")}


async def test_rq_3_may_put_another_prefix_before_its_keys(redis_url: str) -> None:
    settings = RqQueue(kind="rq", tiers=TIERS, key_prefix="{acme}")
    async with open_queue(redis_url, settings) as queue:
        await queue.do("RPUSH", "{acme}:queue:high", "job")
        await queue.do("HSET", "{acme}:job:job", "enqueued_at", "2027-01-15T07:59:00.000000Z")
        assert (await queue.tier()).oldest_wait_s == 60.0


async def test_a_job_enqueued_again_under_its_id_begins_to_wait_again(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("RPUSH", "rq:queue:high", "job")
        await queue.do("HSET", "rq:job:job", "enqueued_at", "2027-01-15T07:00:00.000000Z")
        assert (await queue.tier()).oldest_wait_s == 3600.0
        await queue.do("HSET", "rq:job:job", "enqueued_at", "2027-01-15T07:59:30.000000Z")
        assert (await queue.tier()).oldest_wait_s == 30.0


async def test_a_list_that_is_not_rqs_has_no_age(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do("RPUSH", "rq:queue:high", "x" * 2000)
        demand = await queue.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, None, ("age_unreadable",))


async def test_workers_that_share_a_machine_add_up(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        for worker, state in {"a@one": "busy", "b@one": "busy", "two": "busy", "c@three": "idle"}.items():
            await register(queue, worker, state)
        await queue.do("SADD", "rq:workers:low", "rq:worker:a@one", "rq:worker:expired@four", "foreign")
        assert (await queue.read()).busy == {"one": 2, "two": 1}


async def test_only_so_many_workers_are_asked(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        for number in range(201):
            await register(queue, f"w@{number}", "busy")
        demand = await queue.read()
        assert (len(demand.busy), demand.warnings) == (200, ("workers_unread",))


@pytest.mark.parametrize("refused", ["EXISTS", "SMEMBERS", "HGET"])
def test_what_workers_say_is_not_taken_for_read_where_it_was_refused(refused: str) -> None:
    replies = {"SMEMBERS": [b"rq:worker:w@one"], "HGET": b"idle", refused: NoPermissionError("no")}
    demand, _ = driven(LIBRARY.reader(SETTINGS).read(NOW), lambda command: replies.get(str(command[0]), 0))
    assert isinstance(demand, Demand)
    assert demand.warnings == ("workers_unread",)


async def register(queue: QueueUnderTest, worker: str, state: str) -> None:
    await queue.do("HSET", f"rq:worker:{worker}", "state", state)
    await queue.do("SADD", "rq:workers:high", f"rq:worker:{worker}")


async def busy(queue: QueueUnderTest, now: float, machines: dict[str, int]) -> bool:
    return (await queue.read(now)).busy == machines


async def at_work(queue: QueueUnderTest, now: float) -> bool:
    """Whether the worker has begun its job, which it is busy with a little before."""
    demand = await queue.read(now)
    return (demand.in_flight, demand.busy) == (1, {"i-7f3": 1})


async def beats_at_work(queue: QueueUnderTest) -> bool:
    """Whether the job's own process has said its first heartbeat; until then the idle worker's, of 480 s, stands."""
    return bool(0 < await queue.do("TTL", f"rq:worker:{WORKER}") <= HEARTBEAT_OF_A_KILLED_WORKER_S)


async def waits(queue: QueueUnderTest) -> bool:
    return bool(await queue.do("HGET", f"rq:worker:{WORKER}", "state") == b"idle")


async def enqueued_again(rq: Library, before: float) -> bool:
    return bool((await rq("job", queue="high", name="job"))[1] > before)


async def finished(rq: Library, name: str) -> bool:
    return bool((await rq("job", queue="high", name=name))[0] == "finished")


async def exit_code(rq: Library) -> str | None:
    """As text, since 0 would not end a wait."""
    code = await rq("ended", name=WORKER)
    return None if code is None else str(code)


async def is_gone(queue: QueueUnderTest, key: str) -> bool:
    return not await queue.do("EXISTS", key)
