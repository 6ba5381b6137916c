"""The reader of arq against arq itself."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from autoscaler.core.demand import AgeSource, Demand, InFlightKind
from autoscaler.link import Command, Reply
from autoscaler.queues.arq import LIBRARY, ArqQueue, ArqTier
from autoscaler.queues.library import Keyspace
from tests.support.acl import least_user
from tests.support.environments import ARQ
from tests.support.library import Library, library, until
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

SETTINGS = ArqQueue(kind="arq", tiers=(ArqTier(name="pro"), ArqTier(name="free", queue="low")))
HIGH = "arq:queue"


@asynccontextmanager
async def arq_and_reader(url: str) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with library(ARQ, "arq_queues.py", url) as arq, open_queue(url, SETTINGS) as queue:
        yield arq, queue


def depths(demand: Demand) -> list[tuple[int, int | None]]:
    return [(tier.waiting, tier.delayed) for tier in demand.tiers]


async def test_what_waits_is_what_arq_says_of_each_job(redis_url: str) -> None:
    async with arq_and_reader(redis_url) as (arq, queue):
        assert not (await queue.read(NOW)).seen
        await arq("enqueue", queue=HIGH, names=["first"])
        await arq("enqueue", queue=HIGH, names=["second", "third"])
        score = (await arq("jobs", queue=HIGH))["first"][1]
        for name, due in (("soon", score + 60), ("later", score + 3600)):
            await arq("enqueue", queue="low", names=[name], due=due)
        demand = await queue.read(score + 30)
        states = [Counter(state for state, _ in (await arq("jobs", queue=each)).values()) for each in (HIGH, "low")]
        assert states == [{"queued": 3}, {"deferred": 2}]
        assert depths(demand) == [(3, 0), (0, 2)]
        first = demand.tiers[0]
        assert (first.oldest_enqueued_at, first.age_source) == (score, AgeSource.EXACT)
        assert first.oldest_wait_s == pytest.approx(30)
        assert demand.tiers[1].next_due_at == (await arq("jobs", queue="low"))["soon"][1]
        assert (demand.in_flight, demand.in_flight_kind, demand.warnings) == (0, InFlightKind.EXECUTING, ())
        due_now = (await queue.read(score + 75)).tiers[1]
        assert (due_now.waiting, due_now.delayed) == (1, 1)
        assert due_now.oldest_wait_s == pytest.approx(15, abs=0.01)


async def test_jobs_at_work_are_told_from_those_that_wait_beside_them(redis_url: str) -> None:
    async with arq_and_reader(redis_url) as (arq, queue):
        await arq("enqueue", queue=HIGH, names=["a"])
        await arq("enqueue", queue=HIGH, names=["b", "c"])
        now = (await arq("jobs", queue=HIGH))["c"][1] + 10
        await arq("work", name="worker", queue=HIGH, max_jobs=1)
        await until(lambda: in_flight(queue, now, 1))
        demand, told = await queue.read(now), await arq("jobs", queue=HIGH)
        assert Counter(state for state, _ in told.values()) == {"in_progress": 1, "queued": 2}
        assert depths(demand) == [(2, 0), (0, 0)]
        assert demand.tiers[0].oldest_enqueued_at == told["b"][1]
        assert await queue.do("ZCARD", HIGH) == 3
        assert await queue.trips(now) == 2

        await queue.do("RPUSH", "release:a", "retry")
        await until(lambda: is_in(arq, "a", "deferred"))
        retried = (await queue.read(now)).tiers[0]
        assert (retried.delayed, retried.next_due_at) == (1, (await arq("jobs", queue=HIGH))["a"][1])
        for name in ("b", "c"):
            await queue.do("RPUSH", f"release:{name}", "done")
        await until(lambda: is_done(arq, "c"))
        done = await queue.read(now)
        assert (depths(done), done.in_flight) == ([(0, 1), (0, 0)], 0)


async def test_a_killed_workers_job_waits_again_when_its_key_expires(redis_url: str) -> None:
    async with arq_and_reader(redis_url) as (arq, queue):
        await arq("enqueue", queue=HIGH, names=["lost"])
        score = (await arq("jobs", queue=HIGH))["lost"][1]
        pid = await arq("work", name="worker", queue=HIGH)
        await until(lambda: in_flight(queue, score, 1))
        os.kill(pid, signal.SIGKILL)
        await until(lambda: arq("ended", name="worker"))
        dead = await queue.read(score + 5)
        assert (dead.in_flight, dead.waiting) == (1, 0)
        assert 0 < await queue.do("TTL", "arq:in-progress:lost") <= 310
        await queue.do("DEL", "arq:in-progress:lost")
        again = await queue.read(score + 5)
        assert (again.in_flight, again.waiting, again.tiers[0].oldest_enqueued_at) == (0, 1, score)


async def test_sigterm_cancels_a_job_unless_the_worker_waits_for_it(redis_url: str) -> None:
    async with arq_and_reader(redis_url) as (arq, queue):
        await arq("enqueue", queue=HIGH, names=["job"])
        now = (await arq("jobs", queue=HIGH))["job"][1]
        hasty = await arq("work", name="hasty", queue=HIGH)
        await until(lambda: queue.do("SREM", "begun", "job"))  # a signal before that leaves arq's mark for 310 s
        assert await in_flight(queue, now, 1)
        os.kill(hasty, signal.SIGTERM)
        await until(lambda: arq("ended", name="hasty"))
        assert (await queue.read(now)).waiting == 1

        patient = await arq("work", name="patient", queue=HIGH, job_completion_wait=600)
        await until(lambda: queue.do("SREM", "begun", "job"))
        os.kill(patient, signal.SIGTERM)
        await arq("enqueue", queue=HIGH, names=["next"])
        later = (await arq("jobs", queue=HIGH))["next"][1]
        await queue.do("RPUSH", "release:job", "done")
        await until(lambda: arq("ended", name="patient"))
        assert set(await arq("jobs", queue=HIGH)) == {"next"}
        assert (await queue.read(later)).in_flight == 0


async def test_a_user_with_the_least_rights_reads_everything(redis_url: str) -> None:
    async with library(ARQ, "arq_queues.py", redis_url) as arq:
        await arq("enqueue", queue=HIGH, names=["a", "b"])
        now = (await arq("jobs", queue=HIGH))["b"][1]
        await arq("work", name="worker", queue=HIGH, max_jobs=1)
        async with least_user(redis_url, LIBRARY.rights(SETTINGS)) as user, open_queue(user.url, SETTINGS) as queue:
            await until(lambda: in_flight(queue, now, 1))
            demand = await queue.read(now)
            assert (depths(demand), demand.tiers[0].age_source) == ([(1, 0), (0, 0)], AgeSource.EXACT)
            assert await user.refused() == []
            assert await user.excess() == set()


async def test_an_empty_queue_is_seen_by_the_health_check_of_its_worker(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        await queue.do(
            "SET", "low:health-check", "Nov-21 03:09:09 j_complete=0 j_failed=0 j_retried=0 j_ongoing=0 queued=0"
        )
        assert (await queue.read()).seen


async def test_its_queues_are_recognised_by_their_workers_and_their_jobs(redis_url: str) -> None:
    async with arq_and_reader(redis_url) as (arq, queue):
        await arq("enqueue", queue="low", names=["a"], due=NOW)
        await arq("work", name="worker", queue=HIGH)
        await until(lambda: queue.do("EXISTS", f"{HIGH}:health-check"))
        await queue.do("ZADD", "board", 1, "somebody")
        await queue.do("ZADD", "arq:abort", 1, "a")
        await queue.do("SET", "web:health-check", "ok")
        keys = [key.decode() for key in await queue.do("KEYS", "*")]
        keyspace = Keyspace({key: (await queue.do("TYPE", key)).decode() for key in keys})
        _, [asked] = driven(LIBRARY.find(keyspace), lambda _: None)
        replies: dict[Command, Reply] = {command: await queue.do(*command) for command in asked}  # type: ignore[arg-type]
        [found], _ = driven(LIBRARY.find(keyspace), lambda command: replies[command])
        assert found.settings == ArqQueue(
            kind="arq", tiers=(ArqTier(name="arq-queue", queue=HIGH), ArqTier(name="low", queue="low"))
        )
        assert found.keys == {*(key for key in keys if key.startswith("arq:")), "low"}


async def test_more_jobs_at_work_than_are_looked_at_count_as_waiting(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        for number in range(300):
            await queue.do("ZADD", HIGH, (NOW - 60) * 1000 + number, f"job-{number}")
            await queue.do("SET", f"arq:in-progress:job-{number}", 1)
        demand = await queue.read()
        assert (demand.in_flight, demand.waiting, demand.oldest_wait_s) == (256, 44, None)
        assert demand.warnings == ("in_flight_lower_bound",)


async def test_as_many_ids_are_looked_at_as_jobs_were_at_work(redis_url: str) -> None:
    async with open_queue(redis_url, SETTINGS) as queue:
        for number in range(300):
            await queue.do("ZADD", HIGH, (NOW - 60) * 1000 + number, f"job-{number}")
        for number in range(20):
            await queue.do("SET", f"arq:in-progress:job-{number}", 1)
        assert ((await queue.read()).in_flight, (await queue.read()).in_flight) == (20, 20)
        for number in range(20, 60):
            await queue.do("SET", f"arq:in-progress:job-{number}", 1)
        first, second = await queue.read(), await queue.read()
        assert (first.in_flight, first.waiting, first.warnings) == (56, 244, ("in_flight_lower_bound",))
        assert (second.in_flight, second.waiting, second.warnings) == (60, 240, ())
        assert second.tiers[0].oldest_wait_s == pytest.approx(60 - 0.060)


def test_a_job_done_between_two_steps_neither_waits_nor_is_at_work() -> None:
    pairs = [b"done", b"%d" % ((NOW - 900) * 1000), b"next", b"%d" % ((NOW - 5) * 1000)]
    looks = iter([pairs, pairs[2:]])

    def answer(command: Command) -> Reply:
        if command[0] == "ZRANGEBYSCORE":
            return next(looks) if command[-1] != 1 else []
        return 2 if command[:3] == ("ZCOUNT", HIGH, "-inf") else 0

    reader = LIBRARY.reader(ArqQueue(kind="arq", tiers=(ArqTier(name="pro"),)))
    demand, _ = driven(reader.read(NOW), answer)
    assert isinstance(demand, Demand)
    assert (demand.waiting, demand.in_flight, demand.oldest_wait_s) == (1, 0, 5.0)


async def in_flight(queue: QueueUnderTest, now: float, number: int) -> bool:
    return (await queue.read(now)).in_flight == number


async def is_in(arq: Library, name: str, state: str) -> bool:
    return bool((await arq("jobs", queue=HIGH))[name][0] == state)


async def is_done(arq: Library, name: str) -> bool:
    return name not in await arq("jobs", queue=HIGH)
