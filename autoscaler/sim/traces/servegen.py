"""Traces of ServeGen, which tell rates: jobs are drawn that have them.

A file has no header. Each row is a window of ten minutes: its start in seconds, jobs per second, coefficient of
variation of the gaps between them, the law fitted to the gaps, and the law's shape and scale; an idle window has rate 0
and no law. The layout was read in `data/language/m-mid/chunk-64-trace.csv` and `m-large/chunk-0-trace.csv` of
alibaba/ServeGen, and the meaning of its fields in `servegen/clientpool.py` there; windows of ten minutes are those of
Xiang et al., "ServeGen: Workload Characterization and Generation of Large Language Model Serving in Production"
(NSDI 2026).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate
from random import Random

from autoscaler.core.errors import SettingsError
from autoscaler.runtime.entropy import seeded
from autoscaler.sim.traces.format import BadLine, Reading, RowReader, bad_value, number
from autoscaler.sim.traces.job import TraceJob

_WINDOW_S = 600.0
_FIELDS = 6
_LAWS = ("Gamma", "Weibull")
_LEAST_SHAPE = 0.01  # with less, a Weibull gap may be greater than any float


class ServeGen:
    """The number of jobs in each window is that of the file; where in the window they lie is drawn.

    Gaps are drawn from the window's law and stretched together to fill the window, so the scale of the law has no
    effect, and its shape alone says how jobs cluster.
    """

    name = "servegen"
    about = "ServeGen, chunk-N-trace.csv; each window has as many jobs as it had, at moments drawn"
    has_header = False

    def lacks(self, first: Sequence[str]) -> str:
        """What keeps a file with this first row from being one of ServeGen."""
        with suppress(ValueError):
            if len(first) == _FIELDS and float(first[0]) >= 0.0 and first[3] in (*_LAWS, ""):
                return ""
        return "its first line is not START,RATE,CV,LAW,SHAPE,SCALE"

    def reader(self, first: Sequence[str], reading: Reading) -> RowReader:  # noqa: ARG002 - every file has the same columns
        """A reader that draws the same jobs for the same seed.

        Raises:
            SettingsError: tiers or service times are asked for.
        """
        if reading.tier_column is not None:
            raise SettingsError(f"no column {reading.tier_column} that could name the tier; {self.name} has none")
        if reading.speed is not None:
            raise SettingsError("no columns of tokens from which service times could be made")
        rng = seeded(reading.seed)
        above = -math.inf

        def jobs_of(row: list[str]) -> Sequence[TraceJob]:
            nonlocal above
            if len(row) != _FIELDS:
                raise BadLine(f"{len(row)} fields - expected {_FIELDS}: START,RATE,CV,LAW,SHAPE,SCALE")
            start = number(row[0], "start", "a number of seconds from 0 on")
            before, above = above, start
            if start < before + _WINDOW_S:
                raise bad_value("start", row[0], f"expected windows of {_WINDOW_S:g} s in order of time")
            jobs = round(number(row[1], "rate", "jobs per second, 0 or more") * _WINDOW_S)
            return [TraceJob(t_s, None, None, None) for t_s in _arrivals(start, jobs, row, rng)] if jobs else ()

        return RowReader(jobs_of, ())


def _arrivals(start: float, jobs: int, row: list[str], rng: Random) -> list[float]:
    law, shape = row[3], number(row[4], "shape", "a number, 0.01 or more")
    if shape < _LEAST_SHAPE:
        raise bad_value("shape", row[4], "expected a number, 0.01 or more")
    match law:
        case "Gamma":
            gaps = [rng.gammavariate(shape, 1.0) for _ in range(jobs + 1)]
        case "Weibull":
            gaps = [rng.weibullvariate(1.0, shape) for _ in range(jobs + 1)]
        case _:
            raise bad_value("law", law, f"expected {' or '.join(_LAWS)}")
    stretch = _WINDOW_S / (sum(gaps) or 1.0)
    return [round(start + sum_of_gaps * stretch, 6) for sum_of_gaps in accumulate(gaps[:-1])]
