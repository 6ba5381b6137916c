"""Jobs in Redis streams that workers read as one consumer group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from redis.exceptions import ResponseError

from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.core.spec import SETTINGS, Tier
from autoscaler.link import Command, Reply
from autoscaler.queues.age import UNKNOWN_AGE, Age, age_since, epoch_seconds, unreadable
from autoscaler.queues.base import InFlight, Jobs, Refused, Steps, counted, literal
from autoscaler.queues.caution import Caution
from autoscaler.queues.guess import ORDER_GUESSED, Family, families
from autoscaler.queues.in_flight import UNREADABLE
from autoscaler.queues.library import Found, Keyspace, Library, Rights
from autoscaler.queues.places import Ration, remembered
from autoscaler.queues.pool import PoolReader, TierReader, check_tiers
from autoscaler.queues.stream_replies import (
    Entry,
    EntryId,
    Group,
    consumers_of,
    parse_entries,
    parse_group,
    parse_pending,
)

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
    keys = [tier.key for tier in queue.tiers]
    return PoolReader(
        [TierReader(tier.name, Stream(tier.key, queue.group)) for tier in queue.tiers],
        PendingEntries(keys, queue.group),
        probe=[("EXISTS", key) for key in keys],
    )


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The first entries that were not delivered yet."""

    entries: tuple[Entry, ...]
    complete: bool
    """There are no more than these."""


class Stream:
    """One stream.

    `waiting` is the group's lag, never above the length of the stream, since Redis over-reports it after a trim. Where
    Redis does not know the lag, up to 101 entries are counted, fewer where they are large, and the number is a lower
    bound when there are more. Without the group, all entries wait. The age is that of the first entry that was not
    delivered, by its id. That entry is asked for after the id which was the last delivered one a tick before, and once
    more only where that answer is out of date.

    Entries bring their jobs along, so large ones are fetched as seldom as the ration allows, unless they must be
    counted; between, the last age stands for that of the entry that may have followed.

    What a library's own streams tell beyond that: `stamp`, the field of an entry with the time since which its job
    waits, which the id of an entry that was delayed does not tell; and `done_deleted`, that workers delete the entries
    they are done with, so that all that is not pending waits, whether or not Redis knows the lag.
    """

    def __init__(self, key: str, group: str, *, stamp: str | None = None, done_deleted: bool = False) -> None:
        self._key = key
        self._group = group
        self._stamp = stamp
        self._done_deleted = done_deleted
        self._delivered = EntryId()
        self._wanted = 1
        """Entries that the last tick needed: none, one for its age, or many to count."""
        self._entry_bytes: int | None = None
        """Size of the largest entry in the last answer."""
        self._ration = Ration()
        self._last = UNKNOWN_AGE

    def read(self, now: float) -> Steps[Jobs]:
        """Length, lag and age."""
        length_of, groups_of = ("XLEN", self._key), ("XINFO", "GROUPS", self._key)
        resting = not self._ration.allows(now)
        guess = [self._after(self._delivered, self._wanted)] if self._wanted and not resting else []
        length, groups, *guessed = yield [length_of, groups_of, *guess]
        entries = counted(length_of, length, "stream")
        group = parse_group(groups, self._group)
        if group is None:
            # Nothing waits in an empty stream, nor in a missing one, which has no groups to ask for.
            if entries == 0:
                return Jobs(waiting=0)
            raise Refused(groups_of, groups, "stream")
        if self._done_deleted:
            group = _with_lag(group, entries)
        known = _waiting(group, None, entries) if resting else None
        if known is not None:
            self._last = self._last if known[0] else UNKNOWN_AGE
            return _jobs(group, known, remembered(self._last, now))
        seen = parse_entries(guessed[0]) if guessed else None
        largest = max((entry.size for entry in seen), default=self._entry_bytes) if seen else self._entry_bytes
        wanted = _entries_wanted(group, largest)
        ahead = self._ahead(group, wanted, self._delivered, self._wanted, seen)
        asked = self._after(group.delivered, wanted)
        reply: Reply = None
        if wanted and ahead is None:
            [reply] = yield [asked]
            ahead = self._ahead(group, wanted, group.delivered, wanted, parse_entries(reply))
        waiting = _waiting(group, ahead, entries)
        if waiting is None:
            raise Refused(asked, reply, "stream")
        self._entry_bytes, self._delivered, self._wanted = largest, group.delivered, wanted
        self._ration.fetched(now, *_payloads(seen), *_payloads(parse_entries(reply)))
        self._last = self._age(ahead, now) if waiting[0] else UNKNOWN_AGE
        return _jobs(group, waiting, self._last)

    def _age(self, ahead: _Ahead | None, now: float) -> Age:
        if ahead is None or not ahead.entries:
            return unreadable()
        first = ahead.entries[0]
        stamped = None if self._stamp is None else epoch_seconds(first.fields.get(self._stamp.encode()), "auto")
        if stamped is not None:
            return age_since(stamped, now, AgeSource.EXACT)
        return age_since(first.id.ms / 1000, now, AgeSource.STREAM_ID)

    def _after(self, delivered: EntryId, wanted: int) -> Command:
        return ("XRANGE", self._key, f"({delivered}", "+", "COUNT", wanted)

    @staticmethod
    def _ahead(group: Group, wanted: int, after: EntryId, asked: int, entries: Sequence[Entry] | None) -> _Ahead | None:
        """What was not delivered yet, if the entries after some id tell."""
        if entries is None or after > group.delivered:
            return None
        ahead = tuple(entry for entry in entries if entry.id > group.delivered)
        complete = len(entries) < asked
        return _Ahead(ahead, complete) if complete or (len(ahead) == len(entries) and asked >= wanted) else None


