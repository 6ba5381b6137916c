"""Jobs in Redis streams that workers read as one consumer group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from redis.exceptions import ResponseError

from autoscaler.core.demand import AgeSource, TierDemand, Unknown
from autoscaler.core.spec import SETTINGS, Tier
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, age_since, unreadable
from autoscaler.queues.base import Answers, Caution, InFlight, TierReading, count, exists, fault
from autoscaler.queues.pool import PoolReader, check_tiers
from autoscaler.queues.stream_replies import Entry, EntryId, Group, parse_entries, parse_group, parse_pending

_MAX_COUNTED = 101
"""Entries to count one by one where Redis does not know the lag."""
_MAX_COUNTED_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamTier(Tier):
    """A tier whose jobs wait in a stream."""

    key: str
    """Key of the stream."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamQueue:
    """Jobs in streams, one entry a job."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["stream"]
    """Jobs in streams."""
    tiers: tuple[StreamTier, ...]
    """Most urgent first; each has a stream of its own."""
    group: str
    """The consumer group that the workers read as, the same in each stream."""

    def __post_init__(self) -> None:
        check_tiers(self.tiers, [tier.key for tier in self.tiers])


def stream_reader(queue: StreamQueue) -> PoolReader:
    """The reader of a queue of streams."""
    tiers = [StreamTierReader(tier, queue.group) for tier in queue.tiers]
    return PoolReader(tiers, PendingEntries([tier.key for tier in queue.tiers], queue.group))


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The first entries that were not delivered yet."""

    entries: tuple[Entry, ...]
    complete: bool
    """There are no more than these."""


@dataclass(frozen=True, slots=True)
class _Count:
    number: int
    is_lower_bound: bool = False


