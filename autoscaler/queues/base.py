"""What a queue reader is. It says which commands to ask and understands the replies; it does no IO itself.

A reader is a generator: it yields the commands that it wants answered and is sent their replies. So it reads from top
to bottom like a program that asks Redis, and whoever drives it decides how: readers that share a Redis share its
pipelines, and a tick costs one round trip, or two where an answer is needed before the next question can be asked.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from autoscaler.core.demand import InFlightKind
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, Age
from autoscaler.queues.caution import Caution

READ_ONLY = frozenset(
    {
        *("EXISTS", "TYPE", "GET", "STRLEN", "LLEN", "LINDEX", "LPOS"),
        *("SCARD", "SISMEMBER", "SMEMBERS", "HLEN", "HGET", "HMGET", "HEXISTS", "HSTRLEN"),
        *("ZCARD", "ZCOUNT", "ZSCORE", "ZRANGE", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE"),
        *("XLEN", "XINFO", "XPENDING", "XRANGE"),
    }
)
"""The commands a reader may ask. A Redis user with ``+@read +@connection -@dangerous`` has them all."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Steps = Generator[Sequence[Command], Sequence[Reply], T]
"""One reading under way: it yields commands, is sent a reply to each, and returns what it read."""


class Reader(Protocol[T_co]):
    """Reads one thing: a pool's queue, one of its tiers, its jobs in flight.

    It remembers little, of bounded size, and changes that only after the last reply it needs: a tick that breaks off
    leaves no trace. A command that Redis refused has its error as its reply.
    """

    def read(self, now: float, /) -> Steps[T_co]:
        """One reading, in at most two steps.

        Raises:
            Unreadable: what is read cannot be counted. A failed read is never taken for zero.
        """
        ...


class Unreadable(Exception):
    """A queue that cannot be counted, and why."""


class Refused(Unreadable):
    """A command that gave no count."""

    def __init__(self, command: Command, reply: Reply, expected: str) -> None:
        super().__init__(command, reply, expected)
        self.command = command
        self.reply = reply
        self.expected = expected
        """The type of key that the command is for: `list`, `zset`, `stream`, `hash`, `set`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """Jobs of one place, such as a list; a tier has one place or several."""

    waiting: int
    """Ready to start, delayed jobs already due included."""
    is_lower_bound: bool = False
    age: Age = UNKNOWN_AGE
    """Of the job next in line."""
    delayed: int | None = 0
    """Not due yet; None where the place cannot tell."""
    next_due_at: float | None = None
    """Epoch seconds."""
    at_work: int = 0
    """In flight, though they still lie in this place; not among those waiting."""
    cautions: frozenset[Caution] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class InFlight:
    """Jobs delivered and not finished, as read."""

    count: int | None
    """None where they are hidden, or could not be counted."""
    kind: InFlightKind = InFlightKind.DELIVERED
    """What the count means; no matter where there is none."""
    oldest_at: float | None = None
    """Epoch seconds when the oldest of them was enqueued."""
    busy: Mapping[str, int] = field(default_factory=dict)
    """Those at work by the instance whose worker says so."""
    cautions: frozenset[Caution] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """What else a library's keys tell of its queue."""

    paused: bool = False
    busy: Mapping[str, int] = field(default_factory=dict)
    """Jobs at work by the instance whose worker says so."""
    cautions: frozenset[Caution] = frozenset()


def instance_of(worker: str) -> str:
    """The instance that a worker's name tells: `NAME@INSTANCE`, as Celery writes it, or the instance alone."""
    return worker.rpartition("@")[2]


def together(parts: Sequence[Steps[T]]) -> Steps[list[T]]:
    """Run readings side by side: what they ask at the same time goes out at once. Gives their results in order."""
    if len(parts) == 1:
        return [(yield from parts[0])]
    results: dict[int, T] = {}
    asked: dict[int, Sequence[Command]] = {}
    for number, part in enumerate(parts):
        try:
            asked[number] = next(part)
        except StopIteration as end:
            results[number] = end.value
    while asked:
        replies = yield [command for each in asked.values() for command in each]
        before, asked, start = asked, {}, 0
        for number, each in before.items():
            end_of = start + len(each)
            try:
                asked[number] = parts[number].send(replies[start:end_of])
            except StopIteration as end:
                results[number] = end.value
            start = end_of
    return [results[number] for number in range(len(parts))]


def count(reply: Reply) -> int | None:
    """The number that a counting command replied, or None where it is none."""
    return reply if isinstance(reply, int) and not isinstance(reply, bool) and reply >= 0 else None


def counted(command: Command, reply: Reply, expected: str) -> int:
    """The number that a counting command replied.

    Raises:
        Refused: it is none.
    """
    number = count(reply)
    if number is None:
        raise Refused(command, reply, expected)
    return number


def literal(key: str) -> str:
    """A key as an ACL's pattern that matches it alone."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", key)
