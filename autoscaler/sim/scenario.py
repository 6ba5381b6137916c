"""What is rehearsed: plain values, which other processes can be handed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoscaler.core.spec import FleetLimits, Pool
from autoscaler.runtime.entropy import seeded
from autoscaler.sim.traces import read_trace
from autoscaler.sim.workload import Job, Workload, make_jobs
from providers.mock import MockSettings, Series

PolicyChoice = tuple[str, Any]
"""A policy's name and its settings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolScenario:
    """One pool and the jobs that come to it."""

    pool: Pool
    policies: tuple[PolicyChoice, ...]
    workload: Workload = Workload()
    trace: Path | None
    """None for a pool to which no jobs come."""

    def jobs(self, seed: int) -> Iterator[Job]:
        """The jobs, as they come; the same for the same seed.

        Raises:
            SettingsError: the trace is faulty, or does not fit the pool.
        """
        if self.trace is None:
            return iter(())
        name = self.pool.name
        return make_jobs(
            read_trace(self.trace, tier_column=self.workload.tier_column),
            self.workload,
            [tier.name for tier in self.pool.tiers],
            seeded(seed),
            pool=name,
            name=str(self.trace),
        )

    def survey(self, seed: int) -> Survey:
        """What the jobs amount to, found by going through all of them once; it finds every bad line, too.

        Raises:
            SettingsError: the trace is faulty, or does not fit the pool.
        """
        jobs, last_s, work_s = 0, 0.0, 0.0
        for job in self.jobs(seed):
            jobs += 1
            last_s = job.arrived_s
            work_s += job.service_s
        return Survey(jobs=jobs, last_arrival_s=last_s, work_s=work_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What the jobs of a pool amount to."""

    jobs: int
    last_arrival_s: float
    work_s: float
    """Service times of all jobs together."""

    @property
    def mean_service_s(self) -> float:
        """The mean service time; 0 without jobs."""
        return self.work_s / self.jobs if self.jobs else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """One fleet, its pools and the market in which it rents."""

    fleet: str
    pools: tuple[PoolScenario, ...]
    providers: Mapping[str, MockSettings]
    market: tuple[Series, ...] = ()
    """Recorded prices and availability that the markets follow."""
    limits: FleetLimits = FleetLimits()
    tick_s: float = 10.0
    seed: int = 1
    """Everything that is drawn follows from it."""
    peers: Mapping[str, PolicyChoice] = field(default_factory=dict)
    """By pool: the baseline that controls it, and its settings, in place of the daemon."""

    def surveys(self) -> dict[str, Survey]:
        """What each pool's jobs amount to.

        Raises:
            SettingsError: a trace is faulty, or does not fit its pool.
        """
        return {each.pool.name: each.survey(self.seed + place) for place, each in enumerate(self.pools)}
