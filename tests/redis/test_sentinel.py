"""A Redis that Sentinel watches: which server it is may change at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from autoscaler.core.demand import Unknown
from autoscaler.core.errors import StoreRefused, StoreUnavailable
from autoscaler.core.units import Secret
from autoscaler.link import RedisSettings, SentinelSettings
from autoscaler.queues import make_reader
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.source import QueueDemand
from autoscaler.store.keys import Keys
from autoscaler.store.redis import RedisStore
from tests.support.fleet_store import CHANGES, keeps_a_fleet
from tests.support.library import until as soon
from tests.support.queues import NOW, linked
from tests.support.real_time import until
from tests.support.redis_server import RedisServer, Sentinel
from tests.support.stores import FLEET

JOBS = ListQueue(kind="list", tiers=(ListTier(name="t", key="jobs"),))


@dataclass
class Watched:
    """A primary, its replica, and the Sentinels that watch them."""

    primary: RedisServer
    replica: RedisServer
    sentinels: list[Sentinel]

    @property
    def settings(self) -> RedisSettings:
        addresses = tuple(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return RedisSettings(sentinel=SentinelSettings(master="mymaster", addresses=addresses), timeout=0.5)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/mymaster"

    def ready(self) -> bool:
        """Whether a failover could succeed."""
        states = [str(each.do("INFO", "sentinel")) for each in self.sentinels]
        others = len(self.sentinels)
        return all(
            "status': 'ok'" in state and f"'sentinels': {others}" in state and "'slaves': 1" in state
            for state in states
        )


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Three Sentinels that watch a primary and a replica."""
    primary = RedisServer(tmp_path)
    replica = RedisServer(tmp_path, "--replicaof", "127.0.0.1", str(primary.port))
    sentinels = [Sentinel(tmp_path / str(number), primary, quorum=2) for number in range(3)]
    every: list[RedisServer] = [primary, replica, *sentinels]
    try:
        for server in every:
            server.start()
        system = Watched(primary, replica, sentinels)
        until(system.ready, "the Sentinels know each other")
        yield system
    finally:
        for server in every:
            server.stop()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RedisServer, RedisServer, Sentinel]]:
    """Two servers of their own, and a Sentinel that watches the first."""
    one, other = RedisServer(tmp_path), RedisServer(tmp_path)
    sentinel = Sentinel(tmp_path / "sentinel", one, 1)
    every: list[RedisServer] = [one, other, sentinel]
    try:
        for server in every:
            server.start()
        yield one, other, sentinel
    finally:
        for server in every:
            server.stop()


async def produce(system: Watched) -> None:
    """Push jobs to whichever server takes them, for ever."""
    clients = [Redis(port=server.port, socket_timeout=0.2) for server in (system.primary, system.replica)]
    try:
        while True:
            for client in clients:
                with suppress(RedisError, OSError):
                    await client.rpush("jobs", "job")
            await asyncio.sleep(0.005)  # noqa: TID251 - other processes' time cannot be made virtual
    finally:
        for client in clients:
            await client.aclose()


async def test_a_failover_under_load_leaves_the_queue_unknown_and_never_empty(watched: Watched) -> None:
    async with linked(watched.settings) as link:
        source = QueueDemand({"pool": (link, make_reader(JOBS))})
        store = RedisStore(link, FLEET, "me")
        producer = asyncio.create_task(produce(watched))

        async def waiting() -> int | None:
            reading = (await source.read(NOW))["pool"]
            if isinstance(reading, Unknown):
                reasons.append(reading.reason)
                return None
            assert reading.waiting > 0, "a queue with jobs in it was read as empty"
            return reading.waiting

        reasons: list[str] = []
        await soon(lambda: _jobs_on(watched.replica))
        assert (await store.read()).leads
        await store.commit(CHANGES)
        await soon(lambda: _fleet_on(watched.replica))
        before = await waiting()
        watched.primary.stop()
        assert before
        assert await waiting() is None
        with pytest.raises(StoreUnavailable):
            await store.read()

        after = await soon(waiting)
        assert after >= before
        assert all("the primary that Sentinel names for mymaster" in reason for reason in reasons)
        assert (await store.read()).leads
        await store.commit(CHANGES)
        assert [each.id for each in (await store.load()).instances] == ["i1", "i2"]
        producer.cancel()
        await asyncio.wait([producer])


async def _jobs_on(server: RedisServer) -> bool:
    return server.do("EXISTS", "jobs") == 1


async def _fleet_on(server: RedisServer) -> bool:
    return server.do("HLEN", Keys(FLEET).instances) == 2


async def test_a_primary_that_was_replaced_is_asked_no_more_though_it_still_answers(
    pair: tuple[RedisServer, RedisServer, Sentinel],
) -> None:
    old, new, sentinel = pair
    async with linked(f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster") as link:
        assert await link.execute([("RPUSH", "jobs", "a", "b")]) == [2]
        new.do("RPUSH", "jobs", "c")
        sentinel.do("SENTINEL", "REMOVE", "mymaster")
        sentinel.do("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", new.port, 1)
        assert await link.execute([("LLEN", "jobs")]) == [1]
    assert old.do("LLEN", "jobs") == 2


@pytest.mark.parametrize("form", ["/mymaster", "/mymaster/0", "/mymaster/3", "/mymaster/3?protocol=3"])
async def test_the_store_works_through_sentinel_in_any_database(
    pair: tuple[RedisServer, RedisServer, Sentinel], form: str
) -> None:
    one, _, sentinel = pair
    async with linked(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}{form}") as link:
        await keeps_a_fleet(link)
    assert ("db3" in str(one.do("INFO", "keyspace"))) is ("/3" in form)


async def test_each_sentinel_that_was_asked_says_why_it_names_no_primary(
    pair: tuple[RedisServer, RedisServer, Sentinel],
) -> None:
    one, _, sentinel = pair
    async with linked(f"redis+sentinel://127.0.0.1:{sentinel.port},127.0.0.1:1/other") as link:
        with pytest.raises(StoreRefused, match=r"names a primary for other \(.*: knows none of that name; .*reached"):
            await link.execute([("PING",)])
    async with linked(f"redis+sentinel://127.0.0.1:{one.port}/mymaster") as link:
        with pytest.raises(StoreUnavailable, match="unknown command"):
            await link.execute([("PING",)])


async def test_sentinels_and_the_redis_behind_them_have_passwords_of_their_own(
    pair: tuple[RedisServer, RedisServer, Sentinel], tmp_path: Path
) -> None:
    one, _, sentinel = pair
    file = tmp_path / "password"
    file.write_text("for-redis\n")
    sentinel.do("ACL", "SETUSER", "looker", "on", ">for-sentinel", "+sentinel|get-master-addr-by-name")
    sentinel.do("ACL", "SETUSER", "default", "off")
    one.do("ACL", "SETUSER", "reader", "on", ">for-redis", "~*", "+llen")

    def settings(username: str, password: str) -> RedisSettings:
        return RedisSettings(
            username="reader",
            password_file=str(file),
            sentinel=SentinelSettings(
                master="mymaster",
                addresses=(f"127.0.0.1:{sentinel.port}",),
                username=username,
                password=Secret(password),
            ),
        )

    async with linked(settings("looker", "for-sentinel")) as link:
        assert await link.execute([("LLEN", "jobs")]) == [0]
    async with linked(settings("looker", "wrong")) as link:
        with pytest.raises(StoreRefused, match=f"127.0.0.1:{sentinel.port}: Redis refused the user name"):
            await link.execute([("LLEN", "jobs")])
