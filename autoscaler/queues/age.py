"""When a job was enqueued, and how old it is: units, impossible values, clocks that differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from autoscaler.core.demand import AgeSource
from autoscaler.queues.caution import Caution

NumberUnit = Literal["s", "ms", "us", "ns"]
Unit = Literal["auto", "s", "ms", "us", "ns", "iso8601"]

PER_SECOND: dict[NumberUnit, float] = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}

_TOLERATED_SKEW_S = 5.0
_ABSURD_FUTURE_S = 86400.0
_ABSURD_PAST_S = 10 * 365 * 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Age:
    """The age of the job next in line."""

    enqueued_at: float | None = None
    """Epoch seconds."""
    wait_s: float | None = None
    source: AgeSource = AgeSource.NONE
    cautions: frozenset[Caution] = frozenset()


UNKNOWN_AGE = Age()


def unreadable(caution: Caution = Caution.AGE_UNREADABLE) -> Age:
    """An age that should have been there."""
    return Age(cautions=frozenset({caution}))


def age_since(enqueued_at: float, now: float, source: AgeSource) -> Age:
    """The age of a job enqueued at that time; 0 for one from the future, unknown for an absurd time."""
    wait = now - enqueued_at
    if not -_ABSURD_FUTURE_S <= wait <= _ABSURD_PAST_S:
        return unreadable(Caution.ABSURD_TIMESTAMP)
    skewed = frozenset({Caution.CLOCK_SKEW}) if wait < -_TOLERATED_SKEW_S else frozenset()
    return Age(enqueued_at=enqueued_at, wait_s=max(0.0, wait), source=source, cautions=skewed)


def epoch_seconds(value: object, unit: Unit) -> float | None:
    """Epoch seconds of a timestamp as producers write them, or None where it is none.

    `auto` takes text such as ``2026-11-21T03:09:09Z`` as ISO 8601 (UTC where it names no zone), and tells the unit of
    a number by its size: this century's seconds lie below 1e11, milliseconds below 1e14, microseconds below 1e17.
    """
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    if unit == "iso8601":
        return _parse_iso8601(text)
    number = parse_number(text)
    if number is None:
        return _parse_iso8601(text) if unit == "auto" else None
    return number / PER_SECOND[_unit_of(number) if unit == "auto" else unit]


def parse_number(value: object) -> float | None:
    """A finite number, given as such or as text, or None."""
    if not isinstance(value, (int, float, str, bytes)) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _unit_of(number: float) -> NumberUnit:
    limits: tuple[tuple[float, NumberUnit], ...] = ((1e11, "s"), (1e14, "ms"), (1e17, "us"))
    return next((unit for limit, unit in limits if abs(number) < limit), "ns")


def _parse_iso8601(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
