"""BullMQ's queues as read here, against BullMQ itself: its three latest major versions, and its port to Python."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import TypeAdapter, ValidationError

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.discover import look
from autoscaler.queues.band import Band
from autoscaler.queues.bullmq import LIBRARY, BullmqQueue, JobHash, PriorityTier
from autoscaler.queues.caution import Caution
from autoscaler.queues.library import Keyspace
from autoscaler.queues.source import answered
from autoscaler.store.codec import decode_heartbeat
from autoscaler.store.keys import Keys
from tests.support.acl import least_user
from tests.support.environments import NODE_QUEUES, PYTHON_QUEUES, Environment
from tests.support.library import Library, library, settled, until
from tests.support.queues import NOW, QueueUnderTest, driven, open_queue

GPU = PriorityTier(name="gpu", queue="gpu")
BANDS = (
    PriorityTier(name="vip", queue="gpu", priorities=Band(0, 2)),
    PriorityTier(name="pro", queue="gpu", priorities=Band(3, 5)),
    PriorityTier(name="free", queue="gpu", priorities=Band(6)),
)


@dataclass(frozen=True)
class Version:
    """One of the libraries."""

    name: str
    environment: Environment
    script: str
    arguments: tuple[str, ...] = ()


FOUR, FIVE, SIX = (Version(name, NODE_QUEUES, "bullmq.mjs", (name,)) for name in ("bullmq4", "bullmq5", "bullmq6"))
PYTHON = Version("python", PYTHON_QUEUES, "bullmq_python.py")
with_each = pytest.mark.parametrize("version", [FOUR, FIVE, SIX, PYTHON], ids=lambda version: version.name)


def settings(*tiers: PriorityTier) -> BullmqQueue:
    return BullmqQueue(kind="bullmq", tiers=tiers or (GPU,))


@asynccontextmanager
async def process(version: Version, url: str) -> AsyncIterator[Library]:
    port = str(urlsplit(url).port)
    async with library(version.environment, version.script, port, *version.arguments) as found:
        yield found


@asynccontextmanager
async def bullmq_and(version: Version, url: str, *tiers: PriorityTier) -> AsyncIterator[tuple[Library, QueueUnderTest]]:
    async with process(version, url) as bullmq, open_queue(url, settings(*tiers)) as read:
        yield bullmq, read


async def add(bullmq: Library, ago_s: float = 0.0, **opts: Any) -> str:
    """Enqueue a job at a known time; gives its id."""
    job = await bullmq("add", **{"queue": "gpu", "timestamp": int((NOW - ago_s) * 1000), **opts})
    return str(job["id"])


@with_each
async def test_waiting_jobs_are_counted_and_the_next_one_tells_the_age(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url) as (bullmq, read):
        never = await read.read()
        assert (never.waiting, never.in_flight, never.seen, never.paused) == (0, 0, False, False)
        for ago_s in (90, 60, 30):
            await add(bullmq, ago_s)
        demand = await read.read()
        tier = demand.tiers[0]
        assert (tier.waiting, tier.oldest_wait_s, tier.age_source) == (3, 90.0, AgeSource.EXACT)
        assert (demand.seen, demand.in_flight, demand.in_flight_kind) == (True, 0, InFlightKind.EXECUTING)
        assert demand.warnings == ()
        assert (await bullmq("counts", queue="gpu"))["waiting"] == 3
        assert await read.trips() == 1
        await add(bullmq, 10, lifo=True)
        assert (await read.tier()).oldest_wait_s == 10.0
        await read.do("DEL", "bull:gpu:wait")
        async with open_queue(redis_url, settings()) as later:
            emptied = await later.read()
            assert (emptied.waiting, emptied.seen) == (0, True)


@with_each
async def test_running_jobs_stay_in_flight_when_their_worker_is_killed(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url) as (bullmq, read):
        for _ in range(3):
            await add(bullmq, 60)
        async with process(version, redis_url) as worker:
            await worker("work", queue="gpu", concurrency=2)
            assert (await settled(read, 1, 2)).in_flight_kind is InFlightKind.EXECUTING
            counts = await bullmq("counts", queue="gpu")
            assert (counts["waiting"], counts["active"]) == (1, 2)
            os.kill(worker.pid, signal.SIGKILL)
        assert (await read.read()).in_flight == 2
        async with process(version, redis_url) as worker:
            await worker("finish")
            await worker("work", queue="gpu")
            drained = await settled(read, 0, 2)
            assert (drained.oldest_wait_s, drained.seen) == (None, True)


@pytest.mark.parametrize("version", [FOUR, FIVE, SIX], ids=lambda version: version.name)
async def test_a_worker_that_is_paused_ends_what_it_has_and_takes_no_more(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url) as (bullmq, read), process(version, redis_url) as worker:
        for _ in range(2):
            await add(bullmq, 60)
        await worker("work", queue="gpu")
        await settled(read, 1, 1)
        await worker("drain")
        assert not await worker("drained")
        await worker("finish")
        await until(lambda: worker("drained"))
        left = await read.read()
        assert (left.waiting, left.in_flight, left.paused) == (1, 0, False)


@with_each
async def test_delayed_jobs_wait_once_they_are_due_though_no_worker_lives(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url) as (bullmq, read):
        await add(bullmq, delay=60_000)
        await add(bullmq, delay=90_000)
        before, after = await read.tier(NOW + 59), await read.tier(NOW + 65)
        assert (before.waiting, before.delayed, before.oldest_wait_s) == (0, 2, None)
        assert before.next_due_at == pytest.approx(NOW + 60, abs=1e-3)
        assert (after.waiting, after.delayed) == (1, 1)
        assert after.oldest_wait_s == pytest.approx(5, abs=1e-3)
        assert after.next_due_at == pytest.approx(NOW + 90, abs=1e-3)
        assert await read.do("LLEN", "bull:gpu:wait") == (1 if version is FOUR else 0)
        assert (await bullmq("counts", queue="gpu"))["delayed"] == 2
        await add(bullmq, 30, lifo=True)
        assert (await read.tier()).waiting == 1


async def is_past(read: QueueUnderTest, at: float) -> bool:
    """Whether a moment is over for Redis and whoever shares its clock."""
    seconds, microseconds = await read.do("TIME")
    return int(seconds) + int(microseconds) / 1e6 > at


@with_each
async def test_a_delayed_job_that_became_ready_waits_since_it_was_due(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url) as (bullmq, read):
        by_hand = await add(bullmq, 600, delay=3_600_000)
        await bullmq("promote", queue="gpu", id=by_hand)
        assert (await read.tier()).oldest_wait_s == 600.0
        await read.do("FLUSHALL")
        await add(bullmq)
        late = [await bullmq("add", queue="gpu", delay=300) for _ in range(2)]
        due_at = late[1]["timestamp"] / 1000 + 0.3
        await until(lambda: is_past(read, due_at))  # a worker that is full by then would promote it only once it is not
        async with process(version, redis_url) as worker:
            await worker("work", queue="gpu", concurrency=2)
            await settled(read, 1, 2)
            assert await read.do("ZCARD", "bull:gpu:delayed") == 0
            assert (await read.tier(due_at + 7)).oldest_wait_s == pytest.approx(7, abs=0.05)


async def test_a_job_whose_hash_is_gone_waits_for_an_unknown_time(redis_url: str) -> None:
    async with bullmq_and(SIX, redis_url) as (bullmq, read):
        job = await add(bullmq, 60)
        await read.do("DEL", f"bull:gpu:{job}")
        demand = await read.read()
        assert (demand.waiting, demand.oldest_wait_s, demand.warnings) == (1, None, (Caution.AGE_UNREADABLE,))
        assert demand.advice[Caution.AGE_UNREADABLE].startswith("the hash of the next job is gone")


async def retried(read: QueueUnderTest, job: str) -> bool:
    """Whether a job waits that was started before."""
    if await read.do("LINDEX", "bull:gpu:wait", -1) != job.encode():
        return False
    return bool(await read.do("HEXISTS", f"bull:gpu:{job}", "processedOn"))


@with_each
async def test_a_retried_job_waits_since_its_last_start(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url) as (bullmq, read):
        failing = await bullmq("add", queue="gpu", job="fail", attempts=2)
        await bullmq("add", queue="gpu")
        created_at = failing["timestamp"] / 1000
        assert (await read.tier(created_at + 8)).oldest_wait_s == pytest.approx(8)
        async with process(version, redis_url) as worker:
            await worker("work", queue="gpu")
            await until(lambda: retried(read, failing["id"]))
            started_at = int(await read.do("HGET", f"bull:gpu:{failing['id']}", "processedOn")) / 1000
            assert started_at > created_at
            assert (await read.tier(started_at + 40)).oldest_wait_s == pytest.approx(40)


@with_each
async def test_a_retry_with_a_backoff_is_delayed_until_it_is_due(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url) as (bullmq, read):
        await add(bullmq, job="fail", attempts=2, backoff={"type": "fixed", "delay": 60_000})
        async with process(version, redis_url) as worker:
            await worker("work", queue="gpu")
            await until(lambda: read.do("ZCARD", "bull:gpu:delayed"))
        [_, score] = await read.do("ZRANGE", "bull:gpu:delayed", 0, 0, "WITHSCORES")
        due_at = int(float(score)) // 4096 / 1000
        before, after = await read.tier(due_at - 1), await read.tier(due_at + 5)
        assert (before.waiting, before.delayed) == (0, 1)
        assert before.next_due_at == pytest.approx(due_at, abs=1e-3)
        assert after.waiting == 1
        assert after.oldest_wait_s == pytest.approx(5, abs=1e-3)


@with_each
async def test_tiers_share_a_queue_by_bands_of_priorities(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url, *BANDS) as (bullmq, read):
        for priority in (1000, 6, 5, 3, 2, 1):
            await add(bullmq, 100 + priority, priority=priority)
        assert [tier.waiting for tier in (await read.read()).tiers] == [2, 2, 2]
        await add(bullmq, 50)
        await add(bullmq, 70, priority=3)
        demand = await read.read()
        assert [(tier.waiting, tier.oldest_wait_s) for tier in demand.tiers] == [(3, 101.0), (3, 103.0), (2, 106.0)]
        if version is not FOUR:
            counts = await bullmq("priorities", queue="gpu", of=[0, 1, 2, 3, 4, 5])
            assert list(counts.values()) == [1, 1, 1, 2, 0, 1]
        counts = await bullmq("counts", queue="gpu")
        assert demand.waiting == counts["waiting"] + counts["prioritized"]
        assert await read.trips() == 1


@with_each
async def test_delayed_jobs_of_a_shared_queue_are_its_first_tiers(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url, *BANDS) as (bullmq, read):
        await add(bullmq, delay=60_000, priority=9)
        assert [tier.delayed for tier in (await read.read()).tiers] == [1, 0, 0]
        assert [tier.waiting for tier in (await read.read(NOW + 61)).tiers] == [1, 0, 0]


@with_each
async def test_jobs_of_a_paused_queue_wait_on(redis_url: str, version: Version) -> None:
    other = PriorityTier(name="cpu", queue="cpu")
    async with bullmq_and(version, redis_url) as (bullmq, read), open_queue(redis_url, settings(GPU, other)) as two:
        await add(bullmq, 60)
        await add(bullmq, 30, priority=1)
        await bullmq("pause", queue="gpu")
        await add(bullmq, 10)
        paused = await read.read()
        assert (paused.paused, paused.waiting, paused.oldest_wait_s) == (True, 3, 60.0)
        partly = await two.read()
        assert (partly.paused, partly.warnings) == (False, ("partly_paused",))
        await bullmq("pause", queue="cpu")
        assert (await two.read()).paused
        await bullmq("resume", queue="gpu")
        resumed = await read.read()
        assert (resumed.paused, resumed.waiting, resumed.oldest_wait_s) == (False, 3, 60.0)


@with_each
async def test_parents_that_wait_for_their_children_are_no_demand(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url, GPU, PriorityTier(name="album", queue="album")) as (bullmq, read):
        await bullmq("addFlow", parent="album", child="gpu")
        assert [(tier.waiting, tier.delayed) for tier in (await read.read()).tiers] == [(1, 0), (0, 0)]
        assert (await bullmq("counts", queue="album"))["waiting-children"] == 1


@with_each
async def test_the_data_of_jobs_is_never_fetched(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url) as (bullmq, read):
        await add(bullmq, 60, bytes=2_000_000)
        await add(bullmq, 60, bytes=2_000_000, priority=1)
        await add(bullmq, 60, bytes=2_000_000, delay=1000)
        assert await read.sent_bytes() < 10_000
        assert (await read.read()).waiting == 3


@with_each
async def test_a_user_with_the_least_rights_reads_everything(redis_url: str, version: Version) -> None:
    rights = LIBRARY.rights(settings(*BANDS))
    async with bullmq_and(version, redis_url) as (bullmq, _), least_user(redis_url, rights) as user:
        await add(bullmq, 60)
        await add(bullmq, 50, priority=4)
        await add(bullmq, delay=60_000)
        async with open_queue(user.url, settings(*BANDS)) as read:
            tiers = (await read.read()).tiers
        assert [(tier.waiting, tier.delayed, tier.oldest_wait_s) for tier in tiers] == [
            *((1, 1, 60.0), (1, 0, 50.0), (0, 0, None)),
        ]
        assert await user.refused() == []
        assert await user.excess() == set()


@with_each
async def test_queues_are_recognised_by_what_they_say_of_themselves(redis_url: str, version: Version) -> None:
    async with bullmq_and(version, redis_url) as (bullmq, read):
        await add(bullmq, queue="free-jobs", priority=1)
        await add(bullmq, queue="pro-jobs")
        await read.do("HSET", "shop:cart:meta", "version", "3")
        await read.do("SET", "shop:cart:id", "7")
        looked = await look(read.link, lambda _seen, _total: None)
        [found] = await answered(read.link, LIBRARY.find(looked.keyspace))
    assert found.settings == settings(
        PriorityTier(name="pro-jobs", queue="pro-jobs"), PriorityTier(name="free-jobs", queue="free-jobs")
    )
    assert found.keys == {key for key in looked.keyspace.types if key.startswith("bull:")}
    assert "jobs of queue 'free-jobs' have priorities: tiers may share it by `priorities`" in found.notes


def test_queues_are_pools_of_their_own_unless_they_differ_in_nothing_but_their_urgency() -> None:
    queues = ("gpu-high", "gpu-low", "gpu", "p4", "p5", "emails")
    keyspace = Keyspace({f"{prefix}:{queue}:meta": "hash" for prefix in ("bull", "{acme}") for queue in queues})
    found, _ = driven(LIBRARY.find(keyspace), lambda _: [b"bullmq:6.7.0", None])
    assert {(each.settings.prefix, tuple(tier.queue for tier in each.settings.tiers)) for each in found} == {
        (prefix, pool)
        for prefix in ("bull", "{acme}")
        for pool in (("gpu-high", "gpu", "gpu-low"), ("p4",), ("p5",), ("emails",))
    }


def test_an_id_need_not_be_text_and_what_is_too_long_for_one_is_not_asked_for() -> None:
    said = [b"%d" % ((NOW - 5) * 1000), b"{}", None]
    age, asked = driven(JobHash("bull:gpu:").read(b"\xff\x00", NOW), lambda _: said)
    assert (age.wait_s, asked) == (5.0, [[("HMGET", b"bull:gpu:\xff\x00", "timestamp", "opts", "processedOn")]])
    age, asked = driven(JobHash("bull:gpu:").read(b"x" * 5_000_000, NOW), lambda _: said)
    assert (age.wait_s, set(age.cautions), len(asked)) == (None, {Caution.AGE_UNREADABLE}, 0)


QUEUE: TypeAdapter[BullmqQueue] = TypeAdapter(BullmqQueue)


def test_settings_are_written_as_bullmq_calls_them() -> None:
    tiers = [
        {"name": "pro", "queue": "gpu", "priorities": "..9"},
        {"name": "free", "queue": "gpu", "priorities": "10.."},
    ]
    queue = QUEUE.validate_python({"kind": "bullmq", "tiers": tiers, "prefix": "{acme}"})
    assert [tier.priorities for tier in queue.tiers] == [Band(high=9), Band(10)]
    assert LIBRARY.rights(queue).keys == ("{acme}:gpu:*",)


@pytest.mark.parametrize(
    ("bands", "complaint"),
    [
        (["1.."], "a band of `priorities` from 0 on and found 1.."),
        (["0..9"], "a band of `priorities` from 10 on and found none"),
        (["0..9", "11.."], "a band of `priorities` from 10 on and found 11.."),
        (["10..", "0..10"], "a band of `priorities` from 11 on and found 10.."),
        (["..-1", "0.."], "a band of `priorities` from 0 on and found ..-1"),
        (["0..", "0..9"], "two tiers have the same jobs of queue 'gpu'; each needs a band of `priorities` of its own"),
        (["..", ".."], "two tiers have the same jobs of queue 'gpu'"),
    ],
)
def test_bands_that_leave_out_a_priority_or_count_one_twice_are_refused(bands: list[str], complaint: str) -> None:
    tiers = [{"name": f"t{n}", "queue": "gpu", "priorities": band} for n, band in enumerate(bands)]
    with pytest.raises(ValidationError) as refused:
        QUEUE.validate_python({"kind": "bullmq", "tiers": tiers})
    assert complaint in str(refused.value)


PAGE = Path(__file__).parents[2] / "docs" / "queues" / "bullmq.md"
HOLDS = """
async function generate() {
  while (!(await redis.exists("release"))) await new Promise((wake) => setTimeout(wake, 20));
}
"""


@asynccontextmanager
async def worker_of_the_page(version: str, url: str, directory: Path) -> AsyncIterator[None]:
    """The worker that `docs/queues/bullmq.md` shows, in haste, on the machine `i1` of the fleet `attic`."""
    NODE_QUEUES.require()
    code = re.findall(r"^```js\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)[0]
    (directory / "worker.mjs").write_text(code.replace("10_000", "50") + HOLDS)
    (directory / "node_modules").mkdir()
    for name, found in {"bullmq": version, "ioredis": "ioredis"}.items():
        (directory / "node_modules" / name).symlink_to(NODE_QUEUES.home / "node_modules" / found)
    env = {"REDIS_URL": url, "AUTOSCALER_FLEET": "attic", "AUTOSCALER_INSTANCE": "i1", "PATH": os.environ["PATH"]}
    process = await asyncio.create_subprocess_exec("node", str(directory / "worker.mjs"), env=env)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("version", [FOUR, FIVE, SIX], ids=lambda version: version.name)
async def test_the_pages_worker_beats_before_it_pulls_and_obeys_the_drain_mark(
    redis_url: str, version: Version, tmp_path: Path
) -> None:
    keys = Keys("attic")
    async with bullmq_and(version, redis_url) as (bullmq, read):

        async def says(busy: int, *, drained: bool) -> bool:
            stored = await read.do("HGET", keys.workers, "i1")
            beat = decode_heartbeat(stored) if stored else None
            return beat is not None and (beat.busy, beat.drained) == (busy, drained)

        await add(bullmq, 60)
        await read.do("SET", keys.drain("i1"), "one machine too many")
        async with worker_of_the_page(version.name, redis_url, tmp_path):
            await until(lambda: says(0, drained=True))
            assert (await read.read()).in_flight == 0, "it pulls nothing where it is marked from the start"
            await read.do("DEL", keys.drain("i1"))
            await until(lambda: says(1, drained=False))
            await add(bullmq, 30)
            await read.do("SET", keys.drain("i1"), "one machine too many")
            beat = await read.do("HGET", keys.workers, "i1")
            await until(lambda: changed(read, keys.workers, beat))
            assert await says(1, drained=False), "its job goes on"
            await read.do("SET", "release", 1)
            await until(lambda: says(0, drained=True))
            demand = await read.read()
            assert (demand.waiting, demand.in_flight) == (1, 0), "it pulled no more"
            await read.do("DEL", keys.drain("i1"))
            await until(lambda: all_done(read))


async def changed(read: QueueUnderTest, key: str, before: object) -> bool:
    """Whether the machine has beaten again."""
    return bool(await read.do("HGET", key, "i1") != before)


async def all_done(read: QueueUnderTest) -> bool:
    """Whether no job is left."""
    demand = await read.read()
    return (demand.waiting, demand.in_flight) == (0, 0)
