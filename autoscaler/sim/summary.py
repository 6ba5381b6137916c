"""A simulation in figures: what it cost, how long jobs waited, what became of the machines."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from autoscaler.core.spec import Tier
from autoscaler.sim.books import Books, JobLog
from autoscaler.sim.scenario import Scenario

DOCUMENT_VERSION = 1
_HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TierSummary:
    """How one tier was served."""

    wait_target_s: float
    jobs: int
    served: int
    """Jobs that were finished."""
    attainment: float | None
    """Share of all jobs that started within the wait target; None without jobs."""
    wait_mean_s: float | None
    """Mean over the jobs that were started, like the quantiles below (nearest rank)."""
    wait_p50_s: float | None
    wait_p95_s: float | None
    wait_p99_s: float | None
    wait_max_s: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One simulation in figures. Hours and money are those of all machines together."""

    simulated_s: float
    usd: float
    usd_by_phase: Mapping[str, float]
    usd_by_placement: Mapping[str, float]
    hours_by_phase: Mapping[str, float]
    tiers: Mapping[str, Mapping[str, TierSummary]]
    """By pool and tier, most urgent first."""
    launches: int
    resumes: int
    """Resumes ordered, refused ones included."""
    refused_resumes: int
    interruptions: int
    """Running machines that the market took away."""
    interrupted_jobs: int
    """Times a job had to be done again for it."""
    killed_jobs: int
    """Times a job was cut off by our own order."""
    unserved_jobs: int
    """Jobs that were not finished."""
    failed_ticks: int
    """Ticks of the daemon that could not be made."""

    @property
    def jobs(self) -> int:
        """Jobs that came."""
        return sum(tier.jobs for tiers in self.tiers.values() for tier in tiers.values())

    @property
    def attainment(self) -> float:
        """Share of all jobs of all tiers that started within their wait targets; 1 without jobs."""
        all_tiers = [tier for tiers in self.tiers.values() for tier in tiers.values()]
        in_time = math.fsum(tier.jobs * tier.attainment for tier in all_tiers if tier.attainment is not None)
        return in_time / self.jobs if self.jobs else 1.0

    @property
    def worst_attainment(self) -> float:
        """That of the tier that was served worst; 1 without jobs."""
        shares = [tier.attainment for tiers in self.tiers.values() for tier in tiers.values()]
        return min((share for share in shares if share is not None), default=1.0)


def summarize(books: Books) -> Summary:
    """The figures of a simulation."""
    return Summary(
        simulated_s=books.until_s,
        usd=books.usd(),
        usd_by_phase=_totals(books, "phase", money=True),
        usd_by_placement=_totals(books, "placement", money=True),
        hours_by_phase=_totals(books, "phase", money=False),
        tiers={
            name: {tier.name: _tier(tier, place, books.jobs[name]) for place, tier in enumerate(pool.tiers)}
            for name, pool in books.pools.items()
        },
        launches=books.launches,
        resumes=books.resumes,
        refused_resumes=books.refused_resumes,
        interruptions=books.interruptions,
        interrupted_jobs=books.interrupted,
        killed_jobs=books.killed,
        unserved_jobs=books.unserved(),
        failed_ticks=len(books.failed_ticks),
    )


def document(scenario: Scenario, summary: Summary, bounds: Mapping[str, float]) -> dict[str, Any]:
    """What `summary.json` holds: the figures, the least they could have been, and what they were made with."""
    return {
        "version": DOCUMENT_VERSION,
        "made_with": {"autoscaler": version("gpu-autoscaler"), "python": platform.python_version()},
        "fleet": scenario.fleet,
        "seed": scenario.seed,
        "tick_s": scenario.tick_s,
        "traces": {each.pool.name: each.trace.name for each in scenario.pools if each.trace},
        "slots": {each.pool.name: each.pool.machine.slots for each in scenario.pools},
        **asdict(summary),
        "bounds": dict(bounds),
    }


def _totals(books: Books, column: str, *, money: bool) -> dict[str, float]:
    """Money or hours by what a column says, sorted by it."""
    parts: dict[str, list[float]] = {}
    for row in books.phases:
        part = row.usd if money else (row.to_s - row.from_s) / _HOUR_S
        parts.setdefault(getattr(row, column), []).append(part)
    return {key: math.fsum(parts[key]) for key in sorted(parts)}


def _tier(tier: Tier, place: int, log: JobLog) -> TierSummary:
    waits_s = sorted(log.waits_s(place))
    started = waits_s[: sum(map(math.isfinite, waits_s))]
    served = sum(
        own == place and not math.isnan(finished) for own, finished in zip(log.tier, log.finished_s, strict=True)
    )
    in_time = sum(wait_s <= tier.wait_target for wait_s in waits_s)
    return TierSummary(
        wait_target_s=tier.wait_target,
        jobs=len(waits_s),
        served=served,
        attainment=in_time / len(waits_s) if waits_s else None,
        wait_mean_s=math.fsum(started) / len(started) if started else None,
        wait_p50_s=_quantile(started, 0.50),
        wait_p95_s=_quantile(started, 0.95),
        wait_p99_s=_quantile(started, 0.99),
        wait_max_s=_quantile(started, 1.0),
    )


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return nearest_rank(ordered, share) if ordered else None


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values, of which there is one, does not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
