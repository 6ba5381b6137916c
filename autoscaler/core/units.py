"""The units a settings file is written in: durations as ``30s``, counts as ``1..6``, names.

Inside, a duration is a ``float`` of seconds and a price a ``float`` of USD per hour.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

_SECONDS_PER = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?")


def parse_duration(text: object) -> float:
    """Seconds of a duration such as ``90s``, ``2m``, ``1h30m`` or ``24h``.

    Raises:
        ValueError: the text is no duration; a bare number has no unit and is refused.
    """
    if isinstance(text, str):
        parts = _PART.findall(text)
        if parts and "".join(number + unit for number, unit in parts) == text.replace(" ", ""):
            return sum(float(number) * _SECONDS_PER[unit] for number, unit in parts)
    raise ValueError("expected a duration with its unit, such as 30s, 2m or 24h")


def plain_number(number: float) -> str:
    """A number as settings write it: without an exponent, every digit kept."""
    return f"{Decimal(repr(number)).normalize():f}"


def format_duration(seconds: float) -> str:
    """A duration as a person would say it: ``45s``, ``2m 30s``, ``1h 05m``, ``3d 4h``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes}m {rest:02}s" if rest else f"{minutes}m"
    if whole < 86400:
        hours, rest = divmod(whole // 60, 60)
        return f"{hours}h {rest:02}m" if rest else f"{hours}h"
    days, rest = divmod(whole // 3600, 24)
    return f"{days}d {rest}h" if rest else f"{days}d"


@dataclass(frozen=True, slots=True)
class Span:
    """A lower and an upper bound on a number of machines, both included; written ``1..6``."""

    low: int
    high: int

    def clamp(self, value: int) -> int:
        """The number nearest to ``value`` that lies within the bounds."""
        return max(self.low, min(self.high, value))

    def __str__(self) -> str:
        return f"{self.low}..{self.high}"


def parse_span(value: object) -> Span:
    """A span written ``1..6``, or ``3`` for exactly three.

    Raises:
        ValueError: not of that form, negative, or the lower bound exceeds the upper.
    """
    if isinstance(value, Span):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", value.replace(" ", "")) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a range such as 1..6, or one number for exactly that many")
    low, high = int(match[1]), int(match[2] or match[1])
    if low > high:
        raise ValueError(f"the lower bound {low} exceeds the upper bound {high}; expected LOW..HIGH such as 1..6")
    return Span(low, high)


def parse_name(value: object) -> str:
    """A name fit for a machine's label: lower case letters, digits and dashes, at most 24 characters.

    Raises:
        ValueError: anything else.
    """
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ValueError("expected a name of lower case letters, digits and dashes, at most 24 characters")


@dataclass(frozen=True, slots=True)
class Written:
    """Says how a setting is written in a file.

    The two dunder methods are what pydantic asks of an annotation; they build plain dictionaries, so that the core
    needs no pydantic.
    """

    parse: Callable[[object], Any]
    example: str
    listed: bool = False
    """A list of texts will do, too."""

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> dict[str, Any]:
        return {"type": "function-plain", "function": {"type": "no-info", "function": self.parse}}

    def __get_pydantic_json_schema__(self, _schema: object, _handler: object) -> dict[str, Any]:
        if self.listed:
            return {"type": ["string", "array"], "items": {"type": "string"}, "examples": [self.example]}
        return {"type": ["string", "integer"], "examples": [self.example]}


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Says how short a duration may be, and why; stands behind `Seconds`."""

    seconds: float
    expected: str

    def check(self, seconds: float) -> float:
        """The same duration.

        Raises:
            ValueError: it is shorter.
        """
        if seconds < self.seconds:
            raise ValueError(f"expected {self.expected}")
        return seconds

    def __get_pydantic_core_schema__(self, source: object, handler: Callable[[object], Any]) -> dict[str, Any]:
        after = {"type": "no-info", "function": self.check}
        return {"type": "function-after", "function": after, "schema": handler(source)}


Seconds = Annotated[float, Written(parse_duration, "30s")]
Count = Annotated[Span, Written(parse_span, "1..6")]
Name = Annotated[str, Written(parse_name, "images")]


@dataclass(frozen=True, slots=True)
class DurationRange:
    """Durations in seconds to draw from: a range, ends included, or measured; ``30m..60m`` or ``[95s, 2m, 400s]``."""

    low: float
    high: float
    between: tuple[float, ...] = ()
    """Measurements between the shortest and the longest, in rising order."""

    @property
    def points(self) -> tuple[float, ...]:
        """The shortest, those between, the longest."""
        return (self.low, *self.between, self.high)

    @property
    def mean(self) -> float:
        """The mean of what is drawn: of each two neighbours the middle, each pair as likely as any other."""
        return (self.low / 2 + sum(self.between) + self.high / 2) / (len(self.between) + 1)

    def at(self, fraction: float) -> float:
        """The duration that lies at this fraction of the way: 0 is the shortest, 1 the longest.

        The quantile function of measurements, interpolated (Hyndman and Fan, 1996, type 7): with x[0] ≤ … ≤ x[n],
        h = n × fraction and k = min(⌊h⌋, n − 1), it is x[k] + (x[k + 1] − x[k]) × (h − k). A range is the two that it
        lies between: drawn evenly.
        """
        points = self.points
        place = (len(points) - 1) * fraction
        below = min(int(place), len(points) - 2)
        return points[below] + (points[below + 1] - points[below]) * (place - below)


def parse_duration_range(value: object) -> DurationRange:
    """A range of durations written ``30m..60m``, ``5m`` for exactly that long, or a list of measured ones in any order.

    Raises:
        ValueError: not of that form, or the shortest exceeds the longest.
    """
    if isinstance(value, DurationRange):
        return value
    if isinstance(value, list | tuple):
        return _measured(value)
    bounds = value.split("..") if isinstance(value, str) else []
    try:
        durations = [parse_duration(bound.strip()) for bound in bounds]
    except ValueError:
        durations = []
    if len(durations) not in (1, 2):
        raise ValueError(
            "expected a range of durations such as 30m..60m, one duration for exactly that, "
            "or measured ones such as [95s, 2m, 400s]"
        )
    low, high = durations[0], durations[-1]
    if low > high:
        raise ValueError(f"{bounds[0]} exceeds {bounds[1]}; expected SHORTEST..LONGEST such as 30m..60m")
    return DurationRange(low, high)


def _measured(written: Sequence[object]) -> DurationRange:
    durations = []
    for number, each in enumerate(written, start=1):
        try:
            durations.append(parse_duration(each))
        except ValueError as error:
            raise ValueError(f"measurement {number} is {each}; {error}") from error
    if not durations:
        raise ValueError("expected at least one measured duration, such as [95s, 2m, 400s]")
    low, *between = sorted(durations)
    return DurationRange(low, between.pop() if between else low, tuple(between))


SecondsRange = Annotated[DurationRange, Written(parse_duration_range, "30m..60m", listed=True)]


class Secret:
    """A key or a password. Printed, logged or written as JSON it is ``***``; only `reveal` gives it away.

    Pickled, it is the mask alone: no other process needs it, and a file would keep it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (repr(self),)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _copied: object) -> Secret:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    @classmethod
    def parse(cls, value: object) -> Secret:
        """A secret of non-empty text; space around it is none of it, such as the line break at the end of a file.

        Raises:
            ValueError: anything else. The message does not repeat it.
        """
        if isinstance(value, Secret):
            return value
        if isinstance(value, str) and (stripped := value.strip()):
            return cls(stripped)
        raise ValueError("expected a secret that is not empty, such as ${API_KEY}")

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> dict[str, Any]:
        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": cls.parse},
            "serialization": {"type": "to-string"},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: object, _handler: object) -> dict[str, Any]:
        return {"type": "string", "format": "password", "examples": ["${API_KEY}"]}
