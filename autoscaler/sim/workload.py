"""How a trace becomes a pool's jobs: their tiers, service times and models."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from autoscaler.core.errors import SettingsError
from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Name, Seconds, SecondsRange
from autoscaler.sim.books import TIME_DIGITS
from autoscaler.sim.traces import TraceJob

_SHOWN = 10
"""Of many problems of one kind, so many are told."""
_YEAR_S = 365 * 24 * 3600.0
_LONGEST_S = 10 * _YEAR_S
"""Times after that are no seconds since the start, but of some other clock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """How `simulate` and its kin make a pool's jobs from a trace. The daemon itself never reads it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    tiers: Mapping[Name, Annotated[float, Field(gt=0)]] = field(default_factory=dict)
    """Each tier's share of the jobs, any positive numbers, where the trace names no tiers; equal shares when empty."""
    tier_column: str | None = None
    """The trace's column that names the tier; `tier` when absent."""
    service: SecondsRange | None = None
    """How long one slot works on a job where the trace does not tell: `20s..60s` or measured `[21s, 24s, 40s]`."""
    order: Literal["priority", "fifo"] = "priority"
    """Which job is next: that of the most urgent tier, or the one that came first."""
    model_load: Seconds = 0.0
    """How long a slot loads when a job's model is not the one its machine used last."""


class Job(NamedTuple):
    """One job of a simulation."""

    arrived_s: float
    """Seconds since the simulation began, to the millisecond."""
    tier: int
    """Its place among the pool's tiers."""
    service_s: float
    model: str | None


def make_jobs(
    trace: Iterable[TraceJob], workload: Workload, tiers: Sequence[str], rng: random.Random, *, pool: str, name: str
) -> Iterator[Job]:
    """A trace's jobs for a pool with these tiers, as they come; the same for the same generator.

    `pool` and `name` are what messages call the pool and the trace.

    Raises:
        SettingsError: the trace or the workload names a tier that the pool does not have, neither of them tells how
            long a job takes, or the trace lasts for decades.
    """
    if strangers := [tier for tier in workload.tiers if tier not in tiers]:
        named = ", ".join(f'"{tier}"' for tier in strangers)
        raise SettingsError(
            f"pools.{pool}.workload.tiers: no such tier as {named}; expected some of {', '.join(tiers)}"
        )
    places = {tier: place for place, tier in enumerate(tiers)}
    shares = [workload.tiers.get(tier, 0.0) for tier in tiers] if workload.tiers else [1.0] * len(tiers)
    everywhere = range(len(tiers))
    unknown: dict[str, int] = {}
    for number, job in enumerate(trace, 1):
        if job.t_s > _LONGEST_S:
            raise SettingsError(
                f"{name}: job {number} comes after {job.t_s / _YEAR_S:,.0f} years; expected in t_s the seconds since"
                " the start of the trace"
            )
        if job.tier is None:
            place: int | None = rng.choices(everywhere, shares)[0] if len(tiers) > 1 else 0
        else:
            place = places.get(job.tier)
        service_s = job.service_s
        if service_s is None:
            if workload.service is None:
                raise SettingsError(
                    f"{name}: job {number} has no service time; add a column service_s, or say in"
                    f" pools.{pool}.workload.service how long jobs take, such as 20s..60s"
                )
            service_s = workload.service.at(rng.random())
        if place is None:
            unknown[str(job.tier)] = unknown.get(str(job.tier), 0) + 1
            continue
        if not unknown:
            yield Job(round(job.t_s, TIME_DIGITS), place, service_s, job.model)
    if unknown:
        named = ", ".join(
            f'"{tier}" ({count} {"job" if count == 1 else "jobs"})' for tier, count in list(unknown.items())[:_SHOWN]
        )
        raise SettingsError(f"{name}: tiers {named} are not tiers of the pool {pool}; expected {', '.join(tiers)}")
