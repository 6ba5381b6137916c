"""Messages: news put into a few lines, however much there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.core.units import format_duration
from autoscaler.core.words import one_line
from autoscaler.runtime.concerns import Severity
from autoscaler.telemetry.notify_news import Change, News

_MOST_LINES = 10
_MOST_ALIKE = 3
"""Lines of one name: of five hundred machines that are down, three are named."""
_MOST_NAMES = 3
_MOST_WIDE = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What goes out by one channel."""

    id: str
    """The same each time that it is tried."""
    fleet: str
    at: float
    """Epoch seconds."""
    severity: Severity
    """The worst of all."""
    title: str
    """One line of our own words: names of the fleet and of concerns, and numbers; no stranger's word is in it."""
    lines: tuple[str, ...]
    """Ten at most, each printable and on one line."""
    news: tuple[News, ...]
    """All of it."""

    @property
    def body(self) -> str:
        """The lines as a text."""
        return "\n".join(self.lines)


def compose(news: Sequence[News], *, id: str, fleet: str, at: float, dropped: int = 0) -> Message:  # noqa: A002 - as Message has it
    """One message; `dropped` counts what had to be left out before."""
    ranked = sorted(news, key=lambda each: (each.severity.rank, each.change is not Change.ENDED), reverse=True)
    worst = ranked[0].severity
    told = [each for each in ranked if each.change is not Change.ENDED]
    loudest = told[0].severity if told else None
    return Message(
        id=id,
        fleet=fleet,
        at=at,
        severity=worst,
        title=f"[{fleet}] {'resolved' if loudest is None else loudest}: {_counted(told or ranked)}",
        lines=(*_lines(ranked), *([f"{dropped} older ones were dropped"] if dropped else [])),
        news=tuple(ranked),
    )


def _counted(news: Sequence[News]) -> str:
    """The names, and how often each: `machine_down × 500, queue_unknown`."""
    names = Counter(each.name for each in news)
    shown = [name if count == 1 else f"{name} × {count}" for name, count in names.most_common(_MOST_NAMES)]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _lines(news: Sequence[News]) -> list[str]:
    alike: Counter[tuple[Change, str]] = Counter()
    shown: list[News] = []
    for each in news:
        alike[each.change, each.name] += 1
        if alike[each.change, each.name] <= _MOST_ALIKE:
            shown.append(each)
    lines = [line_of(each) for each in shown]
    if len(lines) == len(news) <= _MOST_LINES:
        return lines
    kept = shown[: _MOST_LINES - 2]
    left = Counter(each.name for each in news)
    left.subtract(each.name for each in kept)
    rest = ", ".join(f"{count} {name}" for name, count in left.most_common(_MOST_NAMES) if count)
    return [*lines[: len(kept)], f"and {len(news) - len(kept)} more: {rest}"]


def line_of(news: News) -> str:
    """One thing on one line."""
    lead = {
        Change.BEGUN: f"{news.severity}: ",
        Change.WORSE: f"now {news.severity}: ",
        Change.LASTS: f"still {news.severity}, for {format_duration(news.at - news.since)}: ",
        Change.ENDED: "resolved ",
        Change.EVENT: f"{news.severity}: ",
    }.get(news.change, "")
    return one_line(f"{lead}{news.text}", _MOST_WIDE) + (
        f" → {one_line(news.command, _MOST_WIDE)}" if news.command else ""
    )
