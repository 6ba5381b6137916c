"""What Redis replies about streams, made into values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.link import Reply
from autoscaler.queues.age import parse_number
from autoscaler.queues.base import count

_ID = re.compile(rb"(\d{1,20})-(\d{1,20})")


@dataclass(frozen=True, slots=True, order=True)
class EntryId:
    """Id of a stream entry: milliseconds of Redis' clock since 1970, and a number within them."""

    ms: int = 0
    number: int = 0

    def __str__(self) -> str:
        return f"{self.ms}-{self.number}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A stream entry."""

    id: EntryId
    fields: Mapping[bytes, bytes]

    @property
    def size(self) -> int:
        """Bytes of its fields."""
        return sum(len(name) + len(value) for name, value in self.fields.items())


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group. One that does not exist yet has all entries before it."""

    delivered: EntryId = EntryId()
    """The last entry that was delivered to a worker."""
    lag: int | None = None
    """Entries after that one; None where Redis cannot tell, which before version 7 it never can."""
    pending: int | None = None
    """Entries delivered and not acknowledged; None where Redis does not say."""
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """Entries delivered and not acknowledged."""

    count: int
    oldest: EntryId | None
    most: int
    """The most that one consumer holds."""


def parse_id(reply: Reply) -> EntryId | None:
    """An entry's id, or None where it is none."""
    match = _ID.fullmatch(reply) if isinstance(reply, bytes) else None
    return None if match is None else EntryId(int(match[1]), int(match[2]))


def parse_entries(reply: Reply) -> tuple[Entry, ...] | None:
    """The entries of an XRANGE, or None where the reply makes no sense."""
    if not isinstance(reply, list):
        return None
    entries = []
    for item in reply:
        entry_id = parse_id(item[0]) if isinstance(item, list) and len(item) == 2 else None
        if entry_id is None or not isinstance(item[1], list) or not all(isinstance(part, bytes) for part in item[1]):
            return None
        entries.append(Entry(entry_id, dict(zip(item[1][::2], item[1][1::2], strict=False))))
    return tuple(entries)


def parse_group(reply: Reply, name: str) -> Group | None:
    """One group of an XINFO GROUPS, or None where the reply makes no sense."""
    if not isinstance(reply, list):
        return None
    for item in reply:
        if not isinstance(item, list) or not all(isinstance(part, bytes) for part in item[::2]):
            return None
        fields = dict(zip(item[::2], item[1::2], strict=False))
        if fields.get(b"name") == name.encode():
            delivered = parse_id(fields.get(b"last-delivered-id"))
            lag, pending = count(fields.get(b"lag")), count(fields.get(b"pending"))
            return None if delivered is None else Group(delivered, lag, pending)
    return Group(absent=True)


def consumers_of(reply: Reply) -> dict[str, int]:
    """The groups of an XINFO GROUPS, and how many consumers each has; none where the reply makes no sense."""
    found = {}
    for item in reply if isinstance(reply, list) else ():
        if isinstance(item, list) and all(isinstance(part, bytes) for part in item[::2]):
            fields = dict(zip(item[::2], item[1::2], strict=False))
            if isinstance(name := fields.get(b"name"), bytes):
                found[name.decode(errors="replace")] = count(fields.get(b"consumers")) or 0
    return found


def parse_pending(reply: Reply) -> Pending | None:
    """The summary of an XPENDING, or None where the reply makes no sense."""
    number = count(reply[0]) if isinstance(reply, list) and len(reply) == 4 else None
    if number is None:
        return None
    consumers = reply[3] if isinstance(reply[3], list) else []
    held = [parse_number(each[1]) or 0 for each in consumers if isinstance(each, list) and len(each) == 2]
    return Pending(number, parse_id(reply[1]), int(max(held, default=0)))
