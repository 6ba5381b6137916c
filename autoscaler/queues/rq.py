"""RQ: job ids in a list for each queue, a hash for each job.

The keys are the same in RQ 1.16, 2 and 3, but that RQ 3 may put another prefix than `rq` before all of them.

Not counted, since no worker could start them: jobs that wait for others (`deferred`) and, in RQ 3, those that a rate
limit holds back. The list `QUEUE:intermediate` is not counted either: a job passes it in the milliseconds from being
taken to being started. What stays there is the debris of dead workers and of expired jobs, which RQ discards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command, Reply
from autoscaler.queues.age import Age, age_since, epoch_seconds, unreadable
from autoscaler.queues.base import Jobs, Rest, Steps, count, counted, instance_of, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.in_flight import Counted
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, names_in, queue_tiers
from autoscaler.queues.places import TimedSet
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stamp import MAX_ID_BYTES

_LOOKED_AT = 4
"""Ids at the head of a queue, the first of which that has not expired tells the age."""
_MAX_WORKERS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class RqQueue:
    """Queues of RQ."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["rq"]
    """Queues of RQ."""
    tiers: tuple[QueueTier, ...]
    """Most urgent first, as the workers name their queues; each is a queue of its own."""
    key_prefix: str = "rq"
    """What the keys begin with: `RQ_KEY_PREFIX` of RQ 3."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.queue for tier in self.tiers])


def rq_reader(settings: RqQueue) -> PoolReader:
    """The reader of queues of RQ.

    A tier's jobs are those in its list and those scheduled; a scheduled job that is due waits, though only a worker
    with a scheduler will put it into the list. In flight are executions, also those that a killed worker left behind:
    once their heartbeat has run out, 90 s later at most, a living worker puts them back or marks them failed.
    """
    prefix = settings.key_prefix
    queues = [tier.queue for tier in settings.tiers]
    return PoolReader(
        [
            TierReader(tier.name, QueuedJobs(prefix, tier.queue), TimedSet(f"{prefix}:scheduled:{tier.queue}"))
            for tier in settings.tiers
        ],
        Counted(
            InFlightKind.EXECUTING,
            lambda _now: [("ZCOUNT", f"{prefix}:wip:{queue}", "-inf", "+inf") for queue in queues],
        ),
        probe=[("SISMEMBER", f"{prefix}:queues", f"{prefix}:queue:{queue}") for queue in queues],
        rest=Workers(prefix, queues),
    )


class QueuedJobs:
    """The list of one queue.

    The age is the time since the next job was enqueued, which a retry renews. The ids of jobs whose `ttl` has passed
    stay in the list, without a hash, until a worker meets them: they count, and their turn in age goes to the next one.
    """

    def __init__(self, prefix: str, queue: str) -> None:
        key = f"{prefix}:queue:{queue}"
        self._job = f"{prefix}:job:".encode()
        self._length: Command = ("LLEN", key)
        self._next: list[Command] = [("LINDEX", key, index) for index in range(_LOOKED_AT)]
        self._guess: tuple[bytes, ...] = ()
        """The ids whose times the last tick needed: most often those of this one."""

    def read(self, now: float) -> Steps[Jobs]:
        """The length, the next ids, and the times of the jobs that were next a tick ago; else of those that are now."""
        length, *replies = yield [self._length, *self._next, *map(self._enqueued_at, self._guess)]
        waiting = counted(self._length, length, "list")
        heads = [head for head in replies[:_LOOKED_AT] if isinstance(head, bytes) and len(head) <= MAX_ID_BYTES]
        times = dict(zip(self._guess, replies[_LOOKED_AT:], strict=True))
        if _needed(heads, times) is None:
            unknown = [head for head in dict.fromkeys(heads) if head not in times]
            times |= dict(zip(unknown, (yield [*map(self._enqueued_at, unknown)]), strict=True))
        self._guess = tuple(dict.fromkeys(_needed(heads, times) or ()))
        if not waiting or all(head is None for head in replies[:_LOOKED_AT]):
            return Jobs(waiting=waiting)
        return Jobs(waiting=waiting, age=_age([times[head] for head in self._guess], now))

    def _enqueued_at(self, job: bytes) -> Command:
        return ("HGET", self._job + job, "enqueued_at")


def _needed(heads: Sequence[bytes], times: dict[bytes, Reply]) -> Sequence[bytes] | None:
    """The ids up to the first that has not expired, all where all have; None where the times do not tell."""
    for number, head in enumerate(heads, 1):
        if head not in times:
            return None
        if times[head] is not None:
            return heads[:number]
    return heads


def _age(times: Sequence[Reply], now: float) -> Age:
    """The age by the times up to the first that has not expired."""
    if not times:
        return unreadable()
    if times[-1] is None:
        return unreadable(Caution.HEAD_EXPIRED)
    enqueued_at = epoch_seconds(times[-1], "iso8601")
    return unreadable() if enqueued_at is None else age_since(enqueued_at, now, AgeSource.EXACT)


class Workers:
    """What the workers of some queues say of themselves, and whether they are suspended.

    A worker's record expires when its heartbeats end: 90 s after it was killed at work, unless it runs without a
    process for each job. Only 200 workers are asked; of the others it is not known whether they are at work.
    """

    def __init__(self, prefix: str, queues: Iterable[str]) -> None:
        self._suspended: Command = ("EXISTS", f"{prefix}:suspended")
        self._members: list[Command] = [("SMEMBERS", f"{prefix}:workers:{queue}") for queue in queues]
        self._record = f"{prefix}:worker:".encode()
        self._known: tuple[bytes, ...] = ()
        """The workers of the last tick: most often those of this one."""

    def read(self, _now: float) -> Steps[Rest]:
        """The names, and the state of each worker that was there a tick ago; then of those that are new."""
        suspended, *replies = yield [self._suspended, *self._members, *map(_state, self._known)]
        lists = replies[: len(self._members)]
        states = dict(zip(self._known, replies[len(self._members) :], strict=True))
        members = sorted(set[bytes]().union(*map(self._records, lists)))
        workers = members[:_MAX_WORKERS]
        fresh = [worker for worker in workers if worker not in states]
        if fresh:
            states |= dict(zip(fresh, (yield [*map(_state, fresh)]), strict=True))
        self._known = tuple(workers)
        at_work = [worker for worker in workers if states[worker] == b"busy"]
        read = (
            count(suspended) is not None
            and all(isinstance(each, list) for each in lists)
            and workers == members
            and not any(isinstance(states[worker], Exception) for worker in workers)
        )
        return Rest(
            paused=bool(count(suspended)),
            busy=dict(Counter(map(self._instance, at_work))),
            cautions=frozenset() if read else frozenset({Caution.WORKERS_UNREAD}),
        )

    def _records(self, members: Reply) -> Iterable[bytes]:
        """The keys of workers' records among the members of a set."""
        found = members if isinstance(members, list) else []
        return (each for each in found if isinstance(each, bytes) and each.startswith(self._record))

    def _instance(self, worker: bytes) -> str:
        return instance_of(worker.removeprefix(self._record).decode(errors="replace"))


