"""Jobs in plain Redis lists, one list for each tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from autoscaler.core.spec import SETTINGS, Tier
from autoscaler.link import Reply
from autoscaler.queues.base import Steps, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import Family, families, stamp_of
from autoscaler.queues.in_flight import NOT_COUNTED, SIZES, InFlightKeys, check_in_flight_keys
from autoscaler.queues.library import Found, Keyspace, Library, Rights
from autoscaler.queues.places import EstimatedList, Side, StampedList
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stamp import Timestamp, configured, stamp_commands, stamp_keys


@dataclass(frozen=True, kw_only=True, slots=True)
class ListTier(Tier):
    """A tier whose jobs wait in a list."""

    key: str
    """Key of the list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ListQueue:
    """Jobs in plain lists, one element a job."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["list"]
    """Jobs in plain lists."""
    tiers: tuple[ListTier, ...]
    """Most urgent first; each has a list of its own."""
    pop_side: Side = "left"
    """The end that workers pop: `left` for RPUSH with BLPOP, `right` for LPUSH with BRPOP."""
    timestamp: Timestamp | None = None
    """Where a job says when it was enqueued. When absent, ages are estimated from tick to tick."""
    in_flight_keys: tuple[str, ...] = ()
    """Keys that hold the jobs being worked on: lists, sets, sorted sets or hashes. When empty, they are hidden."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.key for tier in self.tiers])
        check_in_flight_keys(self.in_flight_keys, {tier.key for tier in self.tiers})


def list_reader(queue: ListQueue) -> PoolReader:
    """The reader of a queue of lists."""
    return PoolReader(
        [TierReader(tier.name, _place(queue, tier)) for tier in queue.tiers],
        InFlightKeys(queue.in_flight_keys),
        probe=[("EXISTS", key) for key in (*(tier.key for tier in queue.tiers), *queue.in_flight_keys)],
    )


def _place(queue: ListQueue, tier: ListTier) -> StampedList | EstimatedList:
    if queue.timestamp is None:
        return EstimatedList(tier.key, queue.pop_side)
    return StampedList(tier.key, queue.pop_side, configured(queue.timestamp))


def _rights(queue: ListQueue) -> Rights:
    keys = (*(tier.key for tier in queue.tiers), *queue.in_flight_keys)
    return Rights(
        keys=(*map(literal, keys), *stamp_keys(queue.timestamp)),
        commands=frozenset({"EXISTS", "TYPE", "LLEN", "LINDEX", "LPOS"} | stamp_commands(queue.timestamp))
        | (SIZES if queue.in_flight_keys else frozenset()),
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[ListQueue]]]:
    """Lists whose names do not say that they are something else. The jobs at both ends tell which end is popped."""
    found = families(keyspace, "list")
    asked = [("LINDEX", key, end) for family in found for key in family.keys for end in (0, -1)]
    ends = iter((yield asked) if asked else ())
    return [_found(family, [(next(ends), next(ends)) for _ in family.keys]) for family in found]


def _found(family: Family, ends: Sequence[tuple[Reply, Reply]]) -> Found[ListQueue]:
    """The queue of a family, by the jobs at the left and the right end of each list."""
    stamps = [(stamp_of(left), stamp_of(right)) for left, right in ends]
    paths = {stamp and stamp[0] for pair in stamps for stamp in pair}
    path = paths.pop() if len(paths) == 1 else None
    ahead = [left[1] - right[1] for left, right in stamps if left and right and path and left[1] != right[1]]
    notes = [*family.doubts()]
    if not ahead:
        notes.append("pop_side is guessed: `left` is for RPUSH with BLPOP, `right` for LPUSH with BRPOP")
    return Found(
        settings=ListQueue(
            kind="list",
            tiers=tuple(ListTier(name=name, key=key) for key, name in family.tier_names().items()),
            pop_side="right" if sum(ahead) > 0 else "left",
            timestamp=None if path is None else Timestamp(path=path),
            in_flight_keys=family.in_flight,
        ),
        keys=frozenset({*family.keys, *family.in_flight}),
        notes=tuple(notes),
    )


LIBRARY = Library(
    kind="list",
    title="plain lists",
    settings=ListQueue,
    reader=list_reader,
    rights=_rights,
    find=_find,
    advice={
        Caution.ABSURD_TIMESTAMP: "say in `timestamp.unit` how the time is written",
        Caution.AGE_UPPER_BOUND: "let jobs carry the time when they were enqueued, and name it in `timestamp`",
        Caution.IN_FLIGHT_UNREADABLE: NOT_COUNTED,
    },
)
