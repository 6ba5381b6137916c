"""A Redis that hangs: it costs no pool but its own, and what it says at last is taken for nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.errors import StoreUnavailable
from autoscaler.link import RedisLink, RedisSettings, Tls
from autoscaler.link.address import HostPort
from autoscaler.link.in_turn import ask_in_turn, first_good
from autoscaler.queues import make_reader
from autoscaler.queues.list import ListQueue, ListTier
from autoscaler.queues.source import QueueDemand
from tests.support.certificates import Authority
from tests.support.library import until
from tests.support.queues import NOW
from tests.support.redis_cluster import RedisCluster
from tests.support.redis_server import RedisServer, Sentinel, free_port
from tests.support.serving import serving

JOBS = ListQueue(kind="list", tiers=(ListTier(name="t", key="jobs"),))
PATIENCE_S = 1.0
"""Longer than a busy machine keeps an answer that was given."""
HOSTS: list[HostPort] = [("a", 1), ("b", 2), ("c", 3), ("d", 4)]


async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take all and answer nothing."""
    while await reader.read(65536):
        continue


class Proxy:
    """Stands before a Redis, and may keep back what it answers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.passes: int | None = None
        """How many more bytes of answers go through at once; all when None."""
        self.opened = asyncio.Event()
        """What was kept back goes through when this is set."""
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, onwards = await asyncio.open_connection("127.0.0.1", self._port)
        answering = asyncio.create_task(self._answer(there, writer))
        while asked := await reader.read(65536):
            onwards.write(asked)
        onwards.close()
        answering.cancel()
        await asyncio.wait([answering])

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await there.read(65536):
            if self.passes is not None:
                writer.write(said[: self.passes])
                said, self.passes = said[self.passes :], max(0, self.passes - len(said))
                if said:
                    await self.opened.wait()
            writer.write(said)


@contextmanager
def stopped(server: RedisServer) -> Iterator[None]:
    """A process that stands still."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def secured(directory: Path) -> Iterator[tuple[RedisServer, RedisSettings]]:
    """A Redis that speaks TLS, and how it is reached."""
    authority, port = Authority(directory), free_port()
    own = authority.issue("localhost")
    files = (
        "--tls-cert-file",
        str(own.cert),
        "--tls-key-file",
        str(own.key),
        "--tls-ca-cert-file",
        str(authority.cert),
    )
    with RedisServer(directory, "--tls-port", str(port), "--tls-auth-clients", "no", *files) as server:
        tls = Tls(ca=str(authority.cert))
        yield server, RedisSettings(url=f"rediss://localhost:{port}", tls=tls, timeout=PATIENCE_S)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("passes", [0, 1, 4, 9, 15])
async def test_an_answer_that_comes_late_or_in_halves_is_taken_for_no_other(
    redis_server: RedisServer, protocol: int, passes: int
) -> None:
    proxy = Proxy(redis_server.port)
    async with serving(proxy.serve) as port:
        link = RedisLink(RedisSettings(url=f"redis://127.0.0.1:{port}?protocol={protocol}", timeout=PATIENCE_S))
        assert await link.execute([("ECHO", "before")]) == [b"before"]
        proxy.passes = passes  # of "$3\r\none\r\n" and another like it
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await link.execute([("ECHO", "one"), ("ECHO", "two")])
        proxy.passes = None
        proxy.opened.set()
        assert await link.execute([("ECHO", "three"), ("ECHO", "four")]) == [b"three", b"four"]
        assert proxy.connections == 2
        await link.close()


async def test_a_pipeline_that_is_cancelled_leaves_no_answer_for_the_next(redis_server: RedisServer) -> None:
    proxy = Proxy(redis_server.port)
    async with serving(proxy.serve) as port:
        link = RedisLink(f"redis://127.0.0.1:{port}")
        [server] = await link.parts()
        assert await server.exchange([("ECHO", "before")]) == [b"before"]
        proxy.passes = 5
        asking = asyncio.create_task(server.exchange([("ECHO", "one"), ("ECHO", "two")]))
        await until(lambda: _is(proxy.passes == 0))
        asking.cancel()
        await asyncio.wait([asking])
        proxy.passes = None
        proxy.opened.set()
        assert await link.execute([("ECHO", "three"), ("ECHO", "four")]) == [b"three", b"four"]
        await link.close()


async def _is(condition: bool) -> bool:
    return condition


async def test_a_redis_that_has_answered_before_is_not_suspected_of_other_settings(redis_server: RedisServer) -> None:
    link = RedisLink(redis_server.url)
    assert await link.execute([("PING",)]) == [b"PONG"]
    with pytest.raises(StoreUnavailable, match=r"^Redis cannot be reached: Connection closed by server$"):
        await link.execute([("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"), ("PING",)])
    await link.close()


async def test_a_redis_over_tls_that_has_answered_before_and_hangs_is_not_taken_for_one_without_tls(
    tmp_path: Path,
) -> None:
    with secured(tmp_path) as (server, settings):
        link = RedisLink(settings)
        assert await link.execute([("PING",)]) == [b"PONG"]
        with stopped(server), pytest.raises(StoreUnavailable, match=r"^Redis did not answer in time$"):
            await link.execute([("PING",)])
        await link.close()


