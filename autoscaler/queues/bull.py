"""Bull 4, the predecessor of BullMQ: all jobs that are ready lie in one list, sorted by priority.

Unlike in BullMQ, jobs without a priority start after all others. A sorted set tells the priorities of those that have
one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, Literal

from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command
from autoscaler.queues.age import UNKNOWN_AGE
from autoscaler.queues.band import Band
from autoscaler.queues.base import Jobs, Reader, Steps, counted, together
from autoscaler.queues.bullmq import (
    HASH_ADVICE,
    JobHash,
    PriorityTier,
    check_priorities,
    key_prefix,
    queue_rights,
    queues_found,
    queues_reader,
)
from autoscaler.queues.library import Found, Keyspace, Library
from autoscaler.queues.places import PrioritySet, StampedList
from autoscaler.queues.pool import PoolReader, check_tiers


@dataclass(frozen=True, kw_only=True, slots=True)
class BullQueue:
    """Queues of Bull."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["bull"]
    """Queues of Bull 4; for BullMQ see `bullmq`."""
    tiers: tuple[PriorityTier, ...]
    """Most urgent first; each is a queue of its own, or a band of a queue's priorities. Jobs without a priority start
    last, and belong to the band that is open above, such as `10..`."""
    prefix: str = "bull"
    """What the keys begin with: `prefix` of the queue."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, ())
        for tier in self.tiers:
            if -inf < tier.priorities.low < 1:
                last = "jobs without a priority start last, and belong to the band that is open above, such as 10.."
                raise ValueError(
                    f"tier {tier.name!r}: priorities of Bull begin at 1 and found {tier.priorities}; {last}"
                )
        check_priorities(self.tiers, 1)


def bull_reader(settings: BullQueue) -> PoolReader:
    """The reader of queues of Bull."""
    return queues_reader(
        settings.prefix,
        settings.tiers,
        _ready_jobs,
        exists=lambda own: ("EXISTS", f"{own}id"),
        paused=lambda own: ("EXISTS", f"{own}meta-paused"),
    )


def _ready_jobs(own: str, priorities: Band) -> list[Reader[Jobs]]:
    """The lists themselves tell most of a tier that has the queue to itself: `wait`, or `paused` while it is paused."""
    if priorities == Band():
        return [StampedList(f"{own}{name}", "right", JobHash(own)) for name in ("wait", "paused")]
    prioritized = PrioritySet(f"{own}priority", priorities, JobHash(own))
    return [prioritized, *([Unprioritized(own)] if priorities.high == inf else [])]


class Unprioritized:
    """The jobs without a priority: all of the list that the set of priorities does not count.

    Which is next of them is known only when it is known how many lie before it, and so its time is read one tick later:
    the age is that of the job that was next a tick ago, and not known before.
    """

    def __init__(self, own: str) -> None:
        self._lists = [f"{own}{name}" for name in ("wait", "paused")]
        self._prioritized: Command = ("ZCARD", f"{own}priority")
        self._stamp = JobHash(own)
        self._next: bytes | None = None

    def read(self, now: float) -> Steps[Jobs]:
        """The lengths and the time of the last tick's next job; then which is the next one now."""
        parts: list[Steps[Any]] = [self._stamp.read(self._next, now), self._counts()]
        age, (waiting, before) = yield from together(parts)
        heads = yield [("LINDEX", key, -1 - before) for key in self._lists]
        self._next = next((head for head in heads if isinstance(head, bytes)), None)
        return Jobs(waiting=waiting, age=age if waiting and age.wait_s is not None else UNKNOWN_AGE)

    def _counts(self) -> Steps[tuple[int, int]]:
        lengths: list[Command] = [("LLEN", key) for key in self._lists]
        *listed, prioritized = yield [*lengths, self._prioritized]
        before = counted(self._prioritized, prioritized, "zset")
        total = sum(counted(command, reply, "list") for command, reply in zip(lengths, listed, strict=True))
        return max(0, total - before), before


def _find(keyspace: Keyspace) -> Steps[list[Found[BullQueue]]]:
    """Each counter `PREFIX:QUEUE:id` beside which there are other keys of Bull, and none of libraries like it."""
    yield from ()
    counters = keyspace.of_type("string", r"(bull|.+?):(.+):id")
    ours = [(found[1], found[2]) for found in counters if _is_bull(keyspace, key_prefix(found[1], found[2]))]
    return queues_found(
        keyspace, ours, "priority", lambda prefix, tiers: BullQueue(kind="bull", prefix=prefix, tiers=tiers)
    )


def _is_bull(keyspace: Keyspace, own: str) -> bool:
    """BullMQ keeps its events in a stream, and bee-queue its jobs in one hash."""
    names = {name for name in keyspace.types if name.startswith(own)}
    lists, sets = {f"{own}{name}" for name in ("wait", "paused", "active")}, ("completed", "failed", "delayed")
    foreign = {f"{own}events", f"{own}jobs"}
    return not names & foreign and bool(names & (lists | {f"{own}{name}" for name in sets}))


LIBRARY = Library(
    kind="bull",
    title="Bull",
    settings=BullQueue,
    reader=bull_reader,
    rights=lambda settings: queue_rights(settings.prefix, settings.tiers, ["ZCARD"]),
    find=_find,
    advice=HASH_ADVICE,
)
