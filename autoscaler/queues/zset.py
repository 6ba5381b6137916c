"""Jobs in Redis sorted sets, whose score is a time or a priority."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Literal

from autoscaler.core.demand import AgeSource
from autoscaler.core.spec import SETTINGS, Tier
from autoscaler.link import Reply
from autoscaler.queues.age import PER_SECOND, NumberUnit
from autoscaler.queues.band import Band, Scores
from autoscaler.queues.base import Jobs, Reader, Steps, Unreadable, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import Family, families, is_plausible, stamp_of
from autoscaler.queues.in_flight import NOT_COUNTED, SIZES, InFlightKeys, check_in_flight_keys
from autoscaler.queues.library import Found, Keyspace, Library, Rights
from autoscaler.queues.places import PrioritySet, TimedSet, UnstampedSet, score_of
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stamp import Timestamp, configured, stamp_commands, stamp_keys

_FAR_S = 10 * 365 * 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ZsetTier(Tier):
    """A tier whose jobs wait in a sorted set, or in a band of its scores."""

    key: str
    """Key of the sorted set. Tiers may share one, each with a band of `scores`."""
    scores: Scores = Band()
    """The scores of this tier's jobs where the score is a priority, e.g. `0..9`; all when absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ZsetQueue:
    """Jobs in sorted sets, one member a job."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["zset"]
    """Jobs in sorted sets."""
    tiers: tuple[ZsetTier, ...]
    """Most urgent first; each has a sorted set or a band of scores of its own."""
    score: Literal["time", "priority"]
    """What the score is: the `time` since which a job waits or from which it may start, or its `priority`."""
    unit: NumberUnit = "s"
    """Unit of a score that is a time, counted from 1970."""
    pop: Literal["lowest", "highest"] = "lowest"
    """The score that workers take first; always the lowest where it is a time."""
    timestamp: Timestamp | None = None
    """Where a job says when it was enqueued, for scores that are priorities. When absent, ages are not known."""
    in_flight_keys: tuple[str, ...] = ()
    """Keys that hold the jobs being worked on: lists, sets, sorted sets or hashes. When empty, they are hidden."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [(tier.key, str(tier.scores)) for tier in self.tiers])
        check_in_flight_keys(self.in_flight_keys, {tier.key for tier in self.tiers})
        for one, other in combinations(self.tiers, 2):
            if one.key == other.key and one.scores.overlaps(other.scores):
                raise ValueError(f"tiers {one.name!r} and {other.name!r} overlap in the scores of key {one.key!r}")
        if self.score == "time":
            if self.pop != "lowest" or self.timestamp is not None or any(t.scores != Band() for t in self.tiers):
                raise ValueError("`pop`, `timestamp` and `scores` are for `score: priority` only")
        elif self.unit != "s":
            raise ValueError("`unit` is for `score: time` only")


def zset_reader(queue: ZsetQueue) -> PoolReader:
    """The reader of a queue of sorted sets."""
    return PoolReader(
        [TierReader(tier.name, _place(queue, tier)) for tier in queue.tiers],
        InFlightKeys(queue.in_flight_keys),
        probe=[("EXISTS", key) for key in dict.fromkeys((*(t.key for t in queue.tiers), *queue.in_flight_keys))],
    )


def _place(queue: ZsetQueue, tier: ZsetTier) -> Reader[Jobs]:
    if queue.score == "time":
        return WrittenTimes(tier.key, queue.unit)
    if queue.timestamp is None:
        return UnstampedSet(tier.key, tier.scores)
    return PrioritySet(tier.key, tier.scores, configured(queue.timestamp), queue.pop)


class WrittenTimes:
    """A sorted set whose score is a time in the unit that the user named."""

    def __init__(self, key: str, unit: NumberUnit) -> None:
        self._key = key
        self._unit = unit
        self._set = TimedSet(key, PER_SECOND[unit], AgeSource.CONFIGURED)

    def read(self, now: float) -> Steps[Jobs]:
        """What the set holds.

        Raises:
            Unreadable: the scores are plainly in another unit.
        """
        jobs = yield from self._set.read(now)
        if not jobs.waiting and jobs.next_due_at is not None and jobs.next_due_at - now >= _FAR_S:
            score = jobs.next_due_at * PER_SECOND[self._unit]
            likely = next((unit for unit, factor in PER_SECOND.items() if abs(score / factor - now) < _FAR_S), None)
            if likely is not None:
                reason = f"queue key {self._key!r}: score {score:.15g} is no time in {self._unit}"
                raise Unreadable(f"{reason}, but would be one in {likely}; expected `unit: {likely}`")
        return jobs


def _rights(queue: ZsetQueue) -> Rights:
    keys = dict.fromkeys((*(tier.key for tier in queue.tiers), *queue.in_flight_keys))
    return Rights(
        keys=(*map(literal, keys), *stamp_keys(queue.timestamp)),
        commands=frozenset({"EXISTS", "TYPE", "ZCOUNT", "ZRANGEBYSCORE", "ZREVRANGEBYSCORE"})
        | stamp_commands(queue.timestamp)
        | (SIZES if queue.in_flight_keys else frozenset()),
    )


def _find(keyspace: Keyspace) -> Steps[list[Found[ZsetQueue]]]:
    """Sorted sets whose names say that they are queues. The score at both ends tells whether it is a time."""
    found = families(keyspace, "zset", only_if_named=True)
    asked = [("ZRANGE", family.keys[0], end, end, "WITHSCORES") for family in found for end in (0, -1)]
    ends = (yield asked) if asked else ()
    return [_found(family, *ends[2 * at : 2 * at + 2]) for at, family in enumerate(found)]


def _found(family: Family, lowest: Reply, highest: Reply) -> Found[ZsetQueue]:
    scores = [score_of(pair) for pair in (lowest, highest)]
    unit = next((unit for unit in PER_SECOND if all(_is_time(score, unit) for score in scores)), None)
    notes = [*family.doubts()]
    stamp = stamp_of(lowest[0]) if isinstance(lowest, list) and lowest else None
    if unit is None:
        notes.append("`score: priority` and `pop: lowest` are guessed: the score is no time")
    return Found(
        settings=ZsetQueue(
            kind="zset",
            tiers=tuple(ZsetTier(name=name, key=key) for key, name in family.tier_names().items()),
            score="priority" if unit is None else "time",
            unit=unit or "s",
            timestamp=Timestamp(path=stamp[0]) if unit is None and stamp else None,
            in_flight_keys=family.in_flight,
        ),
        keys=frozenset({*family.keys, *family.in_flight}),
        notes=tuple(notes),
    )


def _is_time(score: float | None, unit: NumberUnit) -> bool:
    return score is not None and is_plausible(score / PER_SECOND[unit])


LIBRARY = Library(
    kind="zset",
    title="sorted sets",
    settings=ZsetQueue,
    reader=zset_reader,
    rights=_rights,
    find=_find,
    advice={
        Caution.ABSURD_TIMESTAMP: "say in `unit` how a score is written, and in `timestamp.unit` a job's own time",
        Caution.IN_FLIGHT_UNREADABLE: NOT_COUNTED,
    },
)
