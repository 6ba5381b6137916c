"""BullMQ 4, 5 and 6, and its port to Python: job ids in a list, in a sorted set by priority and in one by time.

All keys begin with `PREFIX:QUEUE:`, and each job has a hash. Jobs without a priority lie in `wait` and start before all
others, which lie in `prioritized`. Not counted, since no worker could start them: the parents of flows, which wait for
their children.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from autoscaler.core.demand import InFlightKind
from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, epoch_seconds, parse_number
from autoscaler.queues.band import Band, Scores
from autoscaler.queues.base import Jobs, Reader, Steps, counted, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.in_flight import Counted
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, tier_names, workload
from autoscaler.queues.paused import Paused
from autoscaler.queues.places import PrioritySet, TimedSet
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stamp import BesideJob, Stamp, at_path

_PER_PRIORITY = 2.0**32
"""Scores of one priority: below it, a counter keeps the order of arrival."""
_DELAYED_PER_S = 1000.0 * 4096
"""Scores of delayed jobs are milliseconds, times 4096 to keep the order of arrival."""
_ASK_AGAIN_S = 30.0

HASH_ADVICE: Mapping[Caution, str] = {
    Caution.AGE_UNREADABLE: "the hash of the next job is gone, or may not be read: `autoscaler queue FILE --acl` "
    "prints the rights",
}

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True, slots=True)
class PriorityTier(QueueTier):
    """A tier that has a queue of its own, or a band of a queue's priorities."""

    priorities: Scores = Band()
    """The priorities of this tier's jobs where several tiers share a queue, e.g. `..9` and `10..`; all when absent. A
    lower number is more urgent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BullmqQueue:
    """Queues of BullMQ."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["bullmq"]
    """Queues of BullMQ 4, 5 or 6, in Node.js or Python."""
    tiers: tuple[PriorityTier, ...]
    """Most urgent first; each is a queue of its own, or a band of a queue's priorities. Jobs without one have priority
    0, and start first."""
    prefix: str = "bull"
    """What the keys begin with: `prefix` of Queue and Worker."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, ())
        check_priorities(self.tiers, 0)


def check_priorities(tiers: Sequence[PriorityTier], first: int) -> None:
    """Refuse bands that leave out a priority of a queue, or count one twice; `first` is the most urgent there may be.

    Workers take jobs of every priority: those of which no tier knows would be work for which no machine is started.

    Raises:
        ValueError: the bands of a queue do not join.
    """
    for queue in dict.fromkeys(tier.queue for tier in tiers):
        following = float(first)
        for band in sorted((tier.priorities for tier in tiers if tier.queue == queue), key=lambda band: band.low):
            if following == float("inf"):
                expected = "each needs a band of `priorities` of its own, such as ..9 and 10.."
                raise ValueError(f"two tiers have the same jobs of queue {queue!r}; {expected}")
            if max(band.low, first) != following or band.high < following:
                raise ValueError(_not_joined(queue, following, str(band)))
            following = band.high + 1
        if following != float("inf"):
            raise ValueError(_not_joined(queue, following, "none"))


def _not_joined(queue: str, expected: float, found: str) -> str:
    reason = "workers take jobs of every priority, so that each needs a tier"
    return f"queue {queue!r}: {reason}; expected a band of `priorities` from {expected:g} on and found {found}"


def bullmq_reader(settings: BullmqQueue) -> PoolReader:
    """The reader of queues of BullMQ."""
    return queues_reader(
        settings.prefix,
        settings.tiers,
        _ready_jobs,
        exists=lambda own: ("EXISTS", f"{own}meta"),
        paused=lambda own: ("HEXISTS", f"{own}meta", "paused"),
    )


def queues_reader(
    prefix: str,
    tiers: Sequence[PriorityTier],
    ready_jobs: Callable[[str, Band], list[Reader[Jobs]]],
    *,
    exists: Callable[[str], Command],
    paused: Callable[[str], Command],
) -> PoolReader:
    """The reader of queues whose tiers' places `ready_jobs` gives; all is told by what a queue's keys begin with.

    In flight are the jobs that workers run. Those of a killed worker remain until a living one finds them stalled.
    """
    queues = {tier.queue: key_prefix(prefix, tier.queue) for tier in tiers}
    running: list[Command] = [("LLEN", f"{own}active") for own in queues.values()]
    first = {tier.queue: tier for tier in reversed(tiers)}
    return PoolReader(
        [
            TierReader(
                tier.name,
                *ready_jobs(queues[tier.queue], tier.priorities),
                *([_delayed_jobs(queues[tier.queue])] if tier is first[tier.queue] else []),
            )
            for tier in tiers
        ],
        Counted(InFlightKind.EXECUTING, lambda _now: running),
        probe=[exists(own) for own in queues.values()],
        rest=Paused([paused(own) for own in queues.values()]),
    )


def key_prefix(prefix: str, queue: str) -> str:
    """What all keys of a queue begin with."""
    return f"{prefix}:{queue}:"


def _delayed_jobs(own: str) -> TimedSet:
    """Jobs to start later, retries with a backoff among them; only a worker that looks for jobs moves those due.

    They are the first tier's of those that share the queue: their priorities stand in their hashes only, and so none
    that is due waits longer than it may.
    """
    return TimedSet(f"{own}delayed", _DELAYED_PER_S)


def _ready_jobs(own: str, priorities: Band) -> list[Reader[Jobs]]:
    """Up to BullMQ 5, a queue that is paused has another list; its jobs stay there until the queue is resumed."""
    unprioritized = priorities.low <= 0
    low = float("-inf") if unprioritized else priorities.low * _PER_PRIORITY
    scores = Band(low, (priorities.high + 1) * _PER_PRIORITY - 1)
    lists = [MarkedList(f"{own}{name}", JobHash(own)) for name in ("wait", "paused")]
    return [*(lists if unprioritized else []), PrioritySet(f"{own}prioritized", scores, JobHash(own))]


class MarkedList:
    """The list of jobs without a priority; workers pop its right end, where `lifo` pushes, too.

    BullMQ 4 puts a marker `0:…` into an empty list, to wake workers for jobs that lie elsewhere. It is no job, and is
    counted only where it lies between jobs that were pushed to either end.
    """

    def __init__(self, key: str, stamp: Stamp) -> None:
        self._length: Command = ("LLEN", key)
        self._ends: list[Command] = [("LINDEX", key, index) for index in (0, -1, -2)]
        self._stamp = stamp

    def read(self, now: float) -> Steps[Jobs]:
        """The length and the elements at both ends, and the time of a next job that is new."""
        length, last, head, second = yield [self._length, *self._ends]
        waiting = counted(self._length, length, "list")
        if _is_marker(last) or _is_marker(head):
            waiting = max(0, waiting - 1)
        head = second if _is_marker(head) else head
        return Jobs(waiting=waiting, age=(yield from self._stamp.read(head, now)) if waiting else UNKNOWN_AGE)


def _is_marker(element: Reply) -> bool:
    return isinstance(element, bytes) and element.startswith(b"0:")


class JobHash(BesideJob):
    """Tells since when a job has been ready, by its hash: its creation, and its delay if it had one.

    A job that was started before, and retried or found stalled, is taken to be ready since its last start, which
    over-states its wait by the time that it ran. One that was promoted before its time is taken to be ready since its
    creation. Of the hash, only these fields are fetched, when the job is new, and again after 30 s, since a retry keeps
    the id.
    """

    def __init__(self, own: str) -> None:
        before = own.encode()
        super().__init__(
            lambda job: ("HMGET", before + job, "timestamp", "opts", "processedOn"), _ready_at, again_s=_ASK_AGAIN_S
        )


def _ready_at(fields: Reply, now: float) -> float | None:
    """Epoch seconds, or None where the hash does not tell."""
    timestamp, opts, processed_on = fields if isinstance(fields, list) and len(fields) == 3 else (None, None, None)
    created_at = epoch_seconds(timestamp, "ms")
    if created_at is None:
        return None
    due_at = created_at + (parse_number(at_path(opts, "delay")) or 0.0) / 1000
    started_at = epoch_seconds(processed_on, "ms")
    return max(due_at if due_at <= now else created_at, created_at if started_at is None else started_at)


def queue_rights(prefix: str, tiers: Iterable[QueueTier], asked: Iterable[str]) -> Rights:
    """The keys of these queues, and the commands that ask for them, besides those `asked` of this library alone."""
    keys = dict.fromkeys(f"{literal(key_prefix(prefix, tier.queue))}*" for tier in tiers)
    commands = {"EXISTS", "HMGET", "LINDEX", "LLEN", "TYPE", "ZCOUNT", "ZRANGEBYSCORE", *asked}
    return Rights(keys=tuple(keys), commands=frozenset(commands))


def _find(keyspace: Keyspace) -> Steps[list[Found[BullmqQueue]]]:
    """Each hash `PREFIX:QUEUE:meta` that says of which library it is, or how many events are kept."""
    metas = list(keyspace.of_type("hash", r"(.+):([^:]+):meta"))
    asked: list[Command] = [("HMGET", meta[0], "version", "opts.maxLenEvents") for meta in metas]
    replies = (yield asked) if asked else ()
    ours = [(meta[1], meta[2]) for meta, reply in zip(metas, replies, strict=True) if _is_bullmq(reply)]
    return queues_found(
        keyspace, ours, "prioritized", lambda prefix, tiers: BullmqQueue(kind="bullmq", prefix=prefix, tiers=tiers)
    )


def queues_found(
    keyspace: Keyspace,
    names: Iterable[tuple[str, str]],
    prioritized: str,
    settings: Callable[[str, tuple[PriorityTier, ...]], S],
) -> list[Found[S]]:
    """Queues, named by prefix and queue; the key `prioritized` tells of priorities.

    A worker serves one queue, so that those are tiers of one pool whose names differ in nothing but their urgency.
    """
    alike: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for prefix, queue in names:
        alike[prefix, workload(queue)].append(queue)
    found = []
    for (prefix, _), queues in alike.items():
        tiers = tuple(PriorityTier(name=name, queue=queue) for queue, name in tier_names(queues).items())
        own = tuple(key_prefix(prefix, queue) for queue in queues)
        shared = [tier.queue for tier in tiers if f"{key_prefix(prefix, tier.queue)}{prioritized}" in keyspace.types]
        notes = [f"jobs of queue {queue!r} have priorities: tiers may share it by `priorities`" for queue in shared]
        found.append(
            Found(
                settings=settings(prefix, tiers),
                keys=frozenset(key for key in keyspace.types if key.startswith(own)),
                notes=(*([ORDER_GUESSED] if len(tiers) > 1 else []), *notes),
            )
        )
    return found


def _is_bullmq(meta: Reply) -> bool:
    """The port to Python does not write its version."""
    version, kept_events = meta if isinstance(meta, list) and len(meta) == 2 else (None, None)
    return isinstance(kept_events, bytes) or (isinstance(version, bytes) and version.startswith(b"bullmq"))


LIBRARY = Library(
    kind="bullmq",
    title="BullMQ",
    settings=BullmqQueue,
    reader=bullmq_reader,
    rights=lambda settings: queue_rights(settings.prefix, settings.tiers, ["HEXISTS"]),
    find=_find,
    advice=HASH_ADVICE,
)
