"""Formats with a header and a row for each job."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from autoscaler.core.errors import SettingsError
from autoscaler.sim.traces.format import MOST, BadLine, Reading, RowReader, bad_value, brief, number
from autoscaler.sim.traces.job import TraceJob

_SECONDS = f"a number of seconds from 0 to {MOST:g}"
_TOKENS = f"a number of tokens from 0 to {MOST:g}"
_SHOWN = 100  # characters of a header
_MICROSECONDS = 6  # decimal places

Cell = Callable[[list[str]], float | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A format whose columns are these. Others are ignored; of several names, the first that a file has counts."""

    name: str
    about: str
    known_by: tuple[str, ...]
    """The columns that make a file one of this format; the arrival comes first."""
    clock: Callable[[str], float] = float
    """Seconds of what the arrival column says; raises ValueError."""
    clock_expected: str = _SECONDS
    from_first: bool = True
    """Arrivals count from the first job, not from the clock's zero."""
    tier: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    """Seconds."""
    model: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    """Of the prompt, and of the output."""

    @property
    def has_header(self) -> bool:
        """It does."""
        return True

    def lacks(self, first: Sequence[str]) -> str:
        """The columns that a file with this header lacks."""
        missing = [column for column in self.known_by if column not in first]
        return f"no column {', '.join(missing)} in the header ({brief(', '.join(first), _SHOWN)})" if missing else ""

    def reader(self, first: Sequence[str], reading: Reading) -> RowReader:
        """A reader for a file with this header.

        Raises:
            SettingsError: a column is asked for that the file does not have, or has twice.
        """
        columns = _Columns(first)
        tier = columns.at(self._tier(columns, reading))
        model = columns.at(columns.first_of(self.model))
        service = self._service(columns, reading)
        arrival = self._arrival(columns)
        width = len(first)

        def jobs_of(row: list[str]) -> Sequence[TraceJob]:
            if len(row) != width:
                raise BadLine(f"{len(row)} {'field' if len(row) == 1 else 'fields'} - expected {width}, as in line 1")
            return (
                TraceJob(
                    arrival(row),
                    None if tier is None else row[tier].strip() or None,
                    None if service is None else service(row),
                    None if model is None else row[model].strip() or None,
                ),
            )

        told = {"tier": tier, "service_s": service, "model": model}
        return RowReader(jobs_of, tuple(name for name, source in told.items() if source is not None))

    def _tier(self, columns: _Columns, reading: Reading) -> str | None:
        wanted = reading.tier_column
        if wanted is None or wanted in columns.names:
            return wanted or columns.first_of(self.tier)
        raise SettingsError(f"no column {wanted} that could name the tier; {suggest(wanted, columns.names)}")

    def _arrival(self, columns: _Columns) -> Callable[[list[str]], float]:
        column, clock, expected = self.known_by[0], self.clock, self.clock_expected
        at = columns.index(column)
        above = zero = None if self.from_first else 0.0
        said = ""

        def arrival(row: list[str]) -> float:
            nonlocal above, zero, said
            text = row[at]
            try:
                t_s = clock(text)
            except ValueError:
                t_s = math.nan
            if not 0.0 <= t_s <= MOST:
                raise bad_value(column, text, f"expected {expected}")
            if above is None or zero is None:
                above = zero = t_s
            before, above, said_above, said = above, t_s, said, text
            if t_s < before:
                raise bad_value(
                    column, text, f"earlier than the line above ({said_above.strip()}); expected lines in order of time"
                )
            return round(t_s - zero, _MICROSECONDS) if zero else t_s

        return arrival

    def _service(self, columns: _Columns, reading: Reading) -> Cell | None:
        if reading.speed is None:
            column = columns.first_of(self.service)
            return None if column is None else columns.optional(column, _SECONDS)
        if not self.tokens or not set(self.tokens) <= set(columns.names):
            raise SettingsError("no columns of tokens from which service times could be made")
        prompt, output = (columns.optional(column, _TOKENS) for column in self.tokens)
        speed = reading.speed

        def service(row: list[str]) -> float | None:
            tokens_in, tokens_out = prompt(row), output(row)
            return None if tokens_in is None or tokens_out is None else speed.service_s(tokens_in, tokens_out)

        return service


class _Columns:
    """The columns of one file."""

    def __init__(self, header: Sequence[str]) -> None:
        self.names = header

    def first_of(self, names: Sequence[str]) -> str | None:
        """The first of these names that the file has."""
        return next((name for name in names if name in self.names), None)

    def index(self, name: str) -> int:
        if self.names.count(name) > 1:
            raise SettingsError(f"two columns have the name {name}")
        return self.names.index(name)

    def at(self, name: str | None) -> int | None:
        return None if name is None else self.index(name)

    def optional(self, name: str, expected: str) -> Cell:
        """Reads a number, or None where the field is empty."""
        at = self.index(name)

        def cell(row: list[str]) -> float | None:
            text = row[at]
            return number(text, name, expected) if text else None

        return cell


def suggest(word: str, known: Sequence[str]) -> str:
    """`did you mean tier?`, or all that is known."""
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"expected one of {brief(', '.join(known), _SHOWN)}"