def _state(worker: bytes) -> Command:
    return ("HGET", worker, "state")


def _rights(settings: RqQueue) -> Rights:
    prefix = literal(settings.key_prefix)
    of_each_queue = ("queue", "scheduled", "wip", "workers")
    return Rights(
        keys=(
            *(f"{prefix}:{what}:{literal(tier.queue)}" for tier in settings.tiers for what in of_each_queue),
            *(f"{prefix}:{what}" for what in ("job:*", "queues", "suspended", "worker:*")),
        ),
        commands=frozenset({"EXISTS", "HGET", "LINDEX", "LLEN", "SISMEMBER", "SMEMBERS", "TYPE"})
        | {"ZCOUNT", "ZRANGEBYSCORE"},
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[RqQueue]]]:
    """Each set `PREFIX:queues` whose members are keys `PREFIX:queue:NAME`."""
    prefixes = [found[1] for found in keyspace.of_type("set", r"([A-Za-z0-9_.:{}-]+):queues")]
    replies = (yield [("SMEMBERS", f"{prefix}:queues") for prefix in prefixes]) if prefixes else ()
    found = []
    for prefix, reply in zip(prefixes, replies, strict=True):
        tiers = queue_tiers(_queue_names(prefix, reply))
        if tiers:
            keys = frozenset(key for key in keyspace.types if key.startswith(f"{prefix}:"))
            settings = RqQueue(kind="rq", tiers=tiers, key_prefix=prefix)
            found.append(Found(settings=settings, keys=keys, notes=(ORDER_GUESSED,) if len(tiers) > 1 else ()))
    return found


def _queue_names(prefix: str, members: Reply) -> list[str]:
    """The queues in a set of RQ; none where it is somebody else's set."""
    start = f"{prefix}:queue:"
    return [key.removeprefix(start) for key in names_in(members) if key.startswith(start)]


LIBRARY = Library(
    kind="rq",
    title="RQ",
    settings=RqQueue,
    reader=rq_reader,
    rights=_rights,
    find=_find,
    advice={
        Caution.HEAD_EXPIRED: "nothing to do: workers pass over it; a longer `ttl` lets jobs live as long as they wait",
    },
)
