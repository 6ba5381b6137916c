"""SAQ's queues in Redis. Read from version 0.26.4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from autoscaler.core.demand import InFlightKind
from autoscaler.core.spec import SETTINGS
from autoscaler.queues.age import Unit, epoch_seconds
from autoscaler.queues.base import Steps, literal
from autoscaler.queues.fetched import FetchedJob
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.in_flight import Counted
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, queue_tiers
from autoscaler.queues.places import PartlyStampedList, TimedSet
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stamp import at_path

_TIMES: Mapping[str, Unit] = {"queued": "ms", "scheduled": "s", "touched": "ms"}
_MARKS = (("zset", "incomplete"), ("zset", "stats"), ("list", "queued"))


@dataclass(frozen=True, kw_only=True, slots=True)
class SaqQueue:
    """SAQ's queues in Redis."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["saq"]
    """SAQ's queues."""
    tiers: tuple[QueueTier, ...]
    """Most urgent first; each has a queue of its own."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.queue for tier in self.tiers])


def saq_reader(queue: SaqQueue) -> PoolReader:
    """The reader of SAQ's queues. Workers move a job to the list `active` when they start it."""
    names = [tier.queue for tier in queue.tiers]
    return PoolReader(
        [_tier_reader(tier) for tier in queue.tiers],
        Counted(InFlightKind.EXECUTING, lambda _now: [("LLEN", _key(name, "active")) for name in names]),
        probe=[("EXISTS", _key(name, part)) for name in names for part in ("stats", "incomplete")],
    )


def _tier_reader(tier: QueueTier) -> TierReader:
    """Jobs in line, and those of all incomplete jobs whose score is the time from which they may start.

    A worker gives them the score 0 when it puts them in line.
    """
    job = FetchedJob(lambda key: ("GET", key), lambda key: ("STRLEN", key), in_line_since)
    return TierReader(
        tier.name,
        PartlyStampedList(_key(tier.queue, "queued"), "left", job),
        TimedSet(_key(tier.queue, "incomplete"), low="1"),
    )


def in_line_since(job: bytes) -> float | None:
    """Epoch seconds when a job was enqueued, came due, or was last put back to be tried again."""
    times = [epoch_seconds(at_path(job, field), unit) for field, unit in _TIMES.items()]
    return max((time for time in times if time is not None), default=None)


def _key(queue: str, part: str) -> str:
    return f"saq:{queue}:{part}"


def _rights(queue: SaqQueue) -> Rights:
    names = [tier.queue for tier in queue.tiers]
    own = [literal(_key(name, part)) for name in names for part in ("queued", "active", "incomplete", "stats")]
    return Rights(
        keys=(*own, *(f"{literal(f'saq:job:{name}:')}*" for name in names)),
        commands=frozenset({"EXISTS", "TYPE", "LLEN", "LINDEX", "LPOS", "GET", "STRLEN", "ZCOUNT", "ZRANGEBYSCORE"}),
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[SaqQueue]]]:
    """SAQ's queues by the sets of their incomplete jobs or living workers, and the list in line."""
    yield from ()
    names = {match[1] for kind, part in _MARKS for match in keyspace.of_type(kind, rf"saq:(.+):{part}")}
    if not names:
        return []
    tiers = queue_tiers(names)
    own = re.compile(rf"saq:(?:job:)?(?:{'|'.join(map(re.escape, names))}):.*", re.DOTALL)
    keys = frozenset(key for key in keyspace.types if own.fullmatch(key))
    notes = (ORDER_GUESSED,) if len(tiers) > 1 else ()
    return [Found(settings=SaqQueue(kind="saq", tiers=tiers), keys=keys, notes=notes)]


LIBRARY = Library(
    kind="saq",
    title="SAQ",
    settings=SaqQueue,
    reader=saq_reader,
    rights=_rights,
    find=_find,
)
