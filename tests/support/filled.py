"""Fills the keys that a reader asks about, whatever its library, by the commands that it asks."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from autoscaler.link import Command
from autoscaler.queues import QueueSettings, make_reader
from tests.support.queues import driven

_TYPE_OF = {
    **dict.fromkeys(("LLEN", "LINDEX", "LPOS"), "list"),
    **dict.fromkeys(("ZCARD", "ZCOUNT", "ZSCORE", "ZRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE"), "zset"),
    **dict.fromkeys(("XLEN", "XINFO", "XPENDING", "XRANGE"), "stream"),
    **dict.fromkeys(("HLEN", "HGET", "HMGET", "HEXISTS", "HSTRLEN"), "hash"),
}
_COUNTING = frozenset({"LLEN", "ZCARD", "ZCOUNT", "HLEN", "XLEN"})
_AT_ONCE = 10_000
_PENDING = 50_000


def large_keys(settings: QueueSettings, now: float) -> dict[str, tuple[str, str | None]]:
    """The keys whose elements a reader counts: their type, and of streams the consumer group."""
    asked: list[Command] = []

    def answer(command: Command) -> object:
        asked.append(command)
        return 1

    driven(make_reader(settings).read(now), answer)
    counted = {_key(command) for command in asked if command[0] in _COUNTING}
    groups = {_key(command): str(command[2]) for command in asked if command[0] == "XPENDING"}
    return {
        _key(command): (_TYPE_OF[str(command[0])], groups.get(_key(command)))
        for command in asked
        if command[0] in _TYPE_OF and _key(command) in counted
    }


def _key(command: Command) -> str:
    key = command[2] if command[0] == "XINFO" else command[1]
    return key.decode() if isinstance(key, bytes) else str(key)


def fill(client: redis.Redis, key: str, kind: str, *, group: str | None, size: int, now: float) -> None:
    """Put that many elements under a key; the times of those in order of time end 1,000 s after now."""
    pipeline = client.pipeline(transaction=False)
    for numbers in _pages(size):
        match kind:
            case "list":
                pipeline.rpush(key, *(f"job-{n}" for n in numbers))
            case "zset":
                pipeline.zadd(key, {f"job-{n}": 1000.0 * (now + 1000.0 - size + n) for n in numbers})
            case "hash":
                pipeline.hset(key, mapping={f"job-{n}": "{}" for n in numbers})
            case _:
                for n in numbers:
                    pipeline.xadd(key, {"job": n}, id=f"{int(1000.0 * (now - size + n))}-0")
        pipeline.execute()
    if group is not None:
        client.xgroup_create(key, group, id="0")
        for _ in range(0, min(_PENDING, size // 2), _AT_ONCE):
            client.xreadgroup(group, "worker", {key: ">"}, count=_AT_ONCE)


def _pages(size: int) -> Iterator[range]:
    for start in range(0, size, _AT_ONCE):
        yield range(start, min(size, start + _AT_ONCE))
