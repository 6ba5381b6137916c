"""Sidekiq: a list of jobs for each queue; jobs for later, jobs to retry and processes are kept for all together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from autoscaler.core.demand import InFlightKind
from autoscaler.core.spec import SETTINGS
from autoscaler.link import Command, Reply
from autoscaler.queues.age import epoch_seconds, parse_number
from autoscaler.queues.base import InFlight, Jobs, Steps, instance_of, literal, together
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.in_flight import UNREADABLE
from autoscaler.queues.library import Found, Keyspace, Library, QueueTier, Rights, names_in, queue_tiers
from autoscaler.queues.places import StampedList, TimedSet
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stamp import InJob, at_path

_PROCESS = "*:*:" + "?" * 12
"""A key of a process, HOST:PID:NONCE, as Redis' ACL takes it."""
_LATER = ("schedule", "retry")


@dataclass(frozen=True, kw_only=True, slots=True)
class SidekiqQueue:
    """Queues of Sidekiq."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["sidekiq"]
    """Queues of Sidekiq."""
    tiers: tuple[QueueTier, ...]
    """Most urgent first, as the processes name or weigh their queues; each is a queue of its own."""
    namespace: str = ""
    """What `redis-namespace` puts before all keys, without its colon."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.queue for tier in self.tiers])


def sidekiq_reader(settings: SidekiqQueue) -> PoolReader:
    """The reader of queues of Sidekiq.

    A job waits since it was put into its queue, last time if it was retried. Jobs for later and jobs to retry name
    their queue only in themselves: they are counted, in the last tier, if Redis knows no other queues than the pool's.
    In flight is what the processes said at their last heartbeat, which may be 10 s ago.
    """
    prefix = _prefix(settings)
    queues = frozenset(tier.queue for tier in settings.tiers)
    *others, last = [(tier.name, StampedList(_list(prefix, tier.queue), "right", _STAMP)) for tier in settings.tiers]
    later = [IfAlone(prefix, queues, TimedSet(prefix + name)) for name in _LATER]
    return PoolReader(
        [*(TierReader(name, waiting) for name, waiting in others), TierReader(last[0], last[1], *later)],
        Processes(prefix, queues),
        probe=[("SISMEMBER", f"{prefix}queues", tier.queue) for tier in settings.tiers],
    )


_STAMP = InJob(lambda job: epoch_seconds(at_path(job, "enqueued_at"), "auto"))
"""Milliseconds since version 8, seconds before."""


def _prefix(settings: SidekiqQueue) -> str:
    return f"{settings.namespace}:" if settings.namespace else ""


def _list(prefix: str, queue: str) -> str:
    return f"{prefix}queue:{queue}"


def _is_alone(known: Reply, queues: frozenset[str]) -> bool:
    """Whether the queues that Redis knows are all among these."""
    return isinstance(known, list) and all(isinstance(each, bytes) for each in known) and set(names_in(known)) <= queues


class IfAlone:
    """A sorted set of jobs of all queues, which are the pool's if Redis knows no other queues."""

    def __init__(self, prefix: str, queues: frozenset[str], jobs: TimedSet) -> None:
        self._known: Command = ("SMEMBERS", f"{prefix}queues")
        self._queues = queues
        self._jobs = jobs

    def read(self, now: float) -> Steps[Jobs]:
        """The queues that Redis knows, and the set: of jobs that may be others' it only tells that they are there."""
        parts: list[Steps[Any]] = [self._read_known(), self._jobs.read(now)]
        results = yield from together(parts)
        known: Reply = results[0]
        jobs: Jobs = results[1]
        if not jobs.waiting and not jobs.delayed:
            return Jobs(waiting=0)
        unknown = frozenset({Caution.DELAYED_UNKNOWN})
        if not _is_alone(known, self._queues):
            return Jobs(waiting=0, delayed=None, cautions=unknown)
        return jobs if len(self._queues) == 1 else replace(jobs, cautions=jobs.cautions | unknown)

    def _read_known(self) -> Steps[Reply]:
        [reply] = yield [self._known]
        return reply


