"""Where jobs lie: lists, sorted sets by time, sorted sets by priority. What all libraries' readers are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from autoscaler.core.demand import AgeSource
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, Age, age_since, parse_number, unreadable
from autoscaler.queues.band import Band
from autoscaler.queues.base import Jobs, Steps, counted, together
from autoscaler.queues.caution import Caution
from autoscaler.queues.stamp import Stamp
from autoscaler.queues.watermark import MAX_PAYLOAD_BYTES, Bracket, Watermark

Side = Literal["left", "right"]
"""The end of a list that workers pop."""

_BYTES_PER_S = 16 * 1024
"""What may be fetched of large jobs, on average."""


class Ration:
    """How often jobs may be fetched where no command tells how large they are.

    On each tick, until one was above 64 KiB: then more seldom, 16 KiB a second on average. Such a rest ends when the
    clock is set back.
    """

    def __init__(self) -> None:
        self._fetched_at = self._rest_until = float("-inf")

    def allows(self, now: float) -> bool:
        """Whether jobs may be fetched now."""
        return not self._fetched_at <= now < self._rest_until

    def fetched(self, now: float, *jobs: Reply) -> None:
        """These were."""
        size = sum(len(job) for job in jobs if isinstance(job, bytes))
        self._fetched_at = now
        self._rest_until = now + size / _BYTES_PER_S if size > MAX_PAYLOAD_BYTES else now


def remembered(age: Age, now: float) -> Age:
    """An age that stands for that of the job which may have followed, while that is not fetched."""
    too_large = frozenset({Caution.PAYLOAD_TOO_LARGE})
    if age.enqueued_at is None:
        return Age(cautions=too_large)
    since = age_since(age.enqueued_at, now, age.source)
    return replace(since, cautions=since.cautions | too_large)


class NextInLine:
    """Jobs of which one command counts all, and another fetches the next one, whose time is known by a stamp.

    The next job is fetched as often as the ration allows; between, its age stands for that of the one that may have
    followed, until none waits.
    """

    def __init__(self, number: Command, head: Command, kind: Literal["list", "zset"], stamp: Stamp) -> None:
        self._number = number
        self._head = head
        self._kind = kind
        self._stamp = stamp
        self._ration = Ration()
        self._last = UNKNOWN_AGE

    def read(self, now: float) -> Steps[Jobs]:
        """The number and the next job, and the time of a next job that is new."""
        fetch = self._ration.allows(now)
        number, *heads = yield [self._number, self._head] if fetch else [self._number]
        waiting = counted(self._number, number, self._kind)
        if waiting and not fetch:
            return Jobs(waiting=waiting, age=remembered(self._last, now))
        head = _only(heads[0]) if waiting else None
        age = yield from self._stamp.read(head, now)
        if fetch:
            self._ration.fetched(now, head)
        self._last = age
        return Jobs(waiting=waiting, age=age)


class StampedList(NextInLine):
    """A list whose jobs' times are known by a stamp. The next is the element at the end that workers pop."""

    def __init__(self, key: str, pop_side: Side, stamp: Stamp) -> None:
        super().__init__(("LLEN", key), ("LINDEX", key, 0 if pop_side == "left" else -1), "list", stamp)


class EstimatedList:
    """A list whose jobs carry no timestamp.

    The age is the upper end of what the watermark says of the element at the end that workers pop, at most one tick
    above the truth where no two jobs are the same. Jobs that were there before the daemon started are at least as old
    as stated.
    """

    def __init__(self, key: str, pop_side: Side) -> None:
        self._key = key
        self._length: Command = ("LLEN", key)
        self._watermark = Watermark("right" if pop_side == "left" else "left")

    def read(self, now: float) -> Steps[Jobs]:
        """Length, newest job, and how many came after the newest of the last tick."""
        asked = self._watermark.commands(self._key)
        length, *replies = yield [self._length, *asked]
        waiting = counted(self._length, length, "list")
        answers = dict(zip(asked, replies, strict=True))
        bracket = self._watermark.observe(answers, self._key, waiting, now)
        return Jobs(waiting=waiting, age=self._age(bracket, now))

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
        return Age(enqueued_at=age.enqueued_at, wait_s=age.wait_s, source=age.source, cautions=age.cautions | cautions)


