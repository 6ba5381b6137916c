from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from autoscaler.core.demand import Demand, Unknown
from autoscaler.link import RedisLink
from autoscaler.queues import QueueSettings, make_reader
from autoscaler.queues.base import InFlight, Steps
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.pool import PoolReader
from autoscaler.queues.source import QueueDemand
from autoscaler.queues.stamp import Timestamp
from autoscaler.queues.stream import StreamQueue, StreamTier
from autoscaler.queues.zset import ZsetQueue, ZsetTier
from tests.support.queues import NOW, as_admin
from tests.support.redis_server import RedisServer, free_port

POOLS: dict[str, QueueSettings] = {
    "estimated": ListQueue(kind="list", tiers=(ListTier(name="a", key="l1"), ListTier(name="b", key="l2"))),
    "stamped": ListQueue(
        kind="list",
        tiers=(ListTier(name="a", key="l3"),),
        timestamp=Timestamp(key="job:{id}", field="at"),
        in_flight_keys=("busy",),
    ),
    "stream": StreamQueue(kind="stream", tiers=(StreamTier(name="a", key="s1"),), group="g"),
    "timed": ZsetQueue(kind="zset", tiers=(ZsetTier(name="a", key="z1"),), score="time"),
    "by-priority": ZsetQueue(kind="zset", tiers=(ZsetTier(name="a", key="z2"),), score="priority"),
}


async def fill(url: str) -> None:
    async with Redis.from_url(url) as client:
        await client.rpush("l1", "a", "b")
        await client.rpush("l3", "a")
        await client.hset("job:a", "at", NOW - 10)
        await client.rpush("busy", "x")
        await client.xadd("s1", {"job": "1"}, id=f"{int(NOW - 20) * 1000}-0")
        await client.xadd("s1", {"job": "1"}, id=f"{int(NOW - 10) * 1000}-0")
        await client.xgroup_create("s1", "g", "0")
        await client.xreadgroup("g", "w", {"s1": ">"}, count=1)
        await client.zadd("z1", {"a": NOW - 30, "b": NOW + 30})
        await client.zadd("z2", {"a": 1})


@asynccontextmanager
async def open_source(url: str, pools: Mapping[str, QueueSettings]) -> AsyncIterator[tuple[RedisLink, QueueDemand]]:
    link = RedisLink(url)
    yield link, QueueDemand({name: (link, make_reader(settings)) for name, settings in pools.items()})
    await link.close()


def demand_of(readings: Mapping[str, Demand | Unknown], pool: str) -> Demand:
    reading = readings[pool]
    assert isinstance(reading, Demand), reading
    return reading


def unknown_of(readings: Mapping[str, Demand | Unknown], pool: str) -> Unknown:
    reading = readings[pool]
    assert isinstance(reading, Unknown), reading
    return reading


async def test_all_pools_share_two_round_trips_at_first_and_one_when_steady(redis_url: str) -> None:
    await fill(redis_url)
    async with open_source(redis_url, POOLS) as (link, source):
        readings = await source.read(NOW)
        assert link.round_trips == 2
        assert {pool: demand_of(readings, pool).waiting for pool in POOLS} == {
            "estimated": 2,
            "stamped": 1,
            "stream": 1,
            "timed": 1,
            "by-priority": 1,
        }
        assert list(readings) == list(POOLS)
        for tick in range(1, 11):
            await source.read(NOW + tick)
        assert link.round_trips == 12


async def test_a_queue_of_the_wrong_type_spoils_no_other(redis_url: str) -> None:
    await fill(redis_url)
    async with Redis.from_url(redis_url) as client:
        await client.delete("z2")
        await client.set("z2", "x")
    async with open_source(redis_url, POOLS) as (_, source):
        readings = await source.read(NOW)
        assert unknown_of(readings, "by-priority").reason == "queue key 'z2' holds a string; expected a zset"
        assert demand_of(readings, "timed").waiting == 1


async def test_an_unknown_queue_is_unknown_since_its_first_failure_in_a_row(redis_url: str) -> None:
    pools = {"pool": POOLS["timed"]}
    async with open_source(redis_url, pools) as (_, source), Redis.from_url(redis_url) as client:
        for bad in (NOW, NOW + 100):
            await client.set("z1", "x")
            assert unknown_of(await source.read(bad), "pool").since == bad
            assert unknown_of(await source.read(bad + 5), "pool").since == bad
            await client.delete("z1")
            assert demand_of(await source.read(bad + 10), "pool").waiting == 0