class Processes:
    """How many jobs each process of Sidekiq runs. What a process that died said of itself expires after 60 s."""

    def __init__(self, prefix: str, queues: frozenset[str]) -> None:
        self._prefix = prefix.encode()
        self._asked: list[Command] = [("SMEMBERS", f"{prefix}processes"), ("SMEMBERS", f"{prefix}queues")]
        self._queues = queues

    def read(self, _now: float) -> Steps[InFlight]:
        """The processes, and what each says."""
        processes, known = yield self._asked
        if not isinstance(processes, list) or not all(isinstance(each, bytes) for each in processes):
            return UNREADABLE
        replies = (yield [("HMGET", self._prefix + each, "busy", "beat") for each in processes]) if processes else ()
        numbers = [_busy(reply) for reply in replies]
        busy = Counter[str]()
        for process, number in zip(processes, numbers, strict=True):
            if number is None:
                return UNREADABLE
            busy[instance_of(process.decode(errors="replace").rsplit(":", 2)[0])] += number
        shared = busy.total() and not _is_alone(known, self._queues)
        return InFlight(
            count=busy.total(),
            kind=InFlightKind.EXECUTING,
            busy=+busy,
            cautions=frozenset({Caution.IN_FLIGHT_SHARED}) if shared else frozenset(),
        )


def _busy(reply: Reply) -> int | None:
    """The number of jobs that a process runs: none if it is gone, None where the reply makes no sense."""
    if not isinstance(reply, list) or len(reply) != 2:
        return None
    number = parse_number(reply[0])
    if number is None:
        return 0 if reply == [None, None] else None
    return int(number) if number >= 0 else None


def _rights(settings: SidekiqQueue) -> Rights:
    prefix = _prefix(settings)
    keys = [*(_list(prefix, tier.queue) for tier in settings.tiers)]
    keys += [prefix + name for name in ("queues", "processes", *_LATER)]
    return Rights(
        keys=(*map(literal, keys), literal(prefix) + _PROCESS),
        commands=frozenset(
            {"HMGET", "LINDEX", "LLEN", "SISMEMBER", "SMEMBERS", "TYPE", "ZCOUNT", "ZRANGEBYSCORE"},
        ),
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[SidekiqQueue]]]:
    """Sets `queues`, alone or in a namespace, with the names of lists `queue:NAME` or beside other keys of Sidekiq.

    Resque's keys are named alike, but it has a namespace of its own and puts its jobs at the other end.
    """
    prefixes = [found[1] for found in keyspace.of_type("set", r"((?:.+:)?)queues") if found[1] != "resque:"]
    replies = (yield [("SMEMBERS", f"{prefix}queues") for prefix in prefixes]) if prefixes else ()
    found = []
    for prefix, reply in zip(prefixes, replies, strict=True):
        queues = names_in(reply)
        keys = {prefix + name for name in ("queues", "processes", "dead", *_LATER)}
        keys |= {_list(prefix, queue) for queue in queues}
        keys = {key for key in keyspace.types if key in keys or key.startswith(f"{prefix}stat:")}
        if queues and len(keys) > 1:
            settings = SidekiqQueue(kind="sidekiq", tiers=queue_tiers(queues), namespace=prefix.removesuffix(":"))
            notes = (ORDER_GUESSED,) if len(queues) > 1 else ()
            found.append(Found(settings=settings, keys=frozenset(keys), notes=notes))
    return found


LIBRARY = Library(
    kind="sidekiq",
    title="Sidekiq",
    settings=SidekiqQueue,
    reader=sidekiq_reader,
    rights=_rights,
    find=_find,
    advice={
        Caution.IN_FLIGHT_SHARED: "give the pool's queues a Redis database of their own",
        Caution.DELAYED_UNKNOWN: "give the pool's queue a Redis database of its own, or keep one Sidekiq process "
        "running elsewhere, which puts jobs that are due into their queues",
    },
)
