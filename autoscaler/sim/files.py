"""The books of a simulation as files that anyone can check.

``jobs.csv``     job,tier,arrived_s,started_s,finished_s,instance (empty where it never happened)
``phases.csv``   instance,provider,placement,phase,from_s,to_s,usd_per_hour
``summary.json`` the figures, and what they were made with

Times are seconds since the simulation began, to the millisecond; the same simulation gives the same bytes.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from autoscaler.sim.books import PRICE_DIGITS, TIME_DIGITS, Books

JOBS, PHASES, SUMMARY, REPORT = "jobs.csv", "phases.csv", "summary.json", "report.html"
JOB_COLUMNS = ("job", "tier", "arrived_s", "started_s", "finished_s", "instance")
PHASE_COLUMNS = ("instance", "provider", "placement", "phase", "from_s", "to_s", "usd_per_hour")


def write_books(books: Books, summary: Mapping[str, Any], directory: Path) -> None:
    """Write all but the report; files of an earlier simulation are replaced, each whole or not at all.

    Raises:
        OSError: the directory cannot be made or written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _write_csv(directory / JOBS, JOB_COLUMNS, _job_rows(books))
    _write_csv(directory / PHASES, PHASE_COLUMNS, _phase_rows(books))
    replace_file(directory / SUMMARY, json.dumps(summary, indent=2) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Write a file, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    with _replacing(path) as file:
        file.write(text)


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A new file, which takes the place of the old one when all of it is written."""
    fresh = path.with_name(f".{path.name}.part")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as file:
            yield file
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with _replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _job_rows(books: Books) -> Iterable[tuple[object, ...]]:
    for pool, log, number in books.all_jobs():
        machine = log.machine[number]
        yield (
            f"{pool}-{number + 1}",
            log.tiers[log.tier[number]],
            _time(log.arrived_s[number]),
            _time(log.started_s[number]),
            _time(log.finished_s[number]),
            log.machines[machine] if machine >= 0 else "",
        )


def _phase_rows(books: Books) -> Iterable[tuple[object, ...]]:
    for row in books.phases:
        yield (*row[:4], _time(row.from_s), _time(row.to_s), f"{row.usd_per_hour:.{PRICE_DIGITS}f}")


def _time(seconds: float) -> str:
    return "" if math.isnan(seconds) else f"{seconds:.{TIME_DIGITS}f}"
