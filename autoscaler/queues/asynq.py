"""asynq: task ids in a list for each queue, a hash for each task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from autoscaler.core.demand import InFlightKind
from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command
from autoscaler.queues.age import epoch_seconds
from autoscaler.queues.base import Jobs, Steps, counted, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.in_flight import Counted
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, names_in, queue_tiers
from autoscaler.queues.paused import Paused
from autoscaler.queues.places import StampedList, TimedSet
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stamp import BesideJob

_QUEUES = "asynq:queues"


@dataclass(frozen=True, kw_only=True, slots=True)
class AsynqQueue:
    """Queues of asynq."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["asynq"]
    """Queues of asynq."""
    tiers: tuple[QueueTier, ...]
    """Most urgent first, as the servers weigh their `Queues`; each is a queue of its own."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.queue for tier in self.tiers])


def asynq_reader(settings: AsynqQueue) -> PoolReader:
    """The reader of queues of asynq.

    A tier's tasks are those pending, scheduled and to be retried; those due wait, though only a server will make them
    pending. Tasks that are collected into a group (`asynq.Group`) wait as one: only a server puts them together. In
    flight are the tasks whose lease, renewed by their server, runs; a task whose lease has run out waits for a living
    server to take it back.
    """
    queues = [tier.queue for tier in settings.tiers]
    return PoolReader(
        [
            TierReader(
                tier.name,
                StampedList(_key(tier.queue, "pending"), "right", _pending_since(tier.queue)),
                TimedSet(_key(tier.queue, "scheduled")),
                TimedSet(_key(tier.queue, "retry")),
                Abandoned(tier.queue),
                Groups(tier.queue),
            )
            for tier in settings.tiers
        ],
        Counted(
            InFlightKind.EXECUTING,
            lambda now: [("ZCOUNT", _key(queue, "lease"), repr(now), "+inf") for queue in queues],
        ),
        probe=[("SISMEMBER", _QUEUES, queue) for queue in queues],
        rest=Paused([("EXISTS", _key(queue, "paused")) for queue in queues]),
    )


def _key(queue: str, what: str) -> str:
    return f"asynq:{{{queue}}}:{what}"


def _pending_since(queue: str) -> BesideJob:
    """When a task became pending, in nanoseconds; a task that a stopping server gave back does not say."""
    task = _key(queue, "t:").encode()
    return BesideJob(lambda job: ("HGET", task + job, "pending_since"), lambda reply, _now: epoch_seconds(reply, "ns"))


class Abandoned:
    """Tasks of servers that died: their leases have run out."""

    def __init__(self, queue: str) -> None:
        self._key = _key(queue, "lease")

    def read(self, now: float) -> Steps[Jobs]:
        """How many there are."""
        expired: Command = ("ZCOUNT", self._key, "-inf", f"({now!r}")
        [reply] = yield [expired]
        return Jobs(waiting=counted(expired, reply, "zset"))


class Groups:
    """Groups of tasks, each of which will be one task, or a few if it is large.

    Whether a group's time has come only the servers know, by their settings, and only they look at it.
    """

    def __init__(self, queue: str) -> None:
        self._collecting: Command = ("SCARD", _key(queue, "groups"))
        self._closed: Command = ("ZCARD", _key(queue, "aggregation_sets"))

    def read(self, _now: float) -> Steps[Jobs]:
        """Groups that still collect, and those that a server has closed and not yet made a task of."""
        collecting, closed = yield [self._collecting, self._closed]
        groups = counted(self._collecting, collecting, "set") + counted(self._closed, closed, "zset")
        return Jobs(waiting=groups, cautions=frozenset({Caution.DELAYED_UNKNOWN}) if groups else frozenset())


def _rights(settings: AsynqQueue) -> Rights:
    places = ("pending", "scheduled", "retry", "lease", "groups", "aggregation_sets", "paused")
    queues = [tier.queue for tier in settings.tiers]
    return Rights(
        keys=(
            _QUEUES,
            *(literal(_key(queue, place)) for queue in queues for place in places),
            *(literal(_key(queue, "t:")) + "*" for queue in queues),
        ),
        commands=frozenset(
            {"EXISTS", "HGET", "LINDEX", "LLEN", "SCARD", "SISMEMBER", "TYPE", "ZCARD", "ZCOUNT", "ZRANGEBYSCORE"},
        ),
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[AsynqQueue]]]:
    """The queues that asynq itself lists."""
    if keyspace.types.get(_QUEUES) != "set":
        return []
    [members] = yield [("SMEMBERS", _QUEUES)]
    queues = names_in(members)
    if not queues:
        return []
    return [
        Found(
            settings=AsynqQueue(kind="asynq", tiers=queue_tiers(queues)),
            keys=frozenset(key for key in keyspace.types if key.startswith("asynq:")),
            notes=(ORDER_GUESSED,) if len(queues) > 1 else (),
        )
    ]


LIBRARY = Library(
    kind="asynq",
    title="asynq",
    settings=AsynqQueue,
    reader=asynq_reader,
    rights=_rights,
    find=_find,
    advice={
        Caution.AGE_UNREADABLE: "nothing to do: a server that stopped gave the next task back, without its time",
        Caution.DELAYED_UNKNOWN: "let servers have a `GroupAggregator`: each group of tasks counts as one that waits",
    },
)
