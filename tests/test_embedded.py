"""The Redis within the process behaves like a Redis to any client."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from autoscaler.core.errors import SettingsError
from autoscaler.embedded import EmbeddedRedis
from tests.support.redis_server import free_port


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    embedded = EmbeddedRedis()
    yield embedded
    embedded.stop()


@pytest.fixture
def url(server: EmbeddedRedis) -> str:
    return server.start()


def connect(url: str, **options: Any) -> Any:
    """A client; redis-py's own types mix its two kinds of client."""
    return Redis.from_url(url, **options)


async def wait_for_a_job(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A worker that waits in a blocking pop, for certain: what it said before the pop was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"*1\r\n$4\r\nPING\r\n*3\r\n$5\r\nBLPOP\r\n$8\r\njobs:pro\r\n$1\r\n0\r\n")
    assert await reader.readline() == b"+PONG\r\n"
    return reader, writer


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_client_of_either_protocol_is_served(url: str, protocol: int) -> None:
    async with connect(url, protocol=protocol) as client:
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.set("a", "é\r\n").get("a").get("none").hset("h", mapping={"x": "1"}).hgetall("h")
            pipeline.zadd("z", {"m": 1.5}).zrange("z", 0, -1, withscores=True).llen("none")
            replies = await pipeline.execute()
        assert replies[:5] == [True, "é\r\n".encode(), None, 1, {b"x": b"1"}]
        assert [list(pair) for pair in replies[6]] == [[b"m", 1.5]]
        assert await client.info()  # queue libraries ask for the version first


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_message_reaches_its_subscriber(url: str, protocol: int) -> None:
    async with connect(url, protocol=protocol) as client, client.pubsub() as listener:
        await listener.subscribe("news")
        await client.publish("news", "hi")
        messages = [await listener.get_message(timeout=5) for _ in range(2)]
        assert [message["data"] for message in messages if message] == [1, b"hi"]


async def test_errors_carry_the_codes_of_redis(url: str) -> None:
    async with connect(url) as client:
        await client.set("a", "1")
        with pytest.raises(ResponseError, match=r"^WRONGTYPE"):
            await client.llen("a")
        with pytest.raises(NoScriptError):
            await client.evalsha("0" * 40, 0)


async def test_a_large_value_comes_whole(url: str) -> None:
    async with connect(url) as client:
        await client.set("a", "x" * 20_000_000)
        assert len(await client.get("a")) == 20_000_000


async def test_a_blocking_pop_gets_the_next_job(url: str) -> None:
    reader, writer = await wait_for_a_job(url)
    async with connect(url) as client:
        await client.rpush("jobs:pro", "a")
        job = b"*2\r\n$8\r\njobs:pro\r\n$1\r\na\r\n"
        assert await reader.readexactly(len(job)) == job
        popped, _ = await asyncio.gather(client.blpop(["jobs:free"], 5), client.rpush("jobs:free", "b"))
        assert list(popped) == [b"jobs:free", b"b"]
    writer.close()
    await writer.wait_closed()


async def test_a_worker_that_died_waiting_takes_no_job(url: str) -> None:
    _, writer = await wait_for_a_job(url)
    writer.close()
    await writer.wait_closed()
    async with connect(url) as client:
        while len(await client.client_list()) > 1:
            pass
        await client.rpush("jobs:pro", "a")
        assert await client.llen("jobs:pro") == 1


async def test_what_is_not_redis_is_told_so_and_hung_up_on(url: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert (await reader.read()).startswith(b"-ERR Protocol error")
    writer.close()
    await writer.wait_closed()


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
def test_redis_cli_can_push_a_job(url: str) -> None:
    command = ["redis-cli", "-p", url.rpartition(":")[2]]
    assert subprocess.run([*command, "rpush", "jobs:pro", "{}"], capture_output=True, check=True).stdout == b"1\n"
    assert (
        subprocess.run([*command, "lrange", "jobs:pro", "0", "-1"], capture_output=True, check=True).stdout == b"{}\n"
    )


def test_a_taken_port_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} is taken; stop what listens"):
            EmbeddedRedis(port).start()


async def test_stopping_hangs_up_and_frees_the_port() -> None:
    port = free_port()
    for _ in range(2):
        server = EmbeddedRedis(port)
        url = server.start()
        assert url == f"redis://127.0.0.1:{port}"
        reader, writer = await wait_for_a_job(url)
        server.stop()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


def test_stopping_what_never_started_is_no_error() -> None:
    EmbeddedRedis().stop()


def test_a_process_ends_although_its_redis_was_not_stopped() -> None:
    program = (
        "import socket; from autoscaler.embedded import EmbeddedRedis; "
        "url = EmbeddedRedis().start(); client = socket.create_connection(('127.0.0.1', int(url.rpartition(':')[2])))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=20)
    assert ended.stderr == b""
