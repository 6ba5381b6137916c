"""An auditor: checks the books of a simulation from its files alone, and adds them up anew.

It shares no code with what wrote them. `python -m autoscaler.sim.audit DIR` prints what is wrong; exit code 1 if
anything is.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

_WAITS = {"wait_p50_s": 0.50, "wait_p95_s": 0.95, "wait_p99_s": 0.99, "wait_max_s": 1.0}

Span = tuple[float, float]
T = TypeVar("T")


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
        ValueError: a file is not of its form.
    """
    jobs = list(_rows(directory / "jobs.csv", _job))
    phases = list(_rows(directory / "phases.csv", _phase))
    path = directory / "summary.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        return [
            *_wrong_machines(phases, summary["simulated_s"]),
            *_wrong_jobs(jobs, phases, summary["simulated_s"]),
            *_wrong_slots(jobs, summary["slots"], summary["simulated_s"]),
            *_wrong_sums(phases, summary),
            *_wrong_service(jobs, summary),
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not of the form expected: {error!r}") from error


def _rows(path: Path, read: Callable[[Mapping[str, str]], T]) -> Iterator[T]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        for row in rows:
            try:
                yield read(row)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}: line {rows.line_num}: not of the form expected: {error!r}") from error


def _job(row: Mapping[str, str]) -> _Job:
    return _Job(
        name=row["job"],
        tier=row["tier"],
        arrived_s=float(row["arrived_s"]),
        started_s=_time(row["started_s"]),
        finished_s=_time(row["finished_s"]),
        instance=row["instance"],
    )


def _phase(row: Mapping[str, str]) -> _Phase:
    return _Phase(
        instance=row["instance"],
        placement=row["placement"],
        phase=row["phase"],
        from_s=float(row["from_s"]),
        to_s=float(row["to_s"]),
        usd_per_hour=float(row["usd_per_hour"]),
    )


def _time(text: str) -> float | None:
    return float(text) if text else None


def _wrong_machines(phases: Sequence[_Phase], end_s: float) -> Iterator[str]:
    """A machine is in one phase at a time, within the simulation."""
    until: dict[str, float] = {}
    for phase in sorted(phases, key=lambda row: (row.instance, row.from_s, row.to_s)):
        if phase.to_s < phase.from_s:
            yield f"{phase.instance}: {phase.phase} ends at {phase.to_s} before it begins at {phase.from_s}"
        if phase.from_s < until.get(phase.instance, 0.0):
            yield f"{phase.instance}: {phase.phase} from {phase.from_s} overlaps what was before"
        if phase.to_s > round(end_s, 3):
            yield f"{phase.instance}: {phase.phase} to {phase.to_s} lasts longer than the simulation"
        until[phase.instance] = phase.to_s


def _wrong_jobs(jobs: Sequence[_Job], phases: Sequence[_Phase], end_s: float) -> Iterator[str]:
    """Every job is there once, and is worked on in a HOT time of its machine or not at all."""
    yield from (
        f"{name}: {count} times in jobs.csv" for name, count in Counter(j.name for j in jobs).items() if count > 1
    )
    hot = _hot_times(phases)
    for job in jobs:
        if job.started_s is None:
            if job.finished_s is not None or job.instance:
                yield f"{job.name}: finished or placed without a start"
            continue
        finished_s = end_s if job.finished_s is None else job.finished_s
        if not job.arrived_s <= job.started_s <= finished_s:
            yield f"{job.name}: its times are out of order"
        if not any(start <= job.started_s and finished_s <= end for start, end in hot[job.instance]):
            yield f"{job.name}: {job.started_s} to {finished_s} is outside every HOT time of {job.instance!r}"


def _hot_times(phases: Sequence[_Phase]) -> Mapping[str, list[Span]]:
    """When each machine was HOT; times that touch are one, for a price may change in between."""
    times: dict[str, list[Span]] = defaultdict(list)
    for phase in sorted(phases, key=lambda row: row.from_s):
        if phase.phase != "hot":
            continue
        spans = times[phase.instance]
        if spans and phase.from_s == spans[-1][1]:
            spans[-1] = (spans[-1][0], phase.to_s)
        else:
            spans.append((phase.from_s, phase.to_s))
    return times


