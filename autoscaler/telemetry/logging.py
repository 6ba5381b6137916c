"""What the daemon writes to standard error: one event a line, with a stable name."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from autoscaler.core.decision import Outcome, Result
from autoscaler.core.demand import Unknown
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.units import format_duration
from autoscaler.runtime.report import TickReport
from autoscaler.telemetry.redact import quiet_about, redact

Format = Literal["auto", "json", "console"]
Level = Literal["debug", "info", "warning", "error"]

_AGAIN_S, _AGAIN_MOST_S = 60.0, 3600.0
_WARNINGS = frozenset({Kind.HEALTH, Kind.DIAGNOSIS, Kind.NOTICE})


# --- how it is written ------------------------------------------------------------------------------------------------


def configure_logging(format: Format, level: Level, secrets: Iterable[str] = ()) -> None:  # noqa: A002 - the setting's own name
    """Send all events, ours and those of libraries, to standard error: `console` for people, `json` for programs.

    `auto` is `console` on a terminal, else `json`. Times are UTC in ISO 8601. These secrets are written in none of
    them, nor is what looks like one.
    """
    for_people = sys.stderr.isatty() if format == "auto" else format == "console"
    renderers: list[structlog.typing.Processor] = [_most_telling_first, structlog.processors.JSONRenderer()]
    if for_people:
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        renderers = [_one_headline, _printable, console]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.MaybeTimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _without(secrets),
            *renderers,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _without(secrets: Iterable[str]) -> structlog.typing.Processor:
    quiet = quiet_about(secrets)

    def without(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        cleaned: dict[str, Any] = redact(event, quiet)
        return cleaned

    return without


def _most_telling_first(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    first = {name: event[name] for name in ("timestamp", "level", "event", "text") if name in event}
    return {**first, **event}


def _one_headline(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An event that brings its own words needs no fields beside them."""
    if "text" not in event:
        return event
    return {
        "timestamp": event["timestamp"],
        "level": event["level"],
        "event": f"{event['event']:<10} {event['text']}",
    }


def _printable(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Texts of strangers may not move the cursor or pretend to be another line; only a traceback has several."""
    return {
        name: "\n".join(map(_escaped, value.split("\n"))) if name == "exception" else _escaped(str(value))
        for name, value in event.items()
    }


def _escaped(text: str) -> str:
    r"""A text in which whatever is not printed is written out, as in `\x1b` and `\u202e`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


# --- what is written --------------------------------------------------------------------------------------------------


class LogListener:
    """Writes what goes into the journal, and failures: when they begin, ever more seldom while they last, at the end.

    Events: the kinds of journal entries (`core.journal.Kind`), `tick_failed`, `tick_recovered`, `signal_lost`,
    `signal_back`. Each has a `text` for people and fields for programs. A quiet tick writes nothing.
    """

    def __init__(self) -> None:
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger("autoscaler")
        self._ticks = _Trouble()
        self._signals: dict[tuple[str, str], _Trouble] = {}

    def ticked(self, report: TickReport) -> None:
        """A tick ended well."""
        failed_for_s = self._ticks.over(report.at)
        if failed_for_s is not None:
            text = f"ticks again, after {format_duration(failed_for_s)} of failures"
            self._write(logging.INFO, "tick_recovered", report.at, text, failed_for_s=failed_for_s)
        signals = dict(_signals(report))
        self._signals = {source: self._signals.get(source, _Trouble()) for source in signals}
        for source, reason in signals.items():
            self._tell_signal(source, reason, report.at)

    def _tell_signal(self, source: tuple[str, str], reason: str | None, now: float) -> None:
        trouble = self._signals[source]
        kind, name = source
        about = f"the queue of {name}" if kind == "pool" else f"the list of machines at {name}"
        if reason is not None:
            if trouble.worth_telling(reason, now):
                text = f"{about} is unknown: {reason}"
                self._write(logging.WARNING, "signal_lost", now, text, reason=reason, **{kind: name})
            return
        lost_for_s = trouble.over(now)
        if lost_for_s is not None:
            text = f"{about} is known again, after {format_duration(lost_for_s)}"
            self._write(logging.INFO, "signal_back", now, text, lost_for_s=lost_for_s, **{kind: name})

    def failed(self, reason: str, now: float) -> None:
        """A tick could not be made, and nothing was done."""
        if self._ticks.worth_telling(reason, now):
            self._write(logging.ERROR, "tick_failed", now, f"nothing was done: {reason}", reason=reason)

    def noted(self, entry: Entry) -> None:
        """Something went into the journal."""
        fields = {name: getattr(entry, name) for name in ("pool", "instance", "action", "result", "hot", "warm")}
        present = {name: value for name, value in fields.items() if value not in ("", None)}
        if entry.why:
            present["why"] = [reason.rule for reason in entry.why]
        self._write(_level(entry), entry.kind.value, entry.at, entry.text, **present)

    def called(self, provider: str, outcome: Outcome) -> None:
        """The journal's entry tells of it."""

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        """The journal's entry tells of it."""

    def _write(self, level: int, event: str, at: float, text: str, **fields: Any) -> None:
        stamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._log.log(level, event, text=text, timestamp=stamp, **fields)


class _Trouble:
    """A failure that may last."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._told: dict[str, float] = {}
        """When each reason was last told."""

    def worth_telling(self, reason: str, now: float) -> bool:
        """It fails: whether that is news, which the same reason is after a minute, after twice as long, and so on."""
        if self._since is None:
            self._since = now
        self._told = {known: at for known, at in self._told.items() if now - at < self._pause_s(at)}
        if reason in self._told:
            return False
        self._told[reason] = now
        return True

    def _pause_s(self, told_at: float) -> float:
        lasted_s = 0.0 if self._since is None else told_at - self._since
        return min(max(lasted_s, _AGAIN_S), _AGAIN_MOST_S)

    def over(self, now: float) -> float | None:
        """It works: for how many seconds it had failed, or None if it had not."""
        since, self._since, self._told = self._since, None, {}
        return None if since is None else now - since


def _signals(report: TickReport) -> Iterator[tuple[tuple[str, str], str | None]]:
    """What a tick wanted to know, and why it does not where it does not."""
    for name, pool in report.pools.items():
        demand = pool.snapshot.demand
        yield ("pool", name), demand.reason if isinstance(demand, Unknown) else None
    for name, listing in report.listings.items():
        yield ("provider", name), listing.reason if isinstance(listing, Unknown) else None


def _level(entry: Entry) -> int:
    if entry.kind is Kind.ALARM:
        return logging.ERROR
    if entry.kind in _WARNINGS or (entry.kind is Kind.OUTCOME and entry.result != Result.OK):
        return logging.WARNING
    return logging.INFO
