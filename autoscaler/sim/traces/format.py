"""What a format of traces is: how a file is known to have it, and how its rows become jobs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from autoscaler.core.errors import SettingsError
from autoscaler.sim.traces.job import TraceJob

MOST = 1e12
"""The greatest number that is taken for one: seconds since any epoch are less, milliseconds are more."""

_SHOWN = 40  # characters of a value
_LISTED = 10  # bad lines; the rest are counted


class BadLine(Exception):
    """What is wrong with a line: the column, its value, and what was expected."""


class BadLines:
    """The bad lines of a file: the first ten, and how many there are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: list[str] = []
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, line: int, why: BadLine) -> None:
        """One more."""
        self._count += 1
        if self._count <= _LISTED:
            self._told.append(f"{self._path}: line {line}: {why}")

    def complain(self) -> None:
        """Say what is wrong with the file, if anything is.

        Raises:
            SettingsError: lines are bad.
        """
        if self._count > _LISTED:
            self._told.append(f"{self._path}: {self._count:,} lines are bad; these were the first {_LISTED}")
        if self._told:
            raise SettingsError(*self._told)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSpeed:
    """How fast a model works off a request, in tokens per second."""

    prefill: float
    """Of the prompt."""
    decode: float
    """Of the output."""

    def service_s(self, prompt: float, output: float) -> float:
        """How long a request takes whose prompt and output have this many tokens."""
        return prompt / self.prefill + output / self.decode


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a user wants of a trace beyond what its format says."""

    tier_column: str | None = None
    """The column that names the tier; None: the format's own, if it has one."""
    speed: TokenSpeed | None = None
    """Makes service times of tokens."""
    seed: int = 1
    """For formats that tell rates, from which jobs are drawn."""


class RowReader(NamedTuple):
    """Makes jobs of the rows of one pass over a file."""

    jobs_of: Callable[[list[str]], Sequence[TraceJob]]
    """The jobs of one row, in order of time. Raises BadLine."""
    tells: tuple[str, ...]
    """Which fields of its jobs it fills, besides `t_s`."""


class Format(Protocol):
    """One format of traces."""

    @property
    def name(self) -> str:
        """What a user calls it."""
        ...

    @property
    def about(self) -> str:
        """Whose it is, in a few words."""
        ...

    @property
    def has_header(self) -> bool:
        """Whether the first row names the columns."""
        ...

    def lacks(self, first: Sequence[str]) -> str:
        """What a file with this first row lacks to be of this format; empty if nothing."""
        ...

    def reader(self, first: Sequence[str], reading: Reading) -> RowReader:
        """A reader for a file with this first row.

        Raises:
            SettingsError: the file does not have what is asked of it.
        """
        ...


def number(text: str, column: str, expected: str) -> float:
    """A number from 0 to `MOST`.

    Raises:
        BadLine: it is something else.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if 0.0 <= value <= MOST:
        return value
    raise bad_value(column, text, f"expected {expected}")


def bad_value(column: str, text: str, why: str) -> BadLine:
    """What is wrong with a value, with as much of it as fits on a line."""
    return BadLine(f"{column}: {brief(text, _SHOWN)} - {why}")


def brief(text: str, most: int) -> str:
    """Text fit to be shown: at most so many characters, nothing that a terminal would act upon."""
    shown = text if text.isprintable() and text.strip() == text != "" else repr(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
