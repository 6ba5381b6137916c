"""Every version of Redis that is installed, and Valkey, by both protocols."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler import acl
from autoscaler.core.demand import Demand
from autoscaler.link import RedisLink, RedisSettings
from autoscaler.queues import LIBRARIES, make_reader
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.source import QueueDemand
from tests.support.any_redis import tells_all
from tests.support.fleet_store import keeps_a_fleet
from tests.support.queues import NOW
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer, programs
from tests.support.stores import FLEET


@pytest.fixture(scope="module", params=programs())
def program(request: pytest.FixtureRequest) -> str:
    """A server to test."""
    found = shutil.which(programs()[request.param])
    if found is None:
        pytest.skip(f"{request.param} is not installed")
    return found


@pytest.fixture
def server(program: str, tmp_path: Path) -> Iterator[RedisServer]:
    """One server."""
    with RedisServer(tmp_path, program=program) as server:
        yield server


@pytest.mark.parametrize("protocol", [2, 3])
async def test_every_generic_reader_tells_what_is_there(server: RedisServer, protocol: int) -> None:
    await tells_all(f"{server.url}?protocol={protocol}")


@pytest.mark.parametrize("protocol", [2, 3])
async def test_the_store_keeps_a_fleet(server: RedisServer, protocol: int) -> None:
    link = RedisLink(f"{server.url}?protocol={protocol}")
    await keeps_a_fleet(link)
    await link.close()


async def test_the_rights_that_are_printed_for_it_are_enough(server: RedisServer, program: str) -> None:
    queue = ListQueue(kind="list", tiers=(ListTier(name="a", key="jobs:a"),))
    printed = acl.old_line if "redis-6.2" in program else acl.line
    line = printed(RedisSettings(url=server.url), FLEET, [LIBRARIES["list"].rights(queue)])
    server.do(*line.replace(acl.PASSWORD, "pw").split(" "))
    server.do("RPUSH", "jobs:a", "one")
    link = RedisLink(server.url.replace("://", "://autoscaler:pw@"))
    try:
        reading = (await QueueDemand({"pool": (link, make_reader(queue))}).read(NOW))["pool"]
        assert isinstance(reading, Demand), reading
        assert reading.waiting == 1
        await keeps_a_fleet(link)
    finally:
        await link.close()


async def test_a_cluster_of_it_serves_both(program: str, tmp_path: Path) -> None:
    cluster = RedisCluster(tmp_path, program=program)
    try:
        cluster.start()
        await tells_all(cluster.url)
        link = RedisLink(cluster.url)
        await keeps_a_fleet(link)
        await link.close()
    finally:
        cluster.stop()
