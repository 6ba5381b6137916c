"""Somebody on a rented machine has its Redis password: what he can do with it, and what he cannot."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import NoPermissionError

from autoscaler import acl
from autoscaler.agent import Line
from autoscaler.deadman import Ear, Word
from autoscaler.link import RedisLink, RedisSettings
from autoscaler.store.codec import decode_heartbeat
from autoscaler.store.keys import Keys
from tests.support.queues import as_admin

FLEET = "attic"
KEYS = Keys(FLEET)
LINE = acl.machine_line(RedisSettings(url="redis://queue"), FLEET)


@dataclass(frozen=True, slots=True)
class Intruder:
    """Whoever is on a machine."""

    url: str
    link: RedisLink

    async def may(self, *command: Any) -> bool:
        [reply] = await self.link.execute([command])
        return not isinstance(reply, NoPermissionError)


@asynccontextmanager
async def on_a_machine(url: str) -> AsyncIterator[Intruder]:
    words = [word.replace(f">{acl.PASSWORD}", ">pw") for word in shlex.split(LINE.replace("\\", "\\\\"))]
    await as_admin(url, tuple(words))
    own = url.replace("redis://", f"redis://{acl.MACHINE}:pw@")
    link = RedisLink(own)
    try:
        yield Intruder(own, link)
    finally:
        await link.close()
        await as_admin(url, ("ACL", "DELUSER", acl.MACHINE))


async def test_the_agent_and_the_dead_mans_switch_work_with_a_machines_rights(redis_url: str) -> None:
    async with on_a_machine(redis_url) as machine:
        await as_admin(redis_url, ("SET", KEYS.drain("i1"), "why"), ("SET", KEYS.lease, "somebody:1"))

        assert Line(machine.url, FLEET, "i1", print)({"busy": 0}, lease=True) == (True, True)

        [beat] = await machine.link.execute([("HGET", KEYS.workers, "i1")])
        assert Ear(machine.url, FLEET, "i1")() == Word(leads=True, beat=beat)


OWN = [value for name, value in vars(KEYS).items() if name not in ("prefix", "workers")]


@pytest.mark.parametrize("key", [*OWN, KEYS.drain("i1"), "jobs:pro", Keys("others").workers])
@pytest.mark.parametrize("command", ["SET", "DEL", "HSET", "HDEL", "XADD", "RPUSH", "EXPIRE", "RENAME"])
async def test_a_machine_can_write_nothing_but_heartbeats(redis_url: str, key: str, command: str) -> None:
    words = {"SET": ("x",), "HSET": ("a", "b"), "HDEL": ("a",), "XADD": ("*", "a", "b"), "RPUSH": ("x",)}
    more = {"EXPIRE": ("1",), "RENAME": (KEYS.workers,)} | words
    async with on_a_machine(redis_url) as machine:
        assert not await machine.may(command, key, *more.get(command, ()))


@pytest.mark.parametrize(
    "command",
    [
        ("HGETALL", KEYS.instances),
        ("HGETALL", KEYS.orders),
        ("HGETALL", KEYS.workers),
        ("XRANGE", KEYS.journal, "-", "+"),
        ("DEL", KEYS.workers),
        ("KEYS", "*"),
        ("SCAN", "0"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("EVAL", "return 1", "0"),
        ("MONITOR",),
        ("CLIENT", "LIST"),
        ("SHUTDOWN",),
        ("REPLICAOF", "evil", "6379"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
async def test_a_machine_can_neither_look_around_nor_administer(redis_url: str, command: tuple[str, ...]) -> None:
    async with on_a_machine(redis_url) as machine:
        assert not await machine.may(*command)


# --- what a heartbeat may hold ----------------------------------------------------------------------------------------


def beat_of(**fields: Any) -> Any:
    return decode_heartbeat(json.dumps({"busy": 1} | fields).encode())


def test_a_workers_words_are_one_short_printable_line() -> None:
    beat = beat_of(trouble="\x1b[2JCUDA error 700\n2026-01-01 all is well \u202e" + "x" * 10_000)
    assert beat.trouble.isprintable()
    assert beat.trouble.startswith("[2JCUDA error 700 2026-01-01 all is well x")
    assert len(beat.trouble) <= 200


def test_counts_for_more_tiers_than_anybody_has_are_passed_over() -> None:
    many = {f"t{number}": 1 for number in range(200)}
    beat = beat_of(taken=many, done={tier: [1, 1.0] for tier in many})
    assert (beat.busy, beat.taken, beat.done) == (1, None, None)


def test_a_heartbeat_too_large_to_be_one_is_none() -> None:
    assert beat_of(note="x" * 100_000) is None, "unheard is unknown, and unknown counts as busy"


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str).map(str.encode))
def test_nothing_a_worker_writes_breaks_the_reading(stored: bytes) -> None:
    beat = decode_heartbeat(stored)
    assert beat is None or beat.busy >= 0
