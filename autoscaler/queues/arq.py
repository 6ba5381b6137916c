"""arq: job ids in a sorted set for each queue, whose score is the time from which a job may start, in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.core.spec import SETTINGS, Tier
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, Age, age_since, parse_number, unreadable
from autoscaler.queues.base import Jobs, Refused, Steps, counted, literal, together
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import ORDER_GUESSED
from autoscaler.queues.in_flight import Counted
from autoscaler.queues.library import Found, Keyspace, Library, Rights, queue_tiers
from autoscaler.queues.places import TimedSet
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers

_MS_PER_S = 1000.0
_IN_PROGRESS = b"arq:in-progress:"
_JOB = "arq:job:"
_ABORTED = "arq:abort"
_HEALTH_CHECK = ":health-check"
_BEAT = b"j_ongoing="
"""What stands in every health check."""
_MAX_LOOKED_AT = 256
_BEYOND = 16
"""How many ids to look at besides twice those that were at work a tick ago."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArqTier(Tier):
    """A tier whose jobs wait in a queue of arq."""

    queue: str = "arq:queue"
    """Its `queue_name`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArqQueue:
    """Queues of arq."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["arq"]
    """Queues of arq."""
    tiers: tuple[ArqTier, ...]
    """Most urgent first; each is a queue of its own."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.queue for tier in self.tiers])


def arq_reader(settings: ArqQueue) -> PoolReader:
    """The reader of queues of arq."""
    queues = [tier.queue for tier in settings.tiers]
    return PoolReader(
        [TierReader(tier.name, QueuedJobs(tier.queue)) for tier in settings.tiers],
        Counted(InFlightKind.EXECUTING, lambda _now: ()),  # all of them lie in the tiers' own sets
        probe=[("EXISTS", key) for queue in queues for key in (queue, queue + _HEALTH_CHECK)],
    )


class QueuedJobs:
    """The set of one queue.

    A job stays in it until it is done; that it is at work, a key of its own says, which is gone ten seconds after the
    job's `job_timeout` if its worker was killed. The jobs that are at work were the first once, so the first ids are
    looked at: twice as many as were at work a tick ago and 16 more, at most 256. Jobs at work beyond count as waiting.
    The age is the time since the first job that is not at work could have started.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._all = TimedSet(queue, _MS_PER_S)
        self._looked_at = _MAX_LOOKED_AT

    def read(self, now: float) -> Steps[Jobs]:
        """What is ready, at work or not, and what is not yet due; then which of the first ids are at work."""
        parts: list[Steps[Any]] = [self._all.read(now), self._look(now)]
        ready: Jobs
        first: _First
        ready, first = yield from together(parts)
        beyond = first.at_work == self._looked_at
        self._looked_at = min(_MAX_LOOKED_AT, 2 * first.at_work + _BEYOND)
        return replace(
            ready,
            waiting=max(0, ready.waiting - first.at_work - first.gone),
            age=first.age,
            at_work=first.at_work,
            cautions=ready.cautions | ({Caution.IN_FLIGHT_LOWER_BOUND} if beyond else frozenset()),
        )

    def _look(self, now: float) -> Steps[_First]:
        """The first ids, whether each is at work, and whether it is still there: it may be done between the two."""
        until = repr(now * _MS_PER_S)
        first: Command = ("ZRANGEBYSCORE", self._queue, "-inf", until, "WITHSCORES", "LIMIT", 0, self._looked_at)
        [reply] = yield [first]
        times = _times(first, reply)
        if not times:
            return _First()
        asked: list[Command] = [("EXISTS", _IN_PROGRESS + job) for job in times]
        *replies, again = yield [*asked, first]
        started = [counted(command, each, "string") for command, each in zip(asked, replies, strict=True)]
        still = _times(first, again)
        idle = [job for job, at_work in zip(times, started, strict=True) if not at_work]
        waiting = [job for job in idle if job in still]
        return _First(
            at_work=len(times) - len(idle),
            gone=len(idle) - len(waiting),
            age=_age(times[waiting[0]], now) if waiting else UNKNOWN_AGE,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _First:
    """What became of the first ids."""

    at_work: int = 0
    gone: int = 0
    """Neither at work nor waiting any more."""
    age: Age = UNKNOWN_AGE
    """Of the first that waits."""


def _times(command: Command, reply: Reply) -> dict[bytes, Reply]:
    """The score of each id, in order.

    Raises:
        Refused: the reply is no range of a sorted set.
    """
    if not isinstance(reply, list) or len(reply) % 2 or not all(isinstance(each, bytes) for each in reply):
        raise Refused(command, reply, "zset")
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _age(score: Reply, now: float) -> Age:
    ms = parse_number(score)
    return unreadable() if ms is None else age_since(ms / _MS_PER_S, now, AgeSource.EXACT)


def _rights(settings: ArqQueue) -> Rights:
    keys = [key for tier in settings.tiers for key in (tier.queue, tier.queue + _HEALTH_CHECK)]
    return Rights(
        keys=(*map(literal, keys), f"{_IN_PROGRESS.decode()}*"),
        commands=frozenset({"EXISTS", "TYPE", "ZCOUNT", "ZRANGEBYSCORE"}),
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[ArqQueue]]]:
    """Queues whose worker keeps a health check, and sorted sets whose first member is a job of arq."""
    checked = [found[1] for found in keyspace.of_type("string", f"(.+){_HEALTH_CHECK}")]
    has_jobs = any(key.startswith(_JOB) for key in keyspace.types)
    sets = [found[0] for found in keyspace.of_type("zset", ".+")] if has_jobs else []
    asked: list[Command] = [("GET", queue + _HEALTH_CHECK) for queue in checked]
    asked += [("ZRANGE", key, 0, 0) for key in sets]
    replies = (yield asked) if asked else ()
    beats, heads = replies[: len(checked)], replies[len(checked) :]
    queues = {queue for queue, told in zip(checked, beats, strict=True) if isinstance(told, bytes) and _BEAT in told}
    queues |= {key for key, head in zip(sets, heads, strict=True) if key != _ABORTED and _is_job(keyspace, head)}
    if not queues:
        return []
    tiers = tuple(ArqTier(name=tier.name, queue=tier.queue) for tier in queue_tiers(queues))
    keys = [key for key in keyspace.types if key.startswith("arq:") or key.removesuffix(_HEALTH_CHECK) in queues]
    notes = (ORDER_GUESSED,) if len(tiers) > 1 else ()
    return [Found(settings=ArqQueue(kind="arq", tiers=tiers), keys=frozenset(keys), notes=notes)]


def _is_job(keyspace: Keyspace, members: Reply) -> bool:
    """Whether the one member of a range is the id of a job."""
    if not isinstance(members, list) or not members or not isinstance(members[0], bytes):
        return False
    return _JOB + members[0].decode(errors="replace") in keyspace.types


LIBRARY = Library(
    kind="arq",
    title="arq",
    settings=ArqQueue,
    reader=arq_reader,
    rights=_rights,
    find=_find,
)