async def test_nobody_at_a_port_is_said_in_few_words() -> None:
    port = free_port()
    link = RedisLink(f"redis://127.0.0.1:{port}")
    with pytest.raises(StoreUnavailable, match=rf"^Redis cannot be reached: 127.0.0.1:{port}: Connection refused$"):
        await link.execute([("PING",)])
    await link.close()


async def test_commands_that_were_not_answered_in_time_are_done_once(redis_server: RedisServer) -> None:
    link = RedisLink(RedisSettings(url=redis_server.url, timeout=PATIENCE_S))
    assert await link.execute([("SET", "n", 0)]) == [b"OK"]
    redis_server.do("CLIENT", "PAUSE", round(4000 * PATIENCE_S), "ALL")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await link.execute([("INCR", "n")])

    async def answered() -> bool:
        try:
            return await link.execute([("ECHO", "x")]) == [b"x"]
        except StoreUnavailable:
            return False

    await until(answered)
    assert int(str(redis_server.do("GET", "n"))) <= 2
    await link.close()


async def test_commands_of_a_connection_that_broke_off_are_sent_once() -> None:
    asked: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"INCR" not in (said := await reader.read(65536)):
            writer.write(b"+OK\r\n" * said.count(b"*"))
        asked.append(said)

    async with serving(hang_up) as port:
        link = RedisLink(f"redis://127.0.0.1:{port}")
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await link.execute([("INCR", "n")])
        await link.close()
    assert len(asked) == 1


async def test_a_pool_whose_redis_hangs_is_unknown_after_half_a_tick_and_the_others_are_read(redis_url: str) -> None:
    async with serving(hang) as port:
        links = {"fine": RedisLink(redis_url), "hangs": RedisLink(RedisSettings(url=f"redis://127.0.0.1:{port}"))}
        source = QueueDemand({name: (link, make_reader(JOBS)) for name, link in links.items()}, patience_s=PATIENCE_S)
        readings = await source.read(NOW)
        assert isinstance(readings["fine"], Demand)
        assert readings["hangs"] == Unknown("Redis did not answer within 1s, half a tick", NOW)
        for link in links.values():
            await link.close()


async def test_when_the_first_does_not_know_all_others_are_asked_at_the_same_time() -> None:
    all_asked = asyncio.Barrier(3)
    asked: list[HostPort] = []

    async def ask(host: HostPort) -> str | StoreUnavailable:
        asked.append(host)
        if host != HOSTS[0]:
            await all_asked.wait()
        return "known" if host == HOSTS[2] else StoreUnavailable("hangs")

    answers = await ask_in_turn(HOSTS, ask)
    assert list(answers) == asked == HOSTS
    assert first_good(answers) == (HOSTS[2], "known")


async def test_when_the_first_knows_nobody_else_is_asked_and_when_none_knows_each_says_why() -> None:
    async def knows(_: HostPort) -> int | StoreUnavailable:
        return 1

    async def knows_not(host: HostPort) -> int | StoreUnavailable:
        return StoreUnavailable(host[0])

    assert await ask_in_turn(HOSTS, knows) == {HOSTS[0]: 1}
    answers = await ask_in_turn(HOSTS, knows_not)
    assert [str(answer) for answer in answers.values()] == ["a", "b", "c", "d"]
    assert first_good(answers) is None


async def test_a_sentinel_that_answered_is_asked_before_one_that_hangs(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    hung = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hung
        hung += 1
        await hang(reader, writer)

    sentinel = Sentinel(tmp_path, redis_server, 1)
    sentinel.start()
    try:
        async with serving(count) as port:
            url = f"redis+sentinel://127.0.0.1:{port},127.0.0.1:{sentinel.port}/mymaster"
            link = RedisLink(RedisSettings(url=url, timeout=PATIENCE_S))
            for _ in range(3):
                assert await link.execute([("ECHO", "x")]) == [b"x"]
            await link.close()
        assert hung == 1
    finally:
        sentinel.stop()


async def test_a_node_that_hangs_is_asked_once_who_owns_what(cluster: RedisCluster) -> None:
    hung = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hung
        hung += 1
        await hang(reader, writer)

    async with serving(count) as port:
        url = f"redis+cluster://127.0.0.1:{port},127.0.0.1:{cluster.nodes[0].port}"
        link = RedisLink(RedisSettings(url=url, timeout=PATIENCE_S))
        for _ in range(3):
            assert await link.execute([("GET", "k")]) == [None]
        await link.close()
    assert hung == 1


async def test_whoever_waits_when_the_link_is_closed_is_cancelled() -> None:
    async with serving(hang) as port:
        link = RedisLink(f"redis://127.0.0.1:{port}")
        waiting = asyncio.create_task(link.execute([("PING",)]))
        await until(lambda: _is(link.round_trips == 1))
        await link.close()
        await asyncio.wait([waiting])
        assert waiting.cancelled()


async def test_an_answer_that_makes_no_sense_reaches_whoever_asked() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(65536):
            writer.write(b"+babble\r\n" * asked.count(b"*"))

    async with serving(babble) as port:
        link = RedisLink(f"redis+cluster://127.0.0.1:{port}")
        try:
            with pytest.raises(TypeError):
                await link.execute([("GET", "k")])
        finally:
            await link.close()


async def test_a_link_to_a_redis_that_hangs_is_closed_without_a_word(tmp_path: Path) -> None:
    with secured(tmp_path) as (server, settings):
        link = RedisLink(settings)
        assert await link.execute([("PING",)]) == [b"PONG"]
        with stopped(server):
            await link.close()