def _entries_wanted(group: Group, largest: int | None) -> int:
    if group.absent:
        return 1
    if group.lag is not None:
        return min(1, group.lag)
    return 1 if largest is None else min(_MAX_COUNTED, max(1, _MAX_COUNTED_BYTES // max(1, largest)))


def _payloads(entries: Sequence[Entry] | None) -> Iterator[bytes]:
    return (value for entry in entries or () for value in entry.fields.values())


def _with_lag(group: Group, length: int) -> Group:
    """A group, where Redis does not know its lag with that of a stream in which all that is not pending waits.

    It is never 0, so that the entries themselves are asked for: an entry that was deleted while pending counts twice.
    """
    if group.absent or group.lag is not None or group.pending is None:
        return group
    return replace(group, lag=max(1, length - group.pending))


def _jobs(group: Group, waiting: tuple[int, bool], age: Age) -> Jobs:
    number, is_lower_bound = waiting
    return Jobs(
        waiting=number,
        is_lower_bound=is_lower_bound,
        age=age if number else UNKNOWN_AGE,
        cautions=frozenset({Caution.GROUP_ABSENT}) if group.absent else frozenset(),
    )


def _waiting(group: Group, ahead: _Ahead | None, length: int) -> tuple[int, bool] | None:
    """How many entries of a stream of that length wait, and whether there may be more; None where nothing tells."""
    if group.absent:
        return length, False
    if ahead is not None and not ahead.entries:
        return 0, False
    if group.lag is not None:
        return min(group.lag, length), False
    return None if ahead is None else (len(ahead.entries), not ahead.complete)


class PendingEntries:
    """The entries delivered to the group's workers and not acknowledged, in all streams of a queue."""

    def __init__(
        self,
        keys: Sequence[str],
        group: str,
        kind: InFlightKind = InFlightKind.DELIVERED,
        *,
        when_several: Collection[Caution] = (),
    ) -> None:
        self._summaries: list[Command] = [("XPENDING", key, group) for key in keys]
        self._kind = kind
        self._when_several = frozenset(when_several)
        """What to warn of while one consumer holds several entries."""

    def read(self, now: float) -> Steps[InFlight]:
        """The sum over all streams, and the oldest of them by its id; a stream without the group has none."""
        replies = yield self._summaries
        pending = [parse_pending(reply) for reply in replies if not _no_group(reply)]
        known = [summary for summary in pending if summary is not None]
        if len(known) < len(pending):
            return UNREADABLE
        oldest = min((summary.oldest for summary in known if summary.oldest is not None), default=None)
        age = UNKNOWN_AGE if oldest is None else age_since(oldest.ms / 1000, now, AgeSource.STREAM_ID)
        return InFlight(
            count=sum(summary.count for summary in known),
            kind=self._kind,
            oldest_at=age.enqueued_at,
            cautions=age.cautions | (self._when_several if any(s.most > 1 for s in known) else frozenset()),
        )


def _no_group(reply: Reply) -> bool:
    return isinstance(reply, ResponseError) and str(reply).startswith("NOGROUP")


STREAM_COMMANDS = frozenset({"EXISTS", "TYPE", "XLEN", "XINFO", "XRANGE", "XPENDING"})


def _rights(queue: StreamQueue) -> Rights:
    return Rights(keys=tuple(literal(tier.key) for tier in queue.tiers), commands=STREAM_COMMANDS)


def _find(keyspace: Keyspace) -> Steps[list[Found[StreamQueue]]]:
    """Streams that a consumer group reads, save those whose names say that they are something else."""
    candidates = families(keyspace, "stream")
    keys = [key for family in candidates for key in family.keys]
    replies = (yield [("XINFO", "GROUPS", key) for key in keys]) if keys else ()
    consumers = {key: consumers_of(reply) for key, reply in zip(keys, replies, strict=True)}
    return [found for family in candidates for found in _found(family, consumers)]


def _found(family: Family, consumers: Mapping[str, Mapping[str, int]]) -> Iterator[Found[StreamQueue]]:
    """Streams of one prefix that are read as the same consumer group are one queue."""
    read_as: defaultdict[str, list[StreamTier]] = defaultdict(list)
    for key, name in family.tier_names().items():
        if consumers[key]:
            read_as[_main_group(consumers[key])].append(StreamTier(name=name, key=key))
    for reader, tiers in read_as.items():
        ordered = [ORDER_GUESSED] if len(tiers) > 1 else []
        several = any(len(consumers[tier.key]) > 1 for tier in tiers)
        chosen = [f"of several consumer groups, {reader!r} has most consumers"] if several else []
        yield Found(
            settings=StreamQueue(kind="stream", tiers=tuple(tiers), group=reader),
            keys=frozenset(tier.key for tier in tiers),
            notes=(*ordered, *chosen),
        )


def _main_group(consumers: Mapping[str, int]) -> str:
    return min(consumers, key=lambda name: (-consumers[name], name))


LIBRARY = Library(
    kind="stream",
    title="streams",
    settings=StreamQueue,
    reader=stream_reader,
    rights=_rights,
    find=_find,
    advice={Caution.ABSURD_TIMESTAMP: "let Redis choose the ids of entries: `XADD KEY * …`"},
)