class StreamTierReader:
    """One stream.

    `waiting` is the group's lag, never above the length of the stream, since Redis over-reports it after a trim. Where
    Redis does not know the lag, up to 101 entries are counted, fewer where they are large, and the number is a lower
    bound when there are more. Without the group, all entries wait. `oldest_wait_s` is the age of the first entry that
    was not delivered, by its id. That entry is asked for after the id which was the last delivered one a tick before,
    and once more only where that answer is out of date.
    """

    def __init__(self, tier: StreamTier, group: str) -> None:
        self._tier = tier
        self._group = group
        self._length: Command = ("XLEN", tier.key)
        self._groups: Command = ("XINFO", "GROUPS", tier.key)
        self._delivered = EntryId()
        self._wanted = 1
        """Entries that the last tick needed: none, one for its age, or many to count."""
        self._entry_bytes: int | None = None
        """Size of the largest entry in the last answer."""

    def first(self, _now: float) -> list[Command]:
        """Length, groups, and what follows the last delivered entry as of the last tick."""
        commands: list[Command] = [("TYPE", self._tier.key), self._length, self._groups]
        return [*commands, self._after(self._delivered, self._wanted)] if self._wanted else commands

    def second(self, answers: Answers, _now: float) -> list[Command]:
        """What follows the last delivered entry, where the first answer does not tell."""
        group = parse_group(answers.get(self._groups), self._group)
        wanted = 0 if group is None else self._entries_wanted(group, answers)
        if group is None or not wanted or self._ahead(group, wanted, answers) is not None:
            return []
        return [self._after(group.delivered, wanted)]

    def parse(self, answers: Answers, now: float) -> TierReading | Unknown:
        """Lag and age."""
        length = count(answers.get(self._length))
        if length is None:
            return self._fault(self._length, answers, now)
        group = parse_group(answers.get(self._groups), self._group)
        if group is None:
            # Nothing waits in an empty stream, nor in a missing one, which has no groups to ask for.
            return (
                self._reading(_Count(0), None, answers, now) if length == 0 else self._fault(self._groups, answers, now)
            )
        wanted = self._entries_wanted(group, answers)
        ahead = self._ahead(group, wanted, answers)
        self._entry_bytes = self._largest_entry(answers)
        self._delivered, self._wanted = group.delivered, wanted
        waiting = _waiting(group, ahead, length)
        if waiting is None:
            return self._fault(self._after(group.delivered, wanted), answers, now)
        cautions = frozenset({Caution.GROUP_ABSENT}) if group.absent else frozenset[Caution]()
        return self._reading(waiting, ahead, answers, now, cautions)

    def _after(self, delivered: EntryId, wanted: int) -> Command:
        return ("XRANGE", self._tier.key, f"({delivered}", "+", "COUNT", wanted)

    def _entries_wanted(self, group: Group, answers: Answers) -> int:
        if group.absent:
            return 1
        if group.lag is not None:
            return min(1, group.lag)
        largest = self._largest_entry(answers)
        return 1 if largest is None else min(_MAX_COUNTED, max(1, _MAX_COUNTED_BYTES // max(1, largest)))

    def _largest_entry(self, answers: Answers) -> int | None:
        """Bytes of the largest entry in the first answer, or in one before."""
        entries = parse_entries(answers.get(self._after(self._delivered, self._wanted)))
        return max(entry.size for entry in entries) if entries else self._entry_bytes

    def _ahead(self, group: Group, wanted: int, answers: Answers) -> _Ahead | None:
        """What was not delivered yet, by whichever answer tells."""
        for after, asked in ((group.delivered, wanted), (self._delivered, self._wanted)):
            entries = parse_entries(answers.get(self._after(after, asked)))
            if entries is None or after > group.delivered:
                continue
            ahead = tuple(entry for entry in entries if entry.id > group.delivered)
            complete = len(entries) < asked
            if complete or (len(ahead) == len(entries) and asked >= wanted):
                return _Ahead(ahead, complete)
        return None

    def _fault(self, command: Command, answers: Answers, now: float) -> Unknown:
        return fault(answers, command, key=self._tier.key, expected="stream", now=now)

    def _reading(
        self,
        waiting: _Count,
        ahead: _Ahead | None,
        answers: Answers,
        now: float,
        cautions: frozenset[Caution] = frozenset(),
    ) -> TierReading:
        age = UNKNOWN_AGE
        if waiting.number:
            head = ahead.entries[0] if ahead is not None and ahead.entries else None
            age = unreadable() if head is None else age_since(head.id.ms / 1000, now, AgeSource.STREAM_ID)
        demand = TierDemand(
            tier=self._tier.name,
            waiting=waiting.number,
            waiting_is_lower_bound=waiting.is_lower_bound,
            oldest_enqueued_at=age.enqueued_at,
            oldest_wait_s=age.wait_s,
            age_source=age.source,
        )
        return TierReading(demand=demand, seen=exists(answers, self._tier.key), cautions=cautions | age.cautions)


def _waiting(group: Group, ahead: _Ahead | None, length: int) -> _Count | None:
    """How many entries wait, or None where nothing tells."""
    if group.absent:
        return _Count(length)
    if ahead is not None and not ahead.entries:
        return _Count(0)
    if group.lag is not None:
        return _Count(min(group.lag, length))
    return None if ahead is None else _Count(len(ahead.entries), is_lower_bound=not ahead.complete)


class PendingEntries:
    """The entries delivered to the group's workers and not acknowledged, in all streams of a queue."""

    def __init__(self, keys: Sequence[str], group: str) -> None:
        self._keys = tuple(keys)
        self._summaries: tuple[Command, ...] = tuple(("XPENDING", key, group) for key in self._keys)

    def first(self, _now: float) -> list[Command]:
        """A summary for each stream."""
        return list(self._summaries)

    def second(self, _answers: Answers, _now: float) -> list[Command]:
        """Nothing."""
        return []

    def parse(self, answers: Answers, now: float) -> InFlight | Unknown:
        """The sum over all streams, and the oldest of them by its id; a stream without the group has none."""
        replies = [answers.get(summary) for summary in self._summaries]
        pending = [parse_pending(reply) for reply in replies if not _no_group(reply)]
        known = [summary for summary in pending if summary is not None]
        if len(known) < len(pending):
            return InFlight(count=None, cautions=frozenset({Caution.IN_FLIGHT_UNREADABLE}))
        oldest = min((summary.oldest for summary in known if summary.oldest is not None), default=None)
        age = UNKNOWN_AGE if oldest is None else age_since(oldest.ms / 1000, now, AgeSource.STREAM_ID)
        return InFlight(count=sum(summary.count for summary in known), oldest_at=age.enqueued_at, cautions=age.cautions)


def _no_group(reply: Reply) -> bool:
    return isinstance(reply, ResponseError) and str(reply).startswith("NOGROUP")
