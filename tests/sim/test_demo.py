"""The demo's queue in a real Redis, and its story on virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from importlib.resources import files

import pytest

from autoscaler.config import Config, load_config
from autoscaler.core.demand import AgeSource, Demand, Unknown
from autoscaler.core.lifecycle import Phase
from autoscaler.demo import DEMO_TRAFFIC, DemoTraffic, RedisJobSource
from autoscaler.link import RedisLink, RedisSettings
from autoscaler.queues import make_reader
from autoscaler.queues.list import ListQueue
from autoscaler.queues.source import QueueDemand
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.decider import PoolSetup
from autoscaler.runtime.entropy import Entropy, seeded
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.ports import Changes, Heartbeat
from autoscaler.runtime.rounds import go_round
from autoscaler.runtime.supervise import Wake
from autoscaler.sim.provider import SimulatedProvider
from autoscaler.sim.traffic import Traffic, arrivals
from autoscaler.sim.workers import SimulatedWorkers
from autoscaler.store.keys import Keys
from autoscaler.store.memory import MemoryState, MemoryStore
from autoscaler.store.redis import RedisStore
from policies import POLICIES
from tests.support.build import NOW
from tests.support.jobs import MemoryQueue
from tests.support.rehearsal import NoProbe, Watcher
from tests.support.stores import an_instance

FLEET = "demo"


def packaged(name: str) -> Config:
    return load_config((files("autoscaler") / f"{name}.yaml").read_text(encoding="utf-8"), {})


def demo_queue() -> ListQueue:
    queue = packaged("demo").pools["images"].queue
    assert isinstance(queue, ListQueue)
    return queue


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[RedisLink]:
    link = RedisLink(redis_url)
    yield link
    await link.close()


@pytest.fixture
def clock() -> LoopClock:
    return LoopClock(epoch=NOW)


@pytest.fixture
def source(link: RedisLink, clock: LoopClock) -> RedisJobSource:
    return RedisJobSource(link, demo_queue(), FLEET, clock)


async def ask(link: RedisLink, *words: str | int) -> object:
    [reply] = await link.execute([words])
    return reply


@pytest.mark.parametrize("name", ["demo", "default"])
def test_a_packaged_configuration_rents_nothing_real_and_needs_no_redis(name: str) -> None:
    config = packaged(name)
    assert config.redis == RedisSettings(url="embedded")
    assert {settings.kind for settings in config.providers.values()} == {"mock"}


async def test_jobs_are_popped_most_urgent_first_and_shown_in_flight(source: RedisJobSource, link: RedisLink) -> None:
    for key, name in (("jobs:free", "late"), ("jobs:pro", "first"), ("jobs:pro", "second")):
        await ask(link, "RPUSH", key, json.dumps({"id": name, "service_s": 12.5}))
    jobs = [await source.pop("a", None) for _ in range(4)]
    assert [job and (json.loads(job.id)["id"], job.tier, job.service_s) for job in jobs] == [
        ("first", "pro", 12.5),
        ("second", "pro", 12.5),
        ("late", "free", 12.5),
        None,
    ]
    assert await ask(link, "LLEN", "jobs:processing") == 3


async def test_a_machine_set_apart_is_given_no_job_of_a_lower_tier(source: RedisJobSource, link: RedisLink) -> None:
    await ask(link, "RPUSH", "jobs:free", "late")
    await ask(link, "RPUSH", "jobs:premium", "soon")
    assert await source.pop("a", "pro") is None
    job = await source.pop("a", "premium")
    assert job is not None
    assert job.tier == "premium"
    assert await source.pop("a", "premium") is None


async def test_workers_read_from_the_endpoints_for_whom_their_machine_is_set_apart(
    source: RedisJobSource, link: RedisLink
) -> None:
    store = RedisStore(link, FLEET, "daemon-1")
    await store.read()
    apart, shared = an_instance("a", tier="pro"), an_instance("b")
    await store.commit(Changes(instances=(apart, shared)))
    assert await source.set_apart(["a", "b", "c"]) == {"a": "pro"}


async def test_a_job_that_is_served_or_lost_is_in_flight_no_more(source: RedisJobSource, link: RedisLink) -> None:
    await ask(link, "RPUSH", "jobs:pro", "one", "two", "three")
    served, lost = await source.pop("a", None), await source.pop("a", None)
    assert served
    assert lost
    await source.pop("a", None)
    await source.complete(served)
    await source.lose(lost)
    assert await ask(link, "LRANGE", "jobs:processing", 0, -1) == [b"three"]


@pytest.mark.parametrize("payload", ["{}", "no json", '{"service_s": "soon"}', '{"service_s": -1}', "[]", "7", "\xff"])
async def test_anything_pushed_is_a_job_of_half_a_minute(source: RedisJobSource, link: RedisLink, payload: str) -> None:
    await ask(link, "RPUSH", "jobs:pro", payload)
    job = await source.pop("a", None)
    assert job
    assert job.service_s == 30.0
    await source.complete(job)
    assert await ask(link, "EXISTS", "jobs:processing") == 0


async def test_a_key_of_another_type_hides_no_other_tier(source: RedisJobSource, link: RedisLink) -> None:
    await ask(link, "SET", "jobs:pro", "not a list")
    await ask(link, "RPUSH", "jobs:free", "{}")
    job = await source.pop("a", None)
    assert job
    assert job.tier == "free"


async def test_drain_marks_are_seen(source: RedisJobSource, link: RedisLink) -> None:
    await ask(link, "SET", Keys(FLEET).drain("b"), "no longer wanted")
    assert await source.marked(["a", "b", "c"]) == {"b"}


async def test_the_store_understands_the_workers_beats(source: RedisJobSource, link: RedisLink) -> None:
    store = RedisStore(link, FLEET, "daemon-1")
    await source.beat({"a": Heartbeat(busy=1, slots=2, stamp="1"), "b": Heartbeat(busy=0, drained=True, stamp="1")})
    first = (await store.read()).heartbeats
    await source.beat({"a": Heartbeat(busy=1, slots=2, taken={"pro": 3}, stamp="2")})
    second = (await store.read()).heartbeats
    assert (first["a"].busy, first["a"].slots, first["a"].drained) == (1, 2, False)
    assert (first["b"].busy, first["b"].slots, first["b"].drained) == (0, None, True)
    assert (first["a"].taken, second["a"].taken) == (None, {"pro": 3})
    assert second["a"] != first["a"], "a beat that says the same is a beat"
    assert second["b"] == first["b"]


async def test_traffic_is_pushed_as_jobs_whose_age_the_daemon_reads(link: RedisLink) -> None:
    clock = LoopClock(epoch=NOW, speed=1e6)
    queue = demo_queue()
    traffic = Traffic(
        quiet_per_h=600.0, burst_per_h=600.0, period_s=3600.0, shares={"pro": 1.0, "free": 1.0}, service_s=40.0
    )
    producer = asyncio.create_task(DemoTraffic(link, queue, clock, seeded(3), traffic).run())
    demand: Demand | Unknown | None = None
    while not isinstance(demand, Demand) or demand.waiting < 20:
        demand = (await QueueDemand({"images": (link, make_reader(queue))}).read(clock.now()))["images"]
    producer.cancel()
    await asyncio.gather(producer, return_exceptions=True)
    by_tier = {tier.tier: tier for tier in demand.tiers}
    assert by_tier["premium"].waiting == 0
    assert by_tier["pro"].age_source is AgeSource.CONFIGURED
    assert 0.0 <= (by_tier["pro"].oldest_wait_s or -1.0) <= clock.now() - NOW
    expected = next(arrival for arrival in arrivals(traffic, seeded(3)) if arrival.tier == "pro")
    pushed = await ask(link, "LINDEX", "jobs:pro", 0)
    assert isinstance(pushed, bytes)
    assert json.loads(pushed)["service_s"] == pytest.approx(expected.service_s, abs=1e-3)


@pytest.mark.looptime
async def test_the_demo_shows_every_phase_within_two_hours_and_kills_nothing() -> None:
    config = packaged("demo")
    settings = config.pools["images"]
    clock, state, watcher = LoopClock(epoch=NOW), MemoryState(), Watcher()
    provider = SimulatedProvider("mock", config.providers["mock"], now=clock.now, rng=random.Random(1))
    queue = MemoryQueue(clock, [tier.name for tier in settings.queue.tiers], state)
    workers = SimulatedWorkers(provider.market, queue, clock)
    wake = Wake()
    loop = Loop(
        fleet=config.fleet,
        pools=[
            PoolSetup(
                pool=settings.pool("images"),
                policies=tuple((choice.name, POLICIES[choice.name], choice.settings) for choice in settings.policies),
            )
        ],
        store=MemoryStore(state, "demo", clock),
        demand=queue,
        providers={"mock": provider},
        probe=NoProbe(),
        clock=clock,
        entropy=Entropy(1),
        listener=watcher,
        wake=wake,
        tick_s=config.tick,
    )
    producer = push_traffic(queue, clock)
    tasks = [
        asyncio.create_task(work)
        for work in (go_round(loop.tick_safely, wake, clock, lambda: config.tick), workers.run(), producer)
    ]
    await clock.sleep(7200.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    seen = {entry.result for entry in watcher.entries if entry.kind == "phase"}
    assert seen == {phase.value for phase in Phase} - {Phase.LOST}
    answers = [entry.text.partition(": a job")[0] for entry in watcher.entries if entry.kind == "admission"]
    assert answers[:2] == ["images: new jobs of free are refused", "images: new jobs of free are taken again"]
    assert any(outcome.action == "resume" and outcome.result == "ok" for outcome in watcher.outcomes)
    assert any(outcome.action == "resume" and outcome.result == "no_capacity" for outcome in watcher.outcomes)
    assert provider.killed == 0
    assert workers.interrupted <= 1, "the one outbid machine had one slot"
    assert workers.served > 150
    assert not watcher.failures


async def push_traffic(queue: MemoryQueue, clock: LoopClock) -> None:
    started = clock.now()
    for arrival in arrivals(DEMO_TRAFFIC, seeded(1)):
        await clock.sleep(max(0.0, started + arrival.t_s - clock.now()))
        queue.push(arrival.tier, arrival.service_s)
