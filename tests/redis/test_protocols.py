"""RESP2 and RESP3 give the same replies."""

from __future__ import annotations

import pytest

from autoscaler.embedded import EmbeddedRedis
from autoscaler.link import Command, RedisLink
from autoscaler.link.commands import as_resp2
from autoscaler.queues.base import READ_ONLY
from tests.support.any_redis import FILL, tells_all
from tests.support.queues import as_admin

ASKED: tuple[Command, ...] = (
    ("EXISTS", "l"),
    ("TYPE", "s"),
    ("GET", "text"),
    ("GET", "absent"),
    ("STRLEN", "text"),
    ("LLEN", "l"),
    ("LINDEX", "l", -1),
    ("LINDEX", "absent", 0),
    ("LRANGE", "l", 0, -1),
    ("LPOS", "l", "absent"),
    ("SCARD", "running"),
    ("SISMEMBER", "running", "a"),
    ("SMEMBERS", "lone"),
    ("HLEN", "job:1"),
    ("HGET", "job:1", "at"),
    ("HMGET", "job:1", "at", "absent"),
    ("HEXISTS", "job:1", "at"),
    ("HSTRLEN", "job:1", "at"),
    ("HGETALL", "job:1"),
    ("HGETALL", "absent"),
    ("ZCARD", "ranks"),
    ("ZCOUNT", "ranks", "-inf", 12),
    ("ZSCORE", "times", "a"),
    ("ZSCORE", "times", "absent"),
    ("ZRANGE", "times", 0, 0, "WITHSCORES"),
    ("ZRANGE", "ranks", 0, -1),
    ("ZRANGE", "odd", 0, -1, "WITHSCORES"),
    ("ZRANGEBYSCORE", "ranks", 2, "+inf", "WITHSCORES", "LIMIT", 0, 9),
    ("ZREVRANGEBYSCORE", "ranks", "+inf", "-inf", "LIMIT", 0, 1),
    ("ZRANGE", "absent", 0, 0, "WITHSCORES"),
    ("XLEN", "s"),
    ("XINFO", "GROUPS", "s"),
    ("XINFO", "STREAM", "s"),
    ("XPENDING", "s", "workers"),
    ("XPENDING", "s", "workers", "IDLE", 0, "-", "+", 1),
    ("XRANGE", "s", "-", "+", "COUNT", 2),
    ("XREVRANGE", "s", "+", "-", "COUNT", 1),
    ("EVAL", "return {1, 'a', {KEYS[1]}, false}", 1, "k"),
    ("PING",),
    ("SCAN", 0, "MATCH", "lone"),
)
MORE: tuple[Command, ...] = (
    ("SET", "text", "v"),
    ("SADD", "lone", "a"),
    ("ZADD", "odd", "-inf", "a", 0.5, "b", 1e300, "c", "+inf", "d"),
)


def test_every_command_that_readers_may_ask_is_compared() -> None:
    assert {str(command[0]) for command in ASKED} >= READ_ONLY


async def replies(url: str, protocol: int) -> list[object]:
    link = RedisLink(f"{url}?protocol={protocol}")
    given = await link.execute(ASKED)
    await link.close()
    return [_steady(reply) for reply in given]


def _steady(reply: object) -> object:
    """The XPENDING of one entry tells how long it was idle, which differs from one moment to the next."""
    match reply:
        case [[entry, consumer, int(), count]]:
            return [entry, consumer, count]
        case _:
            return reply


async def test_replies_are_the_same_by_both_protocols(redis_url: str) -> None:
    await as_admin(redis_url, *FILL, *MORE)
    two, three = await replies(redis_url, 2), await replies(redis_url, 3)
    for command, older, newer in zip(ASKED, two, three, strict=True):
        assert older == newer, command


async def test_refusals_are_values_by_both_protocols(redis_url: str) -> None:
    await as_admin(redis_url, *MORE)
    for protocol in (2, 3):
        link = RedisLink(f"{redis_url}?protocol={protocol}")
        refused, fine = await link.execute([("LLEN", "text"), ("GET", "text")])
        assert isinstance(refused, Exception)
        assert str(refused).startswith("WRONGTYPE")
        assert fine == b"v"
        await link.close()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_the_embedded_redis_speaks_both(protocol: int) -> None:
    server = EmbeddedRedis()
    url = server.start()
    await tells_all(f"{url}?protocol={protocol}")
    server.stop()


@pytest.mark.parametrize(
    ("command", "newer", "older"),
    [
        (("HGETALL", "h"), {b"f": b"v", b"g": b"w"}, [b"f", b"v", b"g", b"w"]),
        (("XINFO", "GROUPS", "s"), [{b"name": b"g", b"lag": None}], [[b"name", b"g", b"lag", None]]),
        (("ZRANGE", "z", 0, 1, "WITHSCORES"), [[b"a", 1.5], [b"b", 2.0]], [b"a", b"1.5", b"b", b"2"]),
        (("ZSCORE", "z", "a"), float("inf"), b"inf"),
        (("SMEMBERS", "s"), {b"a"}, [b"a"]),
        (("SISMEMBER", "s", "a"), True, 1),
        (("GET", "k"), None, None),
        (("ZRANGE", "z", 0, 0), [b"a"], [b"a"]),
    ],
)
def test_each_newer_type_has_its_older_shape(command: Command, newer: object, older: object) -> None:
    assert as_resp2(command, newer) == older