async def test_a_redis_that_is_away_makes_only_its_own_pools_unknown(redis_url: str) -> None:
    await fill(redis_url)
    here, away = RedisLink(redis_url), RedisLink(f"redis://127.0.0.1:{free_port()}")
    source = QueueDemand(
        {"here": (here, make_reader(POOLS["timed"])), "away": (away, make_reader(POOLS["timed"]))},
    )
    readings = await source.read(NOW)
    assert demand_of(readings, "here").waiting == 1
    assert unknown_of(readings, "away").reason.startswith("Redis cannot be reached")
    assert unknown_of(await source.read(NOW + 5), "away").since == NOW
    await here.close()
    await away.close()


async def test_ages_and_counts_go_on_after_redis_was_away(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        async with open_source(server.url, {"pool": POOLS["estimated"]}) as (_, source):
            await source.read(NOW)
            server.stop()
            unknown_of(await source.read(NOW + 5), "pool")
            server.start()
            await fill(server.url)
            demand = demand_of(await source.read(NOW + 10), "pool")
            assert (demand.waiting, demand.oldest_wait_s) == (2, 10.0)


@asynccontextmanager
async def a_user(url: str, *rights: str) -> AsyncIterator[str]:
    """The URL of a user of those rights."""
    await as_admin(url, ("ACL", "SETUSER", "autoscaler", "reset", "on", ">pw", *rights))
    yield url.replace("redis://", "redis://autoscaler:pw@")
    await as_admin(url, ("ACL", "DELUSER", "autoscaler"))


async def read_as(url: str, *rights: str) -> Mapping[str, Demand | Unknown]:
    async with a_user(url, *rights) as user_url, open_source(user_url, POOLS) as (_, source):
        return await source.read(NOW)


@pytest.fixture
async def reader_url(redis_url: str) -> AsyncIterator[str]:
    """The URL of a user who may do nothing but read."""
    async with a_user(redis_url, "~*", "+@read", "+@connection", "-@dangerous") as url:
        yield url


async def test_a_user_with_read_rights_only_can_read_everything(redis_url: str, reader_url: str) -> None:
    await fill(redis_url)
    async with open_source(redis_url, POOLS) as (_, full), open_source(reader_url, POOLS) as (link, limited):
        for tick in range(3):
            readings = await limited.read(NOW + tick)
            assert readings == await full.read(NOW + tick)
            assert all(isinstance(reading, Demand) for reading in readings.values())
        (refused,) = await link.execute([("SET", "k", "v")])
        assert isinstance(refused, NoPermissionError)


async def test_a_key_that_may_not_be_read_is_unknown_and_named(redis_url: str) -> None:
    await fill(redis_url)
    readings = await read_as(redis_url, "~z1", "+@read", "+@connection", "-@dangerous")
    assert demand_of(readings, "timed").waiting == 1
    for pool, key in (("estimated", "l1"), ("stamped", "l3"), ("stream", "s1"), ("by-priority", "z2")):
        reason = unknown_of(readings, pool).reason
        assert reason.startswith(f"queue key '{key}' may not be read")
        assert "+@read" in reason


async def test_a_user_who_may_not_see_the_elements_still_counts_them(redis_url: str) -> None:
    await fill(redis_url)
    readings = await read_as(redis_url, "~*", "+@connection", "+type", "+llen", "+xlen", "+xinfo")
    for pool, warnings in (
        ("estimated", ("age_unreadable",)),
        ("stamped", ("age_unreadable",)),
        ("stream", ("age_unreadable", "in_flight_unreadable")),
    ):
        demand = demand_of(readings, pool)
        assert demand.waiting > 0
        assert demand.oldest_wait_s is None
        assert demand.warnings == warnings
    assert demand_of(readings, "stream").in_flight is None


async def test_a_wrong_password_is_told_in_one_line_without_the_password(redis_url: str) -> None:
    url = redis_url.replace("redis://", "redis://nobody:secret@")
    async with open_source(url, POOLS) as (_, source):
        reason = unknown_of(await source.read(NOW), "timed").reason
        assert reason == "Redis refused the user name or password; check `username` and `password`, or the URL"


class Writer:
    """A part of a reader that breaks the first rule."""

    def read(self, _now: float) -> Steps[InFlight]:
        yield [("DEL", "jobs")]
        raise AssertionError("it was never asked")


async def test_a_command_that_is_not_known_to_be_read_only_is_never_sent(redis_url: str) -> None:
    link = RedisLink(redis_url)
    with pytest.raises(ValueError, match="'DEL' is not among the commands that only read"):
        await QueueDemand({"pool": (link, PoolReader([], Writer(), probe=[]))}).read(NOW)
    assert link.round_trips == 0
    await link.close()
