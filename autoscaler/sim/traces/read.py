"""Traces are read as streams: memory does not grow with the file, and every value is checked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from autoscaler.core.errors import SettingsError
from autoscaler.sim.traces.file import Watch, open_rows, size_of, unwatched
from autoscaler.sim.traces.format import BadLine, BadLines, Format, Reading, RowReader, brief
from autoscaler.sim.traces.formats import FORMATS, PLAIN
from autoscaler.sim.traces.job import TraceJob

_SHOWN = 40  # characters of the name of a column
_TIME_LIKE = re.compile("^t_?s?$|time|arriv", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """A trace whose first line has been read. It can be read through any number of times."""

    path: Path
    size: int
    """Bytes, as it is on disk."""
    format: Format
    first: Sequence[str]
    reading: Reading

    def __post_init__(self) -> None:
        """Hold that the file has what is asked of it.

        Raises:
            SettingsError: it has not.
        """
        self._reader()

    @property
    def tells(self) -> tuple[str, ...]:
        """Which fields of its jobs it fills, besides `t_s`."""
        return self._reader().tells

    def jobs(self, watch: Watch = unwatched) -> Iterator[TraceJob]:
        """Its jobs in order of time.

        After the first bad line no job is given any more, and the rest is read only to be checked.

        Raises:
            SettingsError: the file cannot be read to its end, or lines are bad: the first ten, and how many there are.
        """
        jobs_of = self._reader().jobs_of
        bad = BadLines(self.path)
        with open_rows(self.path, watch) as rows:
            if self.format.has_header:
                next(rows, None)
            for row in rows:
                if not row:
                    continue
                try:
                    jobs = jobs_of(row)
                except BadLine as why:
                    bad.add(rows.line_num, why)
                else:
                    if not bad:
                        yield from jobs
        bad.complain()

    def _reader(self) -> RowReader:
        try:
            return self.format.reader(self.first, self.reading)
        except SettingsError as error:
            raise SettingsError(f"{self.path}: {error}") from error


def open_trace(path: Path, *, format_name: str | None = None, reading: Reading | None = None) -> Trace:
    """Read the first line of a trace, and tell its format by it unless the format is given.

    Raises:
        SettingsError: the file cannot be read, is empty, has no format that is known or not this one, or lacks what is
            asked of it.
    """
    size = size_of(path)
    with open_rows(path) as rows:
        first = [field.strip() for field in next(rows, [])]
    if not first:
        raise SettingsError(
            f"{path}: " + ("the first line is empty; expected a header" if size else "the file is empty")
        )
    chosen = _format_of(path, first) if format_name is None else FORMATS[format_name]
    if problem := chosen.lacks(first):
        raise SettingsError(f"{path}: not of the format {chosen.name}: {problem}")
    return Trace(path=path, size=size, format=chosen, first=first, reading=reading or Reading())


def read_trace(path: Path, *, tier_column: str | None = None) -> Iterator[TraceJob]:
    """The jobs of a plain trace in order of time; `tier_column` names the column of tiers, if it is not `tier`.

    The first line is read at once, the others as they are asked for.

    Raises:
        SettingsError: at once, the file cannot be read, is empty or is not a plain trace; later, lines are bad: the
            first ten, and how many there are.
    """
    trace = open_trace(path)
    if trace.format is not PLAIN:
        convert = f"autoscaler trace convert {quote(str(path))} OUT.csv.gz"
        raise SettingsError(f"{path}: this is a trace of the format {trace.format.name}; convert it with: {convert}")
    return replace(trace, reading=Reading(tier_column=tier_column)).jobs()


def _format_of(path: Path, first: Sequence[str]) -> Format:
    for each in FORMATS.values():
        if not each.lacks(first):
            return each
    if "\0" in first[0]:
        raise SettingsError(f"{path}: not a text file; an archive must be unpacked first")
    with suppress(ValueError):
        float(first[0])
        raise SettingsError(f"{path}: no header: the first line begins with a number; expected names, among them t_s")
    like = [name for name in first if _TIME_LIKE.search(name)]
    hint = f"; did you mean {brief(like[0], _SHOWN)}? It must be in seconds since the start" if like else ""
    raise SettingsError(f"{path}: {PLAIN.lacks(first)}{hint}")