class PartlyStampedList:
    """A list of which some jobs carry a stamp and others none, as while producers learn to set one.

    The age is that of the stamp where the job next in line carries one, else it is estimated. With `sent_before`, a
    stamp says when the job was first sent, which may be long before it came into this list, as with jobs that were
    delayed or tried before: where the estimate is less, it stands.
    """

    def __init__(self, key: str, pop_side: Side, stamp: Stamp, *, sent_before: bool = False) -> None:
        self._stamped = StampedList(key, pop_side, stamp)
        self._estimated = EstimatedList(key, pop_side)
        self._sent_before = sent_before

    def read(self, now: float) -> Steps[Jobs]:
        """What both ways of reading ask."""
        stamped, estimated = yield from together([self._stamped.read(now), self._estimated.read(now)])
        sent_at = stamped.age.enqueued_at
        if not stamped.waiting or (sent_at is not None and not self._came_after(sent_at, estimated.age)):
            return stamped
        return replace(estimated, cautions=stamped.age.cautions - {Caution.AGE_UNREADABLE})

    def _came_after(self, sent_at: float, estimated: Age) -> bool:
        """Whether the job came into the list after it was sent, and not with it."""
        came_after = estimated.enqueued_at
        if not self._sent_before or came_after is None or Caution.AGE_LOWER_BOUND in estimated.cautions:
            return False
        return came_after > sent_at


class TimedSet:
    """A sorted set whose score is the time from which a job may start: those up to now wait, those beyond are delayed.

    `per_second` is what the score rises by in a second, 1000 for milliseconds. The age of a job is the time since its
    score. Jobs that are due wait, whether or not a worker has moved them to where the others are: none may be alive.
    """

    def __init__(
        self, key: str, per_second: float = 1.0, source: AgeSource = AgeSource.EXACT, low: str = "-inf"
    ) -> None:
        self._key = key
        self._per_second = per_second
        self._source = source
        self._low = low
        """The least score that is a time."""
        self._ration = Ration()
        self._first_at: float | None = None
        self._next_at: float | None = None

    def read(self, now: float) -> Steps[Jobs]:
        """Counts on both sides of now, and the score next to each, which brings its job along."""
        until, beyond = repr(now * self._per_second), "(" + repr(now * self._per_second)
        due: Command = ("ZCOUNT", self._key, self._low, until)
        later: Command = ("ZCOUNT", self._key, beyond, "+inf")
        first: Command = ("ZRANGEBYSCORE", self._key, self._low, until, "WITHSCORES", "LIMIT", 0, 1)
        following: Command = ("ZRANGEBYSCORE", self._key, beyond, "+inf", "WITHSCORES", "LIMIT", 0, 1)
        fetch = self._ration.allows(now)
        replies = yield [due, later, first, following] if fetch else [due, later]
        waiting = counted(due, replies[0], "zset")
        delayed = counted(later, replies[1], "zset")
        if fetch:
            self._first_at, self._next_at = (self._time_of(reply) for reply in replies[2:])
            self._ration.fetched(now, *(pair[0] for pair in replies[2:] if isinstance(pair, list) and pair))
        to_come = self._next_at if (self._next_at or 0.0) > now else None
        if not waiting:  # whatever was due is gone
            self._first_at, self._next_at = None, to_come
        return Jobs(
            waiting=waiting,
            age=self._age(now, fetch) if waiting else UNKNOWN_AGE,
            delayed=delayed,
            next_due_at=to_come if delayed else None,
        )

    def _time_of(self, pair: Reply) -> float | None:
        score = score_of(pair)
        return None if score is None else score / self._per_second

    def _age(self, now: float, fetched: bool) -> Age:
        due_at = self._first_at
        if due_at is None and self._next_at is not None and self._next_at <= now:
            due_at = self._next_at  # it came due since it was fetched
        age = unreadable() if due_at is None else age_since(due_at, now, self._source)
        return age if fetched else remembered(age, now)


class PrioritySet(NextInLine):
    """A sorted set, or one band of its scores, whose score is a priority.

    The age is that of the member that workers take next, which need not be the oldest.
    """

    def __init__(self, key: str, band: Band, stamp: Stamp, pop: Literal["lowest", "highest"] = "lowest") -> None:
        low, high = repr(band.low), repr(band.high)
        lowest: Command = ("ZRANGEBYSCORE", key, low, high, "LIMIT", 0, 1)
        highest: Command = ("ZREVRANGEBYSCORE", key, high, low, "LIMIT", 0, 1)
        super().__init__(("ZCOUNT", key, low, high), lowest if pop == "lowest" else highest, "zset", stamp)


class UnstampedSet:
    """A sorted set, or one band of its scores, whose score is a priority. Ages are not known."""

    def __init__(self, key: str, band: Band) -> None:
        self._number: Command = ("ZCOUNT", key, repr(band.low), repr(band.high))

    def read(self, _now: float) -> Steps[Jobs]:
        """The number."""
        [number] = yield [self._number]
        return Jobs(waiting=counted(self._number, number, "zset"))


def score_of(pair: Reply) -> float | None:
    """The finite score of the one member in a reply WITHSCORES."""
    return parse_number(pair[1]) if isinstance(pair, list) and len(pair) == 2 else None


def _only(reply: Reply) -> Reply:
    """The one member of a range, None of an empty one, and any other reply as it is."""
    if not isinstance(reply, list):
        return reply
    return reply[0] if reply else None
