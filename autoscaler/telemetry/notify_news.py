"""What is told to people: concerns that begin, get worse, last or end, and single events. Pure, but for what it keeps.

A concern that comes and goes is no news: it must last before it is told, and be away as long before its end is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from autoscaler.core.journal import Entry, Kind
from autoscaler.core.units import format_duration
from autoscaler.runtime.concerns import Concern, Name, Severity
from autoscaler.runtime.told import Told

Key = tuple[str, str, str]
"""Name, pool and subject."""

_OF_DAEMON = frozenset({Name.TICK_FAILING, Name.NO_LEADER})
"""Told by a daemon as it sees it, though it may lead nothing.

Critical, and true for a moment each time Redis hiccups or the lead is handed over: they must last, too.
"""
_OF_QUEUES = frozenset({Name.QUEUE_UNKNOWN, Name.QUEUE_DOUBTED})
_EVENTS = {Kind.ALARM: Severity.CRITICAL, Kind.LOSS: Severity.WARNING, Kind.OPERATOR: Severity.INFO}


class Change(StrEnum):
    """What became of it."""

    BEGUN = "begun"
    WORSE = "worse"
    LASTS = "lasts"
    ENDED = "ended"
    EVENT = "event"
    """An alarm, or a machine lost with its work."""
    ORDER = "order"
    SUMMARY = "summary"


@dataclass(frozen=True, kw_only=True, slots=True)
class News:
    """One thing that is told."""

    change: Change
    severity: Severity
    """Of an end: the worst that was told of it."""
    name: str
    """Of a concern: its name; else the kind of the journal's entry, or `summary`."""
    text: str
    """One line."""
    at: float
    """Epoch seconds."""
    since: float
    """When it began, epoch seconds."""
    pool: str = ""
    subject: str = ""
    command: str = ""

    @property
    def key(self) -> Key:
        """What tells it from others; newer news of the same key replaces older."""
        about = str(self.at) if self.change in (Change.EVENT, Change.ORDER, Change.SUMMARY) else ""
        return (self.name, self.pool, self.subject + about + (self.text if about else ""))


Cost = Callable[[Concern | Told], float | None]
"""What the machine, pool or fleet of a concern has cost so far, in USD; None where that is not counted."""


class Watch:
    """Which concerns stand, and which of them were told."""

    def __init__(self, *, after_s: float, remind_s: float) -> None:
        self.after_s = after_s
        self.remind_s = remind_s
        self.told: dict[Key, Told] = {}
        self._first: dict[Key, tuple[float, float | None]] = {}
        """Of each concern that stands: since when, and the cost at that time."""
        self._away: dict[Key, float] = {}
        """Of each that was told and stands no more: since when."""

    def recall(self, told: Iterable[Told]) -> None:
        """Take over what another daemon, or this one before its restart, has told."""
        self.told.update((each.key, each) for each in told)

    def forget(self, ours: Callable[[str], bool]) -> None:
        """Leave alone what is of pools that another daemon speaks for by now.

        What a daemon tells of itself, it alone knows the end of, whoever leads.
        """
        self.told = {key: each for key, each in self.told.items() if each.name in _OF_DAEMON or ours(each.pool)}

    def look(self, concerns: Sequence[Concern], now: float, cost: Cost) -> list[News]:
        """What is to be told now."""
        standing = {concern.key: concern for concern in concerns}
        self._first = {
            key: (min(now, self._first[key][0]), self._first[key][1]) if key in self._first else (now, cost(concern))
            for key, concern in standing.items()
        }
        self._away = {key: min(now, self._away.get(key, now)) for key in self.told if key not in standing}
        news = [each for concern in standing.values() if (each := self._of(concern, now)) is not None]
        ended = [key for key, since in self._away.items() if now - since >= self.after_s]
        return news + [self._end(key, now, cost) for key in ended]

    def speaks_of(self, now: float) -> set[tuple[str, str]]:
        """Pool and subject of the concerns that tell what an alarm tells: what began at this look, and each queue's.

        A concern of a queue begins with the first bad reading, the alarm is raised some readings later.
        """
        return {
            (pool, subject)
            for (name, pool, subject), (since, _) in self._first.items()
            if since == now or name in _OF_QUEUES
        }

    def _of(self, concern: Concern, now: float) -> News | None:
        told = self.told.get(concern.key)
        since, usd = self._first[concern.key] if told is None else (told.since, told.usd)
        if told is None:
            lasts = concern.severity is not Severity.CRITICAL or concern.name in _OF_DAEMON
            if now - since < (self.after_s if lasts else 0.0):
                return None
            change, worst = Change.BEGUN, concern.severity
        elif concern.severity.rank > told.severity.rank:
            change, worst = Change.WORSE, concern.severity
        elif abs(now - told.at) >= self.remind_s:
            change, worst = Change.LASTS, told.severity
        else:
            return None
        about = {"name": concern.name.value, "pool": concern.pool, "subject": concern.subject, "text": concern.text}
        self.told[concern.key] = Told(**about, severity=worst, since=since, at=now, usd=usd)
        severity = concern.severity
        return News(**about, change=change, severity=severity, at=now, since=since, command=concern.command)

    def _end(self, key: Key, now: float, cost: Cost) -> News:
        told, ended_at = self.told.pop(key), self._away.pop(key)
        usd = cost(told)
        text = f"after {format_duration(ended_at - told.since)}"
        if usd is not None and told.usd is not None and usd > told.usd:
            text += f", which cost {usd - told.usd:.2f} USD"
        return News(
            change=Change.ENDED,
            severity=told.severity,
            name=told.name,
            pool=told.pool,
            subject=told.subject,
            text=f"{text}: {told.text}",
            at=now,
            since=told.since,
        )


def news_of(entry: Entry) -> News | None:
    """What is told of a journal's entry: alarms, losses, operators' orders; None of all others."""
    severity = _EVENTS.get(entry.kind)
    if severity is None:
        return None
    return News(
        change=Change.ORDER if entry.kind is Kind.OPERATOR else Change.EVENT,
        severity=severity,
        name=entry.kind.value,
        pool=entry.pool,
        subject=entry.instance,
        text=entry.text,
        at=entry.at,
        since=entry.at,
    )


def newest(news: Iterable[News]) -> list[News]:
    """Of each thing the newest that there is to tell, in the order in which they were told first.

    What began and ended since is told as its end alone; what began and got worse, as one thing that began.
    """
    found: dict[Key, News] = {}
    for each in news:
        before = found.get(each.key)
        begun = before is not None and before.change is Change.BEGUN and each.change in (Change.WORSE, Change.LASTS)
        found[each.key] = replace(each, change=Change.BEGUN) if begun else each
    return list(found.values())
