"""Plain traces are written whole or not at all; the same jobs give the same bytes."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from autoscaler.core.errors import SettingsError
from autoscaler.sim.traces.job import TraceJob

_COLUMNS = TraceJob._fields


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a trace that was written holds."""

    jobs: int
    last_s: float
    """When its last job arrives; 0 if there is none."""


def write_plain(jobs: Iterable[TraceJob], path: Path, tells: Sequence[str]) -> Written:
    """Write a plain trace, compressed if its name ends with `.gz`.

    It has the columns `t_s` and `tells`; numbers to the microsecond, and an empty field where a job does not tell. It
    is written beside the path and renamed when it is complete.

    Raises:
        SettingsError: it cannot be written.
    """
    columns = [(at, name) for at, name in enumerate(_COLUMNS) if name == "t_s" or name in tells]
    count, last_s = 0, 0.0
    with _replacing(path) as text:
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(name for _, name in columns)
        for job in jobs:
            lines.writerow(_field(job[at]) for at, _ in columns)
            count, last_s = count + 1, job.t_s
    return Written(jobs=count, last_s=last_s)


def window(jobs: Iterable[TraceJob], from_s: float, until_s: float) -> Iterator[TraceJob]:
    """The jobs that arrive from one moment until before another; their time counts from the first of the two."""
    for job in takewhile(lambda job: job.t_s < until_s, jobs):
        if job.t_s >= from_s:
            yield job._replace(t_s=job.t_s - from_s) if from_s else job


def _field(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return value or ""


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A text file that takes the place of the path when it is complete, and leaves nothing behind if it fails."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with ExitStack() as opened:
            raw: BinaryIO = opened.enter_context(part.open("wb"))
            if path.suffix == ".gz":
                # Without a name and a time in it, the same jobs give the same bytes.
                raw = cast("BinaryIO", opened.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0)))
            yield opened.enter_context(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
        part.replace(path)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