def _wrong_slots(jobs: Sequence[_Job], slots: Mapping[str, int], end_s: float) -> Iterator[str]:
    """No machine works on more jobs at once than it has slots, nor on those of two pools."""
    changes: dict[str, list[tuple[float, int]]] = defaultdict(list)
    pools: dict[str, str] = {}
    for job in jobs:
        if job.started_s is None:
            continue
        if pools.setdefault(job.instance, job.pool) != job.pool:
            yield f"{job.name}: on {job.instance}, which works for {pools[job.instance]}"
        finished_s = end_s if job.finished_s is None else job.finished_s
        changes[job.instance] += [(job.started_s, 1), (finished_s, -1)]
    for instance, moments in changes.items():
        busy = most = 0
        for _, change in sorted(moments):
            busy += change
            most = max(most, busy)
        if most > slots.get(pools[instance], 0):
            yield f"{instance}: {most} jobs at once on {slots.get(pools[instance], 0)} slots"


def _wrong_sums(phases: Sequence[_Phase], summary: Mapping[str, Any]) -> Iterator[str]:
    """Cost = Σ price × time, in all and by phase and placement; hours likewise."""
    usd_by_phase: dict[str, float] = defaultdict(float)
    usd_by_placement: dict[str, float] = defaultdict(float)
    hours_by_phase: dict[str, float] = defaultdict(float)
    for row in phases:
        hours = (row.to_s - row.from_s) / 3600
        usd_by_phase[row.phase] += row.usd_per_hour * hours
        usd_by_placement[row.placement] += row.usd_per_hour * hours
        hours_by_phase[row.phase] += hours
    sums: list[tuple[str, Mapping[str, float], Mapping[str, float]]] = [
        ("cost", {"in all": summary["usd"]}, {"in all": sum(usd_by_phase.values())}),
        ("cost of", summary["usd_by_phase"], usd_by_phase),
        ("cost of", summary["usd_by_placement"], usd_by_placement),
        ("hours of", summary["hours_by_phase"], hours_by_phase),
    ]
    for what, told, counted in sums:
        for part in sorted(told.keys() | counted.keys()):
            if not _same(told.get(part, 0.0), counted.get(part, 0.0)):
                yield (
                    f"{what} {part}: the summary says {told.get(part, 0.0):.6f}, the phases add up to"
                    f" {counted.get(part, 0.0):.6f}"
                )


def _wrong_service(jobs: Sequence[_Job], summary: Mapping[str, Any]) -> Iterator[str]:
    """Jobs, attainment and waits of each tier are those of the list of jobs."""
    by_tier: dict[tuple[str, str], list[_Job]] = defaultdict(list)
    for job in jobs:
        by_tier[job.pool, job.tier].append(job)
    for pool, tiers in summary["tiers"].items():
        for tier, told in tiers.items():
            for what, value in _service(by_tier.pop((pool, tier), []), told["wait_target_s"]).items():
                if not _same(told[what], value):
                    yield f"{pool}/{tier}: the summary says {what} {told[what]}, the jobs say {value}"
    for pool, tier in by_tier:
        yield f"{pool}/{tier}: in jobs.csv, but not in the summary"
    unserved = sum(job.finished_s is None for job in jobs)
    if summary["unserved_jobs"] != unserved:
        yield f"the summary says {summary['unserved_jobs']} jobs were not served, the jobs say {unserved}"


def _service(jobs: Sequence[_Job], target_s: float) -> dict[str, float | None]:
    """What the summary has to say of a tier's jobs."""
    waits = sorted(round(job.started_s - job.arrived_s, 3) for job in jobs if job.started_s is not None)
    return {
        "jobs": len(jobs),
        "served": sum(job.finished_s is not None for job in jobs),
        "attainment": sum(wait <= target_s for wait in waits) / len(jobs) if jobs else None,
        "wait_mean_s": sum(waits) / len(waits) if waits else None,
        **{name: waits[max(1, math.ceil(share * len(waits))) - 1] if waits else None for name, share in _WAITS.items()},
    }


def _same(told: float | None, counted: float | None) -> bool:
    if told is None or counted is None:
        return told is counted
    return math.isclose(told, counted, rel_tol=1e-9, abs_tol=1e-6)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m autoscaler.sim.audit DIR")
    try:
        _problems = audit(Path(sys.argv[1]))
    except (OSError, ValueError) as error:
        _problems = [str(error)]
    sys.stdout.writelines(f"{problem}\n" for problem in _problems)
    sys.exit(1 if _problems else 0)
