"""The figures of a simulation on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import yaml
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autoscaler.config.show import written
from autoscaler.core.units import format_duration
from autoscaler.sim.report.figures import tier_cells
from autoscaler.sim.scenario import Scenario
from autoscaler.sim.summary import Summary

_TITLE_WIDTH = 10


def figures(summary: Summary, bounds: Mapping[str, float]) -> RenderableType:
    """What a simulation cost, how its jobs were served, and what it could have cost at least."""
    return Group(_tiers(summary), Text(), *(_fact(title, text) for title, text in _facts(summary, bounds)))


def _tiers(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    several = len(summary.tiers) > 1
    if several:
        table.add_column("pool")
    table.add_column("tier")
    for name in ("jobs", "wait target", "in time", "median wait", "p95", "p99", "longest"):
        table.add_column(name, justify="right")
    for pool, tiers in summary.tiers.items():
        for name, tier in tiers.items():
            table.add_row(*([pool] if several else []), name, *tier_cells(tier))
    return table


def _fact(title: str, text: str) -> Text:
    return Text.assemble((title.ljust(_TITLE_WIDTH), "bold"), text)


def _facts(summary: Summary, bounds: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    days = summary.simulated_s / 86400.0
    a_day = f", {summary.usd / days:.2f} a day" if days else ""
    each = f", {1000 * summary.usd / summary.jobs:.2f} per 1,000 jobs" if summary.jobs else ""
    yield "cost", f"{summary.usd:,.2f} USD in {format_duration(summary.simulated_s)}{a_day}{each}"
    yield "", _parts(summary.usd_by_phase, "USD")
    if len(summary.usd_by_placement) > 1:
        yield "", _parts(summary.usd_by_placement, "USD")
    work, zero_wait = bounds["pure_work_usd"], bounds["zero_wait_usd"]
    yield "at least", f"{work:,.2f} USD for the work alone, {zero_wait:,.2f} with no job waiting, all known beforehand"
    yield "machines", _parts(summary.hours_by_phase, "h")
    refused = f" ({summary.refused_resumes} refused)" if summary.refused_resumes else ""
    yield (
        "",
        f"{summary.launches} rented, {summary.resumes} resumed{refused}, {summary.interruptions} lost to the market",
    )
    yield "jobs", _service(summary)
    yield "", f"{summary.killed_jobs} cut off by our orders, {summary.interrupted_jobs} by the market"


def _parts(parts: Mapping[str, float], unit: str) -> str:
    return ", ".join(f"{name} {value:,.2f} {unit}" for name, value in parts.items()) or "none"


def _service(summary: Summary) -> str:
    if not summary.jobs:
        return "none came"
    served = summary.jobs - summary.unserved_jobs
    return f"{served:,} of {summary.jobs:,} served" if summary.unserved_jobs else f"all {summary.jobs:,} served"


def policies_yaml(scenario: Scenario) -> str:
    """A scenario's policies as they are written in a configuration."""
    pools = {
        each.pool.name: {"policies": [{name: written(settings)} for name, settings in each.policies]}
        for each in scenario.pools
    }
    return yaml.safe_dump({"pools": pools}, sort_keys=False)
