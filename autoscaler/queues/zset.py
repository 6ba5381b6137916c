"""Jobs in Redis sorted sets, whose score is a time or a priority."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, ClassVar, Literal

from autoscaler.core.demand import AgeSource, TierDemand, Unknown
from autoscaler.core.spec import SETTINGS, Tier
from autoscaler.core.units import Written
from autoscaler.link import Command, Reply
from autoscaler.queues.age import PER_SECOND, UNKNOWN_AGE, NumberUnit, age_since, parse_number, unreadable
from autoscaler.queues.base import Answers, Reader, TierReading, count, exists, fault
from autoscaler.queues.in_flight import InFlightKeys
from autoscaler.queues.pool import PoolReader, check_tiers
from autoscaler.queues.stamp import JobStamp, Timestamp

_NUMBER = r"-?\d+(?:\.\d+)?"
_BAND = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?")
_FAR_S = 10 * 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Band:
    """Scores from `low` to `high`, both included; written ``0..9``, ``10..`` or ``..-1``."""

    low: float = float("-inf")
    high: float = float("inf")

    def overlaps(self, other: Band) -> bool:
        """Whether a score lies in both."""
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


def parse_band(value: object) -> Band:
    """A band of scores, or one number for exactly that score.

    Raises:
        ValueError: not of that form, or the lower bound exceeds the upper.
    """
    if isinstance(value, Band):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Band(value, value)
    match = _BAND.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a band of scores such as 0..9, 10.. or ..-1, or one number")
    band = Band(float(match[1] or "-inf"), float(match[2] or "inf"))
    if band.low > band.high:
        raise ValueError(f"the lower score {band.low:g} exceeds the upper score {band.high:g}; expected LOW..HIGH")
    return band


Scores = Annotated[Band, Written(parse_band, "0..9")]


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
    if queue.score == "time":
        tiers: list[Reader[TierReading]] = [TimedZsetTier(tier, queue.unit) for tier in queue.tiers]
    else:
        tiers = [PriorityZsetTier(tier, queue.pop, queue.timestamp) for tier in queue.tiers]
    return PoolReader(tiers, InFlightKeys(queue.in_flight_keys))


class TimedZsetTier:
    """One sorted set whose score is a time.

    `waiting` are the members with a score up to now, `delayed` those beyond; `next_due_at` is the lowest score beyond.
    `oldest_wait_s` is the age of the lowest score.
    """

    def __init__(self, tier: ZsetTier, unit: NumberUnit) -> None:
        self._tier = tier
        self._unit = unit
        self._head: Command = ("ZRANGE", tier.key, 0, 0, "WITHSCORES")

    def first(self, now: float) -> list[Command]:
        """Everything: counts on both sides of now, and the score next to each."""
        return [("TYPE", self._tier.key), self._ready(now), self._delayed(now), self._head, self._next(now)]

    def second(self, _answers: Answers, _now: float) -> list[Command]:
        """Nothing."""
        return []

    def parse(self, answers: Answers, now: float) -> TierReading | Unknown:
        """Counts and age; Unknown where the scores are plainly in another unit."""
        ready, delayed = count(answers.get(self._ready(now))), count(answers.get(self._delayed(now)))
        if ready is None or delayed is None:
            command = self._ready(now) if ready is None else self._delayed(now)
            return fault(answers, command, key=self._tier.key, expected="zset", now=now)
        next_score = _score(answers.get(self._next(now)))
        likely = self._likelier_unit(next_score, now) if ready == 0 and next_score is not None else None
        if likely is not None:
            reason = f"queue key {self._tier.key!r}: score {next_score:.15g} is no time in {self._unit}"
            return Unknown(f"{reason}, but would be one in {likely}; expected `unit: {likely}`", now)
        head, age = _score(answers.get(self._head)), UNKNOWN_AGE
        if ready:
            age = unreadable() if head is None else age_since(self._seconds(head), now, AgeSource.CONFIGURED)
        demand = TierDemand(
            tier=self._tier.name,
            waiting=ready,
            delayed=delayed,
            next_due_at=self._seconds(next_score) if delayed and next_score is not None else None,
            oldest_enqueued_at=age.enqueued_at,
            oldest_wait_s=age.wait_s,
            age_source=age.source,
        )
        seen = ready + delayed > 0 or exists(answers, self._tier.key)
        return TierReading(demand=demand, seen=seen, cautions=age.cautions)

    def _now(self, now: float) -> str:
        return repr(now * PER_SECOND[self._unit])

    def _ready(self, now: float) -> Command:
        return ("ZCOUNT", self._tier.key, "-inf", self._now(now))

    def _delayed(self, now: float) -> Command:
        return ("ZCOUNT", self._tier.key, "(" + self._now(now), "+inf")

    def _next(self, now: float) -> Command:
        return ("ZRANGEBYSCORE", self._tier.key, "(" + self._now(now), "+inf", "WITHSCORES", "LIMIT", 0, 1)

    def _seconds(self, score: float) -> float:
        return score / PER_SECOND[self._unit]

    def _likelier_unit(self, score: float, now: float) -> NumberUnit | None:
        """The unit in which a score, far in the future by ours, is a time near now."""
        if self._seconds(score) - now < _FAR_S:
            return None
        return next((unit for unit, factor in PER_SECOND.items() if abs(score / factor - now) < _FAR_S), None)


class PriorityZsetTier:
    """One sorted set, or one band of its scores, whose score is a priority.

    `waiting` are the members in the band; `oldest_wait_s` is the age, by its own timestamp, of the member that workers
    take next, which need not be the oldest.
    """

    def __init__(self, tier: ZsetTier, pop: Literal["lowest", "highest"], timestamp: Timestamp | None) -> None:
        low, high = repr(tier.scores.low), repr(tier.scores.high)
        self._tier = tier
        self._count: Command = ("ZCOUNT", tier.key, low, high)
        self._head: Command = (
            ("ZRANGEBYSCORE", tier.key, low, high, "LIMIT", 0, 1)
            if pop == "lowest"
            else ("ZREVRANGEBYSCORE", tier.key, high, low, "LIMIT", 0, 1)
        )
        self._stamp = None if timestamp is None else JobStamp(timestamp)

    def first(self, _now: float) -> list[Command]:
        """The count, and the next job where it carries a timestamp."""
        return [("TYPE", self._tier.key), self._count, *([] if self._stamp is None else [self._head])]

    def second(self, answers: Answers, _now: float) -> list[Command]:
        """The time of a next job that is new."""
        return [] if self._stamp is None else self._stamp.ask(_only(answers.get(self._head)))

    def parse(self, answers: Answers, now: float) -> TierReading | Unknown:
        """Count, and age by timestamp."""
        waiting = count(answers.get(self._count))
        if waiting is None:
            return fault(answers, self._count, key=self._tier.key, expected="zset", now=now)
        age = UNKNOWN_AGE
        if waiting and self._stamp is not None:
            head = answers.get(self._head)
            age = self._stamp.age(_only(head), answers, now)
        demand = TierDemand(
            tier=self._tier.name,
            waiting=waiting,
            oldest_enqueued_at=age.enqueued_at,
            oldest_wait_s=age.wait_s,
            age_source=age.source,
        )
        return TierReading(demand=demand, seen=waiting > 0 or exists(answers, self._tier.key), cautions=age.cautions)


def _only(members: Reply) -> Reply:
    """The one member of a reply, None of an empty one, and a refusal as it is."""
    if not isinstance(members, list):
        return members
    return members[0] if members else None


def _score(pair: Reply) -> float | None:
    """The finite score of the one member in a reply WITHSCORES."""
    return parse_number(pair[1]) if isinstance(pair, list) and len(pair) == 2 else None
