"""An auditor: checks the books of a simulation from its files alone, and adds them up anew.

It shares no code with what wrote them. `python -m autoscaler.sim.audit DIR` prints what is wrong; exit code 1 if
anything is.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

_A_MILLISECOND = 0.0011
"""The files hold milliseconds; what is due at the same moment may differ by one."""
_A_CENT = 0.01

Span = tuple[float, float]


class _Job(NamedTuple):
    name: str
    tier: str
    arrived_s: float
    started_s: float | None
    finished_s: float | None
    instance: str

    @property
    def pool(self) -> str:
        return self.name.rpartition("-")[0]


class _Phase(NamedTuple):
    instance: str
    placement: str
    phase: str
    from_s: float
    to_s: float
    usd_per_hour: float


def audit(directory: Path) -> list[str]:
    """Everything that is wrong with the books in a directory, one line each; nothing when they are right.

    Raises:
        OSError: a file cannot be read.
    """
    jobs = [
        _Job(r["job"], r["tier"], float(r["arrived_s"]), _time(r["started_s"]), _time(r["finished_s"]), r["instance"])
        for r in _rows(directory / "jobs.csv")
    ]
    phases = [
        _Phase(
            r["instance"], r["placement"], r["phase"], float(r["from_s"]), float(r["to_s"]), float(r["usd_per_hour"])
        )
        for r in _rows(directory / "phases.csv")
    ]
    summary = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    return [
        *_wrong_machines(phases),
        *_wrong_jobs(jobs, phases, summary["slots"], summary["simulated_s"]),
        *_wrong_money(phases, summary),
        *_wrong_service(jobs, summary),
    ]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _time(text: str) -> float | None:
    return float(text) if text else None


def _wrong_machines(phases: Sequence[_Phase]) -> Iterator[str]:
    """A machine is in one phase at a time."""
    until: dict[str, float] = {}
    for phase in sorted(phases, key=lambda row: (row.instance, row.from_s)):
        if phase.to_s < phase.from_s:
            yield f"{phase.instance}: {phase.phase} ends at {phase.to_s} before it begins at {phase.from_s}"
        if phase.from_s < until.get(phase.instance, 0.0) - _A_MILLISECOND:
            yield f"{phase.instance}: {phase.phase} from {phase.from_s} overlaps the phase before"
        until[phase.instance] = phase.to_s


def _wrong_jobs(
    jobs: Sequence[_Job], phases: Sequence[_Phase], slots: Mapping[str, int], end_s: float
) -> Iterator[str]:
    """Every job lies within a HOT time of its machine, and no slot works on two."""
    hot = _hot_times(phases)
    at_work: dict[str, list[tuple[float, int]]] = defaultdict(list)
    slots_of: dict[str, int] = {}
    for job in jobs:
        if job.started_s is None:
            if job.finished_s is not None or job.instance:
                yield f"{job.name}: finished or placed without a start"
            continue
        finished_s = end_s if job.finished_s is None else job.finished_s
        if not job.arrived_s <= job.started_s <= finished_s:
            yield f"{job.name}: its times are out of order"
        if not any(
            start - _A_MILLISECOND <= job.started_s and finished_s <= end + _A_MILLISECOND
            for start, end in hot[job.instance]
        ):
            yield f"{job.name}: {job.started_s} to {finished_s} is outside every HOT time of {job.instance!r}"
        slots_of[job.instance] = slots[job.pool]
        at_work[job.instance] += [(job.started_s + _A_MILLISECOND, 1), (finished_s, -1)]
    for instance, changes in at_work.items():
        busy = most = 0
        for _, change in sorted(changes):
            busy += change
            most = max(most, busy)
        if most > slots_of[instance]:
            yield f"{instance}: {most} jobs at once on {slots_of[instance]} slots"


def _hot_times(phases: Sequence[_Phase]) -> Mapping[str, list[Span]]:
    """When each machine was HOT; times that touch are one, for a price may change in between."""
    times: dict[str, list[Span]] = defaultdict(list)
    for phase in sorted(phases, key=lambda row: row.from_s):
        if phase.phase != "hot":
            continue
        spans = times[phase.instance]
        if spans and phase.from_s - spans[-1][1] < _A_MILLISECOND:
            spans[-1] = (spans[-1][0], phase.to_s)
        else:
            spans.append((phase.from_s, phase.to_s))
    return times


def _wrong_money(phases: Sequence[_Phase], summary: Mapping[str, Any]) -> Iterator[str]:
    """Cost = Σ price × time, in all and by phase and placement."""
    by_phase: dict[str, float] = defaultdict(float)
    by_placement: dict[str, float] = defaultdict(float)
    for row in phases:
        usd = row.usd_per_hour * (row.to_s - row.from_s) / 3600
        by_phase[row.phase] += usd
        by_placement[row.placement] += usd
    found = [("in all", summary["usd"], sum(by_phase.values()))]
    found += [(name, summary["usd_by_phase"].get(name, 0.0), usd) for name, usd in by_phase.items()]
    found += [(name, summary["usd_by_placement"].get(name, 0.0), usd) for name, usd in by_placement.items()]
    for what, told, counted in found:
        if abs(told - counted) >= _A_CENT:
            yield f"cost {what}: the summary says {told:.4f} USD, the phases add up to {counted:.4f}"


def _wrong_service(jobs: Sequence[_Job], summary: Mapping[str, Any]) -> Iterator[str]:
    """Jobs, attainment and waits of each tier are those of the list of jobs."""
    by_tier: dict[tuple[str, str], list[_Job]] = defaultdict(list)
    for job in jobs:
        by_tier[job.pool, job.tier].append(job)
    for pool, tiers in summary["tiers"].items():
        for tier, told in tiers.items():
            mine = by_tier.pop((pool, tier), [])
            waits = sorted(round(job.started_s - job.arrived_s, 3) for job in mine if job.started_s is not None)
            counted = {
                "jobs": len(mine),
                "served": sum(job.finished_s is not None for job in mine),
                "attainment": sum(wait <= told["wait_target_s"] for wait in waits) / len(mine) if mine else None,
                "wait_mean_s": sum(waits) / len(waits) if waits else None,
                "wait_p95_s": waits[math.ceil(0.95 * len(waits)) - 1] if waits else None,
                "wait_max_s": waits[-1] if waits else None,
            }
            for what, value in counted.items():
                if not _same(told[what], value):
                    yield f"{pool}/{tier}: the summary says {what} {told[what]}, the jobs say {value}"
    for pool, tier in by_tier:
        yield f"{pool}/{tier}: in jobs.csv, but not in the summary"


def _same(told: float | None, counted: float | None) -> bool:
    if told is None or counted is None:
        return told is counted
    return math.isclose(told, counted, rel_tol=1e-9, abs_tol=1e-6)


if __name__ == "__main__":
    _problems = audit(Path(sys.argv[1]))
    sys.stdout.writelines(f"{problem}\n" for problem in _problems)
    sys.exit(1 if _problems else 0)
