"""What is in a Redis: a bounded look at its keys, and the queues of every library that are recognised among them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import NoPermissionError

from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.errors import StoreUnavailable
from autoscaler.link import Command, RedisLink, Reply
from autoscaler.queues import LIBRARIES, make_reader
from autoscaler.queues.library import Found, Keyspace, tier_name
from autoscaler.queues.pool import PoolReader
from autoscaler.queues.source import QueueDemand, answered
from autoscaler.runtime.ports import Clock

MAX_KEYS = 500_000
"""Keys looked at; SCAN gives them in no order, so that of more keys some queues may be missed."""
_PAGE = 1000
_SECOND_LOOK_S = 1.0
_OURS = "autoscaler:{"


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """The keys of a Redis, as far as they were looked at."""

    keyspace: Keyspace
    """Without the autoscaler's own keys, and those whose names are no text."""
    seen: int
    """Keys looked at, of all types and names."""
    complete: bool
    """Whether these were all there are."""
    refused: int = 0
    """Those that this user may not read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognised:
    """A queue that was recognised."""

    name: str
    """What its pool may be called; no other has this name."""
    found: Found[Any]
    demand: Demand | Unknown
    """What it holds now."""

    @property
    def kind(self) -> str:
        """Which library's it is: a key of `LIBRARIES`."""
        return str(self.found.settings.kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Discovery:
    """What a look into a Redis gave."""

    looked: Looked
    queues: tuple[Recognised, ...]
    """Named libraries' first, the generic kinds' last."""
    left_out: Mapping[str, tuple[str, ...]]
    """By type, the keys that belong to no queue that was recognised."""


async def discover(link: RedisLink, clock: Clock, done: Callable[[int, int], None]) -> Discovery:
    """Look at the keys, recognise queues and read each; `done` is told how many keys were looked at, of how many.

    Raises:
        StoreUnavailable: Redis did not answer, or refuses SCAN, DBSIZE or TYPE.
    """
    looked = await look(link, done)
    rest, found = dict(looked.keyspace.types), list[Found[Any]]()
    for library in LIBRARIES.values():
        of_library: list[Found[Any]] = await answered(link, library.find(Keyspace(rest)))
        found += of_library
        claimed = frozenset[str]().union(*(each.keys for each in of_library))
        rest = {key: kind for key, kind in rest.items() if key not in claimed}
    readers: dict[str, tuple[RedisLink, PoolReader]] = {
        str(number): (link, make_reader(each.settings)) for number, each in enumerate(found)
    }
    demands = await read_now(QueueDemand(readers), clock)
    left_out = {kind: tuple(sorted(key for key in rest if rest[key] == kind)) for kind in sorted(set(rest.values()))}
    named = zip(_names(found), found, demands.values(), strict=True)
    return Discovery(
        looked=looked,
        queues=tuple(Recognised(name=name, found=each, demand=demand) for name, each, demand in named),
        left_out=left_out,
    )


async def read_now(queues: QueueDemand, clock: Clock) -> Mapping[str, Demand | Unknown]:
    """What queues hold; read again a second later where an age may take two looks."""
    readings = await queues.read(clock.now())
    if any(_lacks_age(reading) for reading in readings.values()):
        await clock.sleep(_SECOND_LOOK_S)
        readings = await queues.read(clock.now())
    return readings


def _lacks_age(reading: Demand | Unknown) -> bool:
    return isinstance(reading, Demand) and any(tier.waiting and tier.oldest_wait_s is None for tier in reading.tiers)


def _names(found: Sequence[Found[Any]]) -> list[str]:
    """A library's only queue is called like the library; others by what the names of their tiers have in common."""
    kinds = [each.settings.kind for each in found]
    names: list[str] = []
    for each in found:
        its_name = "key" if kinds.count(each.settings.kind) == 1 else "queue"
        keys = [getattr(tier, "key", getattr(tier, its_name, each.settings.kind)) for tier in each.settings.tiers]
        common = os.path.commonprefix(keys)  # noqa: RUF071 - of characters, as keys have separators of any kind
        names.append(tier_name(common or each.settings.kind, names))
    return names


async def look(link: RedisLink, done: Callable[[int, int], None], most: int = MAX_KEYS) -> Looked:
    """The keys of a Redis and their types, by SCAN, a page at a time, up to about `most` of them.

    Of a Cluster, each node has the same share of them.

    Raises:
        StoreUnavailable: Redis did not answer, refuses SCAN, DBSIZE or TYPE, or every key.
    """
    parts = await link.parts()
    total = sum([_answer(*await part.exchange([("DBSIZE",)])) for part in parts])
    types: dict[bytes, Reply] = {}
    complete = True
    for part in parts:
        cursor, ended, until = b"0", False, len(types) + most / len(parts)
        while not ended and len(types) < until:
            cursor, page = _answer(*await part.exchange([("SCAN", cursor, "COUNT", _PAGE)]))
            asked: list[Command] = [("TYPE", key) for key in page]
            types |= dict(zip(page, await part.exchange(asked) if asked else [], strict=True))
            ended = cursor == b"0"
            done(len(types), total)
        complete = complete and ended
    allowed = {key: _answer(reply) for key, reply in types.items() if not isinstance(reply, NoPermissionError)}
    if types and not allowed:
        _answer(*types.values())
    named = {_text(key): kind.decode() for key, kind in allowed.items()}
    ours = {
        key: kind for key, kind in named.items() if key is not None and not key.startswith(_OURS) and kind != "none"
    }
    return Looked(keyspace=Keyspace(ours), seen=len(types), complete=complete, refused=len(types) - len(allowed))


def _answer(reply: Reply, *_others: Reply) -> Reply:
    if isinstance(reply, Exception):
        raise StoreUnavailable(f"Redis refused a look at its keys: {reply}; allow it: ~* +scan +dbsize +type +@read")
    return reply


def _text(key: bytes) -> str | None:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None
