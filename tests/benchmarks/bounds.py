"""How long the clairvoyant bound takes on two weeks of real jobs, and how much it leaves open on the busiest day."""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from autoscaler.core.units import Span
from autoscaler.sim.bounds import Jobs, Promise, Terms, price_days, solve_day
from tests.benchmarks.figures import Figure

_TRACES = Path(os.environ.get("AUTOSCALER_TRACES") or Path(__file__).parents[2] / "../shared/traces")
_TRACE = _TRACES / "gentd26_early.csv.gz"
_HORIZON_S = 13 * 86400.0
_TARGETS_S = (30.0, 120.0, 300.0)
_LATE_SHARE = 0.05
_TARGET_S = 30.0
_TARGET_GAP_PERCENT = 2.0


def busy_day() -> Iterator[Figure]:
    """With a machine that always runs, and, which is harder, without; nothing where the trace is not there."""
    if not _TRACE.exists():
        return
    jobs = _jobs()
    promises = [Promise(wait_target_s=target, late_share=_LATE_SHARE) for target in _TARGETS_S]
    for hot in (Span(1, 6), Span(0, 6)):
        started = perf_counter()
        plan = price_days(jobs, _terms(hot), promises, horizon_s=_HORIZON_S)
        yield Figure(what=f"13 days priced, hot {hot}", value=perf_counter() - started, unit="s")
        busiest = max(plan.days, key=lambda day: len(day.jobs))
        bound = solve_day(busiest)
        what = f"busiest day, {len(busiest.jobs)} jobs, hot {hot}"
        yield Figure(what=f"{what}: solved in", value=bound.seconds, unit="s", target=_TARGET_S)
        yield Figure(what=f"{what}: gap", value=100.0 * bound.gap, unit="%", target=_TARGET_GAP_PERCENT)


def _jobs() -> Jobs:
    with gzip.open(_TRACE, "rt") as file:
        rows = list(csv.DictReader(file))
    return Jobs(
        arrived_s=[float(row["t_s"]) for row in rows],
        service_s=[float(row["exec_s"]) for row in rows],
        tier=[zlib.crc32(row["user"].encode()) % len(_TARGETS_S) for row in rows],
    )


def _terms(hot: Span) -> Terms:
    return Terms(
        slots=1,
        setup_s=1800.0,
        resume_s=120.0,
        usd_per_hour=0.4,
        disk_usd_per_hour=0.025,
        can_stop=True,
        hot=hot,
        warm=Span(0, 3),
    )
