"""Channels, heard in whichever way a Redis is reached."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from autoscaler.link import RedisLink, RedisSettings
from tests.support.library import until
from tests.support.queues import as_admin, linked
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer, Sentinel, free_port


async def hears(link: RedisLink, publisher: RedisServer) -> None:
    """It hears what that server publishes."""
    heard: list[bytes] = []
    listening = link.listen("news", heard.append)

    async def published() -> list[bytes]:
        publisher.do("PUBLISH", "news", "x")
        return heard

    assert set(await until(published)) == {b"x"}
    assert not listening.done()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_what_a_server_publishes_is_heard_while_it_is_asked_other_things(
    redis_server: RedisServer, protocol: int
) -> None:
    async with linked(f"{redis_server.url}?protocol={protocol}") as link:
        await hears(link, redis_server)
        assert await link.execute([("PING",)]) == [b"PONG"]


async def test_what_one_node_of_a_cluster_publishes_is_heard_at_any_other(cluster: RedisCluster) -> None:
    async with linked(cluster.url) as link:
        for node in cluster.nodes:
            await hears(link, node)


async def test_what_the_primary_publishes_that_sentinel_names_is_heard(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as primary, Sentinel(tmp_path / "sentinel", primary, quorum=1) as sentinel:
        async with linked(f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster") as link:
            await hears(link, primary)


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_quiet_channel_is_asked_whether_it_is_still_there_and_breaks_off_when_it_is_not(
    tmp_path: Path, protocol: int
) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        async with linked(RedisSettings(url=f"{server.url}?protocol={protocol}", timeout=0.2)) as link:
            heard: list[bytes] = []
            listening = link.listen("news", heard.append)

            async def asked() -> bool:
                said = str(server.do("CLIENT", "LIST"))
                return "sub=1" in said and "cmd=ping" in said

            await until(asked)
            server.do("PUBLISH", "news", "x")
            await until(lambda: _some(heard))
            os.kill(server.pid, signal.SIGSTOP)
            await asyncio.wait([listening], timeout=10)
            assert listening.done()
            os.kill(server.pid, signal.SIGCONT)
    finally:
        server.stop()


async def _some(heard: list[bytes]) -> list[bytes]:
    return heard


async def test_a_channel_may_be_named_after_the_database(redis_server: RedisServer) -> None:
    async with linked(f"{redis_server.url}/3") as link:
        heard: list[bytes] = []
        listening = link.listen("/{db}.news", heard.append)

        async def published() -> list[bytes]:
            redis_server.do("PUBLISH", "/3.news", "x")
            return heard

        assert await until(published)
        assert not listening.done()


async def test_a_closed_link_listens_no_more(redis_server: RedisServer) -> None:
    link = RedisLink(redis_server.url)
    listening = link.listen("news", lambda _: None)

    async def subscribed() -> bool:
        return redis_server.do("PUBLISH", "news", "x") == 1

    await until(subscribed)
    await link.close()
    assert listening.cancelled()


async def test_listening_ends_where_it_is_refused_and_where_nobody_answers(redis_server: RedisServer) -> None:
    await as_admin(redis_server.url, ("ACL", "SETUSER", "reader", "reset", "on", ">pw", "+ping"))
    for url in (redis_server.url.replace("//", "//reader:pw@"), f"redis://127.0.0.1:{free_port()}"):
        async with linked(url) as link:
            await link.listen("news", lambda _: None)
    await as_admin(redis_server.url, ("ACL", "DELUSER", "reader"))
