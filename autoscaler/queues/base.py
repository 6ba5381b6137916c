"""What a queue reader is. It says which commands to ask and understands the replies; it does no IO itself.

Readers that share a Redis share its pipelines, so a tick costs one round trip, or two where an answer is needed before
the next question can be asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from redis.exceptions import NoPermissionError

from autoscaler.core.demand import TierDemand, Unknown
from autoscaler.link import Command, Reply

READ_ONLY = frozenset(
    {
        *("TYPE", "LLEN", "LINDEX", "LPOS", "SCARD", "HLEN", "HGET"),
        *("ZCARD", "ZCOUNT", "ZRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE"),
        *("XLEN", "XINFO", "XPENDING", "XRANGE"),
    }
)
"""The commands a reader may ask. A Redis user with ``+@read +@connection -@dangerous`` has them all."""

Answers = Mapping[Command, Reply]
"""The reply to each command. A refused command has its error as its reply."""

T_co = TypeVar("T_co", covariant=True)


class Reader(Protocol[T_co]):
    """Reads one thing: a pool's queue, one of its tiers, its jobs in flight.

    A tick calls the three methods in this order and with the same `now`. Only `parse` changes what the reader
    remembers, and what it remembers is bounded; a tick that breaks off leaves no trace.
    """

    def first(self, now: float, /) -> list[Command]:
        """What to ask on each tick."""
        ...

    def second(self, answers: Answers, now: float, /) -> list[Command]:
        """What else to ask, now that the first answers are known. Mostly nothing."""
        ...

    def parse(self, answers: Answers, now: float, /) -> T_co | Unknown:
        """What the answers to both say. Never raises, and never takes a failed read for zero."""
        ...


class Caution(StrEnum):
    """What a reader warns of."""

    CLOCK_SKEW = "clock_skew"
    """A job was enqueued more than 5 s in the future: the clocks of producer and daemon differ."""
    ABSURD_TIMESTAMP = "absurd_timestamp"
    """An enqueue time is out of all reason, e.g. given in another unit; the age is not known."""
    AGE_UNREADABLE = "age_unreadable"
    """The enqueue time could not be read: refused, no such field, no JSON."""
    AGE_LOWER_BOUND = "age_lower_bound"
    """The next job was there before the daemon started; it is at least as old as stated."""
    AGE_UPPER_BOUND = "age_upper_bound"
    """All that is known of the next job is that the list was empty at the stated time."""
    PAYLOAD_TOO_LARGE = "payload_too_large"
    """The elements are too large to be fetched on each tick, so ages are not followed until the list was empty."""
    IN_FLIGHT_UNREADABLE = "in_flight_unreadable"
    """The jobs in flight could not be counted."""
    GROUP_ABSENT = "group_absent"
    """The stream has no such consumer group yet; all of its entries count as waiting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TierReading:
    """One tier as read."""

    demand: TierDemand
    seen: bool
    """The tier's key exists."""
    cautions: frozenset[Caution] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class InFlight:
    """Jobs delivered and not finished, as read."""

    count: int | None
    """None where they are hidden, or could not be counted."""
    oldest_at: float | None = None
    """Epoch seconds when the oldest of them was enqueued."""
    seen: bool = False
    """A key of theirs exists."""
    cautions: frozenset[Caution] = frozenset()


def count(reply: Reply) -> int | None:
    """The number that a counting command replied, or None where it is none."""
    return reply if isinstance(reply, int) and not isinstance(reply, bool) and reply >= 0 else None


def exists(answers: Answers, key: str) -> bool:
    """Whether TYPE found the key."""
    found = answers.get(("TYPE", key))
    return isinstance(found, bytes) and found != b"none"


def fault(answers: Answers, command: Command, *, key: str, expected: str, now: float) -> Unknown:
    """Why a command about a key, whose TYPE was asked too, has no usable answer: what was found, what was expected."""
    reply: Reply = answers.get(command)
    found: Reply = answers.get(("TYPE", key))
    name = str(command[0])
    if isinstance(found, bytes) and found not in (b"none", expected.encode()):
        return Unknown(f"queue key {key!r} holds a {found.decode(errors='replace')}; expected a {expected}", now)
    if isinstance(reply, NoPermissionError):
        return Unknown(f"queue key {key!r} may not be read: {reply}; the user needs +@read on this key", now)
    if isinstance(reply, Exception):
        return Unknown(f"queue key {key!r} cannot be read: {name} failed: {reply}", now)
    return Unknown(f"queue key {key!r} cannot be read: {name} gave a reply that makes no sense", now)
