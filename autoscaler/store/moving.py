"""What a unit keeps in Redis, and how it comes home from under the keys of the other way to lead.

A fleet is led by one lease, or with `spread` by one for each pool, and each way has keys of its own. Whoever takes a
lead takes over what the other way left of its pools: records and what was learned are moved in one fenced step, and of
each day the books that know more count. Samples and what vendors billed by machine stay: neither can be told apart by
pool in a step. A lease of the one way cannot be held while one of the other is: nobody writes there meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from autoscaler.core.unit import Unit
from autoscaler.link import Command, Reply
from autoscaler.store.codec import decode_instance
from autoscaler.store.common import pairs
from autoscaler.store.keys import Keys

_OF_POOL = frozenset({"history", "admission", "load", "policy", "signal"})
"""Kinds of documents that name a pool in their second place."""
_SHARED = frozenset({"places", "images", "told"})
"""Kinds that speak of hosts, images and what people were told, whichever pool met them."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies under one unit's keys."""

    keys: Keys
    instances: dict[str, bytes]
    documents: dict[str, bytes]
    ledger: dict[str, bytes]

    @classmethod
    def read(cls, keys: Keys, replies: Sequence[Reply]) -> Contents:
        """From the replies to `questions`."""
        return cls(keys, *(pairs(reply) for reply in replies))


def questions(keys: Keys) -> list[Command]:
    """What asks for a unit's contents."""
    return [("HGETALL", keys.instances), ("HGETALL", keys.documents), ("HGETALL", keys.ledger)]


def bring_home(unit: Unit, own: Contents, other: Contents) -> Iterator[Command]:
    """Take what another unit's keys hold of this one's pools; gives the commands that do the same in Redis."""
    for name, stored in other.instances.items():
        if unit.owns(decode_instance(name, stored).pool):
            yield from _keep(own.instances, own.keys.instances, name, stored)
            yield ("HDEL", other.keys.instances, name)
    for name, stored in other.documents.items():
        kind, *about = name.split(":")
        if kind in _OF_POOL and unit.owns(about[0]):
            yield from _keep(own.documents, own.keys.documents, name, stored)
            yield ("HDEL", other.keys.documents, name)
        elif kind in _SHARED:
            yield from _keep(own.documents, own.keys.documents, name, stored)
    for day, stored in other.ledger.items():
        books = _merged(own.ledger.get(day), stored, unit.owns)
        if books is not None and books != own.ledger.get(day):
            own.ledger[day] = books
            yield ("HSET", own.keys.ledger, day, books)


def _keep(known: dict[str, bytes], key: str, name: str, stored: bytes) -> Iterator[Command]:
    if name not in known:
        known[name] = stored
        yield ("HSET", key, name, stored)


def _merged(own: bytes | None, other: bytes, owns: Callable[[str], bool]) -> bytes | None:
    """A day's books with what others know of our pools; of each pool the higher figure, for what was spent stays so."""
    told = json.loads(other)
    pools = {pool: spent for pool, spent in told["pools"].items() if owns(pool)}
    if own is None:
        return json.dumps(told | {"pools": pools}).encode() if pools else None
    books = json.loads(own)
    more = {pool: spent for pool, spent in pools.items() if _usd(spent) > _usd(books["pools"].get(pool, {}))}
    if not more:
        return own
    until = max(books["booked_until"], told["booked_until"])
    return json.dumps(books | {"booked_until": until, "pools": books["pools"] | more}).encode()


def _usd(spent: dict[str, Any]) -> float:
    return float(spent.get("running_usd", 0.0) + spent.get("stopped_usd", 0.0))
