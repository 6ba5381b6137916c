"""Jobs in plain Redis lists, one list for each tier."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from autoscaler.core.demand import AgeSource, TierDemand, Unknown
from autoscaler.core.spec import SETTINGS, Tier
from autoscaler.link import Command
from autoscaler.queues.age import UNKNOWN_AGE, Age, age_since
from autoscaler.queues.base import Answers, Caution, Reader, TierReading, count, exists, fault
from autoscaler.queues.in_flight import InFlightKeys
from autoscaler.queues.pool import PoolReader, check_tiers
from autoscaler.queues.stamp import JobStamp, Timestamp
from autoscaler.queues.watermark import Bracket, Watermark

Side = Literal["left", "right"]


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


def list_reader(queue: ListQueue) -> PoolReader:
    """The reader of a queue of lists."""
    if queue.timestamp is None:
        tiers: list[Reader[TierReading]] = [EstimatedListTier(tier, queue.pop_side) for tier in queue.tiers]
    else:
        tiers = [StampedListTier(tier, queue.pop_side, queue.timestamp) for tier in queue.tiers]
    return PoolReader(tiers, InFlightKeys(queue.in_flight_keys))


class StampedListTier:
    """One list whose jobs carry a timestamp.

    `waiting` is the length of the list; `oldest_wait_s` is the age, by the job's own timestamp, of the element at the
    end that workers pop. The whole element is fetched on each tick, whatever its size.
    """

    def __init__(self, tier: ListTier, pop_side: Side, timestamp: Timestamp) -> None:
        self._tier = tier
        self._head: Command = ("LINDEX", tier.key, 0 if pop_side == "left" else -1)
        self._stamp = JobStamp(timestamp)

    def first(self, _now: float) -> list[Command]:
        """Length and next job."""
        return [*_length_commands(self._tier), self._head]

    def second(self, answers: Answers, _now: float) -> list[Command]:
        """The time of a next job that is new."""
        return self._stamp.ask(answers.get(self._head))

    def parse(self, answers: Answers, now: float) -> TierReading | Unknown:
        """Length, and age by timestamp."""
        length = _length(self._tier, answers, now)
        if isinstance(length, Unknown):
            return length
        age = self._stamp.age(answers.get(self._head), answers, now) if length else UNKNOWN_AGE
        return _reading(self._tier, length, age, answers)


class EstimatedListTier:
    """One list whose jobs carry no timestamp.

    `waiting` is the length of the list; `oldest_wait_s` is the upper end of what the watermark says of the element at
    the end that workers pop, at most one tick above the truth. Jobs that were there before the daemon started are at
    least as old as stated.
    """

    def __init__(self, tier: ListTier, pop_side: Side) -> None:
        self._tier = tier
        self._watermark = Watermark("right" if pop_side == "left" else "left")

    def first(self, _now: float) -> list[Command]:
        """Length, newest job, and how many came after the newest of the last tick."""
        return [*_length_commands(self._tier), *self._watermark.commands(self._tier.key)]

    def second(self, _answers: Answers, _now: float) -> list[Command]:
        """Nothing: the watermark needs one round trip."""
        return []

    def parse(self, answers: Answers, now: float) -> TierReading | Unknown:
        """Length, and age by watermark."""
        length = _length(self._tier, answers, now)
        if isinstance(length, Unknown):
            return length
        bracket = self._watermark.observe(answers, self._tier.key, length, now)
        return _reading(self._tier, length, self._age(bracket, now), answers)

    def _age(self, bracket: Bracket, now: float) -> Age:
        obstacle = self._watermark.obstacle
        cautions = set[Caution]() if obstacle is None else {obstacle}
        if bracket.earliest is not None:
            age = age_since(bracket.earliest, now, AgeSource.ESTIMATED)
            cautions |= {Caution.AGE_UPPER_BOUND} if bracket.latest is None else set()
        elif bracket.latest is not None and bracket.latest < now:
            age = age_since(bracket.latest, now, AgeSource.ESTIMATED)
            cautions.add(Caution.AGE_LOWER_BOUND)
        else:
            age = UNKNOWN_AGE
        return replace(age, cautions=age.cautions | cautions)


def _length_commands(tier: ListTier) -> list[Command]:
    return [("TYPE", tier.key), ("LLEN", tier.key)]


def _length(tier: ListTier, answers: Answers, now: float) -> int | Unknown:
    command = ("LLEN", tier.key)
    length = count(answers.get(command))
    return fault(answers, command, key=tier.key, expected="list", now=now) if length is None else length


def _reading(tier: ListTier, length: int, age: Age, answers: Answers) -> TierReading:
    demand = TierDemand(
        tier=tier.name,
        waiting=length,
        oldest_enqueued_at=age.enqueued_at,
        oldest_wait_s=age.wait_s,
        age_source=age.source,
    )
    return TierReading(demand=demand, seen=length > 0 or exists(answers, tier.key), cautions=age.cautions)
