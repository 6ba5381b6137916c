"""Huey's queues in Redis. Read from version 3.5.4.

Messages are pickled and never read. Nothing in Redis tells of those that a consumer has taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Literal

from autoscaler.core.spec import SETTINGS
from autoscaler.queues.age import PER_SECOND
from autoscaler.queues.band import Band, Scores
from autoscaler.queues.base import Jobs, Reader, Steps, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.in_flight import Hidden
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, queue_tiers
from autoscaler.queues.places import EstimatedList, PrioritySet, TimedSet
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stamp import InJob

_STAMP_BYTES = 8
_NAME = "[A-Za-z0-9_]+"


@dataclass(frozen=True, kw_only=True, slots=True)
class HueyTier(QueueTier):
    """A tier whose tasks wait in one Huey, or in a band of its priorities."""

    priorities: Scores = Band()
    """The priorities of this tier's tasks where several share a Huey, e.g. `10..`; the higher, the more urgent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HueyQueue:
    """Huey's queues in Redis; a tier's `queue` is the name that the Huey was given."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["huey"]
    """Huey's queues."""
    tiers: tuple[HueyTier, ...]
    """Most urgent first; each has a Huey or a band of priorities of its own."""
    priority: bool = False
    """Whether they are of `PriorityRedisHuey` or `PriorityRedisExpireHuey`, which know priorities and keep the times
    of their tasks; else of `RedisHuey` or `RedisExpireHuey`."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [(clean_name(tier.queue), str(tier.priorities)) for tier in self.tiers])
        for one, other in combinations(self.tiers, 2):
            if clean_name(one.queue) == clean_name(other.queue) and one.priorities.overlaps(other.priorities):
                raise ValueError(f"tiers {one.name!r} and {other.name!r} overlap in the priorities of {one.queue!r}")
        if not self.priority and any(tier.priorities != Band() for tier in self.tiers):
            raise ValueError("`priorities` are for `priority: true` only, which is for PriorityRedisHuey")


def clean_name(name: str) -> str:
    """A Huey's name as its keys have it."""
    return re.sub(r"[^A-Za-z0-9_]", "", name)


def huey_reader(queue: HueyQueue) -> PoolReader:
    """The reader of Huey's queues."""
    return PoolReader(
        [TierReader(tier.name, *_places(queue, tier)) for tier in queue.tiers],
        Hidden(Caution.EXECUTING_HIDDEN),
        probe=[("EXISTS", key) for key in _keys(queue)],
    )


def _places(queue: HueyQueue, tier: HueyTier) -> Iterator[Reader[Jobs]]:
    """What waits, and what is scheduled, for the first of the tiers that share a Huey: nothing tells its priority."""
    waiting_in, scheduled_in = _keys_of(tier)
    if queue.priority:
        # Huey scores a task by its priority with the other sign, so that the most urgent comes first.
        band = Band(-tier.priorities.high, -tier.priorities.low)
        yield PrioritySet(waiting_in, band, InJob(_enqueued_at))
    else:
        yield EstimatedList(waiting_in, "right")
    sharing = [other for other in queue.tiers if clean_name(other.queue) == clean_name(tier.queue)]
    if tier is sharing[0]:
        yield TimedSet(scheduled_in)


def _enqueued_at(member: bytes) -> float | None:
    """Epoch seconds that stand before the message, in microseconds."""
    return int.from_bytes(member[:_STAMP_BYTES]) / PER_SECOND["us"] if len(member) > _STAMP_BYTES else None


def _keys_of(tier: HueyTier) -> tuple[str, str]:
    name = clean_name(tier.queue)
    return f"huey.redis.{name}", f"huey.schedule.{name}"


def _keys(queue: HueyQueue) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for tier in queue.tiers for key in _keys_of(tier)))


def _rights(queue: HueyQueue) -> Rights:
    waiting = {"ZCOUNT", "ZRANGEBYSCORE"} if queue.priority else {"LLEN", "LINDEX", "LPOS"}
    return Rights(
        keys=tuple(literal(key) for key in _keys(queue)),
        commands=frozenset({"EXISTS", "TYPE", "ZCOUNT", "ZRANGEBYSCORE"} | waiting),
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[HueyQueue]]]:
    """Hueys by their keys: one that keeps priorities has a sorted set where the others have a list."""
    yield from ()
    by_priority = {match[1] for match in keyspace.of_type("zset", rf"huey\.redis\.({_NAME})")}
    plain = {match[1] for match in keyspace.of_type("list", rf"huey\.redis\.({_NAME})")}
    scheduled = {match[1] for match in keyspace.of_type("zset", rf"huey\.schedule\.({_NAME})")}
    guessed = scheduled - by_priority - plain
    notes = [f"`priority: false` is guessed: nothing waits in {name} that would show it" for name in sorted(guessed)]
    found = (
        _found(keyspace, plain | guessed, notes, priority=False),
        _found(keyspace, by_priority, [], priority=True),
    )
    return [each for each in found if each is not None]


def _found(keyspace: Keyspace, names: set[str], notes: Sequence[str], *, priority: bool) -> Found[HueyQueue] | None:
    if not names:
        return None
    tiers = tuple(HueyTier(name=tier.name, queue=tier.queue) for tier in queue_tiers(names))
    any_of = "|".join(names)
    own = re.compile(rf"huey\.(?:redis|schedule|results|counters)\.(?:{any_of})|huey\.(?:r|c|notify)\.(?:{any_of})\..*")
    return Found(
        settings=HueyQueue(kind="huey", tiers=tiers, priority=priority),
        keys=frozenset(key for key in keyspace.types if own.fullmatch(key)),
        notes=(*notes, *([ORDER_GUESSED] if len(tiers) > 1 else [])),
    )


LIBRARY = Library(
    kind="huey",
    title="Huey",
    settings=HueyQueue,
    reader=huey_reader,
    rights=_rights,
    find=_find,
    advice={
        Caution.EXECUTING_HIDDEN: "let the consumer beat how busy it is: docs/queues/huey.md has the lines for it",
    },
)
