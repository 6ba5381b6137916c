from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError, ReadOnlyError, ResponseError

from autoscaler.core.errors import StoreUnavailable
from autoscaler.link import RedisLink, RedisSettings
from tests.support.queues import as_admin
from tests.support.redis_server import RedisServer, free_port


async def test_replies_come_as_redis_gave_them(redis_url: str) -> None:
    link = RedisLink(redis_url)
    replies = await link.execute(
        [
            ("ZADD", "z", 1.5, "a"),
            ("ZRANGE", "z", 0, 0, "WITHSCORES"),
            ("HSET", "h", "f", "v"),
            ("HGETALL", "h"),
            ("TYPE", "z"),
            ("XADD", "s", "1-0", "f", "v"),
            ("XRANGE", "s", "-", "+"),
            ("XGROUP", "CREATE", "s", "g", "0"),
            ("XPENDING", "s", "g"),
            ("LPOS", "l", "x"),
        ]
    )
    assert replies == [
        1,
        [b"a", b"1.5"],
        1,
        [b"f", b"v"],
        b"zset",
        b"1-0",
        [[b"1-0", [b"f", b"v"]]],
        b"OK",
        [0, None, None, None],
        None,
    ]
    await link.close()


async def test_calls_of_one_turn_share_a_round_trip(redis_url: str) -> None:
    link = RedisLink(redis_url)
    replies = await asyncio.gather(*(link.execute([("ECHO", str(n)), ("ECHO", "x")]) for n in range(5)))
    assert replies == [[b"%d" % n, b"x"] for n in range(5)]
    assert link.round_trips == 1
    assert await link.execute([]) == []
    assert link.round_trips == 1
    await link.close()


async def test_a_refused_command_has_its_error_as_its_reply(redis_url: str) -> None:
    link = RedisLink(redis_url)
    await link.execute([("SET", "k", "v")])
    wrong_type, fine, unknown = await link.execute([("LLEN", "k"), ("GET", "k"), ("NOSUCH",)])
    assert isinstance(wrong_type, ResponseError)
    assert str(wrong_type).startswith("WRONGTYPE")
    assert fine == b"v"
    assert isinstance(unknown, ResponseError)
    await link.close()


async def test_a_command_beyond_the_users_rights_has_its_error_as_its_reply(redis_url: str) -> None:
    await as_admin(redis_url, ("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "+get", "+@connection"))
    link = RedisLink(redis_url.replace("redis://", "redis://limited:pw@"))
    refused, fine = await link.execute([("LLEN", "k"), ("GET", "k")])
    await as_admin(redis_url, ("ACL", "DELUSER", "limited"))
    assert isinstance(refused, NoPermissionError)
    assert fine is None
    await link.close()


async def test_one_callers_cancellation_does_not_reach_the_others(redis_url: str) -> None:
    link = RedisLink(redis_url)
    impatient = asyncio.create_task(link.execute([("ECHO", "1")]))
    patient = asyncio.create_task(link.execute([("ECHO", "2")]))
    while not link.round_trips:
        await asyncio.wait([patient], timeout=0)
    impatient.cancel()
    assert await patient == [b"2"]
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await link.execute([("ECHO", "3")]) == [b"3"]
    await link.close()


async def test_a_link_finds_its_redis_again_after_it_was_away(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        link = RedisLink(server.url)
        assert await link.execute([("PING",)]) == [b"PONG"]
        server.stop()
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await link.execute([("PING",)])
        server.start()
        assert await link.execute([("PING",)]) == [b"PONG"]
        server.stop()
        server.start()
        assert await link.execute([("PING",)]) == [b"PONG"]
    await link.close()


async def test_a_redis_that_wants_a_password_is_told_apart_from_one_that_is_away(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        await as_admin(server.url, ("CONFIG", "SET", "requirepass", "secret"))
        for user in ("", ":wrong@", "nobody:wrong@"):
            link = RedisLink(server.url.replace("//", f"//{user}"))
            with pytest.raises(StoreUnavailable, match=r"^Redis refused the user name or password; check .* URL$"):
                await link.execute([("PING",)])
            await link.close()


async def test_a_read_only_redis_answers_what_it_can(tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--replicaof", "127.0.0.1", str(free_port())) as server:
        link = RedisLink(server.url)
        length, refused = await link.execute([("LLEN", "k"), ("SET", "k", "v")])
        assert length == 0
        assert isinstance(refused, ReadOnlyError)
        await link.close()


def address_of(server: asyncio.Server) -> str:
    return f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def take_command(reader: asyncio.StreamReader) -> bytes:
    """The name of the next command on the wire."""
    parts = int((await reader.readline())[1:])
    words = []
    for _ in range(parts):
        await reader.readline()
        words.append((await reader.readline()).strip())
    return words[0].upper()


async def test_a_redis_that_is_loading_is_unavailable_until_it_has_loaded() -> None:
    loading = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not reader.at_eof():
                name = await take_command(reader)
                refused = loading and name not in {b"CLIENT", b"HELLO"}
                writer.write(b"-LOADING Redis is loading the dataset in memory\r\n" if refused else b"+OK\r\n")
        except (asyncio.IncompleteReadError, ValueError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = RedisLink(address_of(server))
    with pytest.raises(StoreUnavailable, match=r"^Redis is still loading its data$"):
        await link.execute([("LLEN", "a"), ("LLEN", "b")])
    loading = False
    assert await link.execute([("LLEN", "a"), ("LLEN", "b")]) == [b"OK", b"OK"]
    await link.close()
    server.close()


async def test_a_redis_that_does_not_answer_is_given_up_after_the_time_out_and_asked_once() -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while not reader.at_eof():
            try:
                name = await take_command(reader)
            except ValueError:
                break
            if name == b"INCR":
                asked += 1
            else:
                writer.write(b"+OK\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    link = RedisLink(RedisSettings(url=address_of(server), timeout=0.5))
    with pytest.raises(StoreUnavailable, match=r"^Redis did not answer in time$"):
        await link.execute([("INCR", "a")])
    assert asked == 1
    await link.close()
    server.close()


async def test_text_that_cannot_be_sent_fails_its_batch_and_no_later_one(redis_url: str) -> None:
    link = RedisLink(redis_url)
    with pytest.raises(StoreUnavailable):
        await link.execute([("GET", "\ud800")])
    assert await link.execute([("PING",)]) == [b"PONG"]
    await link.close()
