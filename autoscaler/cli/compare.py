"""``autoscaler compare``: configurations, our policies and the autoscalers of others on the same jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from autoscaler.cli.options import attainment_option, market_option, processes_option, seed_option, trace_option

if TYPE_CHECKING:
    from autoscaler.sim.compare import Candidate, Played
    from autoscaler.sim.scenario import Scenario


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@trace_option
@market_option
@seed_option
@click.option("--only", metavar="NAME,NAME", help="Compare with these policies and peers alone; `none` for none.")
@attainment_option
@processes_option
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write every setting's figures there.")
def compare(
    files: tuple[Path, ...],
    traces: tuple[str, ...],
    market: Path | None,
    seed: int,
    *,
    only: str | None,
    attainment: float,
    processes: int | None,
    out: Path | None,
) -> None:
    r"""Play the same jobs under each configuration FILE, our policies, and the autoscalers of others.

    All live in the market and under the limits of the first FILE. Each policy and peer is tried with several values of
    its main setting, and shown with the best of them. Peers are re-implementations of published formulas.

    \b
      autoscaler compare fleet.yaml --trace jobs.csv.gz
      autoscaler compare fleet.yaml cheaper.yaml --trace jobs.csv.gz --only none
      autoscaler compare fleet.yaml --trace jobs.csv.gz --only keda-llen,knative --out result

    With one pool, each --trace is played by itself. A star marks what nothing else beats in cost and in the attainment
    of its worst served tier.
    """
    from autoscaler.cli.progress import progress_bar
    from autoscaler.sim.compare import play_all

    rehearsals = list(_rehearsals(files, traces, market, seed))
    for _, scenarios in rehearsals:
        scenarios[0].surveys()
    candidates = [(label, each) for label, scenarios in rehearsals for each in _candidates(files, scenarios, only)]
    with progress_bar(f"simulating {len(candidates)} settings", len(candidates)) as progress:
        played = play_all([each for _, each in candidates], processes=processes or os.cpu_count() or 1, done=progress)
    console = Console(highlight=False)
    for label in dict.fromkeys(label for label, _ in candidates):
        mine = [each for (own, _), each in zip(candidates, played, strict=True) if own == label]
        console.print(_table(label, mine, attainment), "")


def _rehearsals(
    files: Sequence[Path], traces: Sequence[str], market: Path | None, seed: int
) -> Iterator[tuple[str, list[Scenario]]]:
    """What is played: its name, and the scenario of each configuration."""
    from autoscaler.cli.options import config_of
    from autoscaler.rehearsal import scenario_of

    configs = [config_of(file) for file in files]
    together = [traces] if len(configs[0].pools) > 1 else [(trace,) for trace in traces]
    for played in together:
        scenarios = [scenario_of(config, played, market=market, seed=seed) for config in configs]
        yield ", ".join(Path(trace.rpartition("=")[2]).name for trace in played), scenarios


def _candidates(files: Sequence[Path], scenarios: Sequence[Scenario], only: str | None) -> Iterator[Candidate]:
    from autoscaler.core.errors import SettingsError
    from autoscaler.sim.baselines import BASELINES
    from autoscaler.sim.compare import Candidate, peer_candidates, policy_candidates
    from policies import POLICIES

    first = scenarios[0]
    for file, scenario in zip(files, scenarios, strict=True):
        same_world = replace(scenario, providers=first.providers, market=first.market)
        yield Candidate(name=file.name, title=f"the configuration {file}", scenario=same_world)
    known = [*POLICIES, *BASELINES]
    names = known if only is None else [name for name in only.split(",") if name != "none"]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(f"--only: {', '.join(unknown)}: expected some of {', '.join(known)}, or none")
    yield from policy_candidates(first, [name for name in names if name in POLICIES])
    yield from peer_candidates(first, [name for name in names if name in BASELINES])


def _table(label: str, played: Sequence[Played], attainment: float) -> Table:
    from autoscaler.sim.compare import frontier, tuned

    best = frontier(played)
    table = Table(
        title=f"{label}: least cost with {attainment:.0%} of each tier in time", title_justify="left", box=None
    )
    for name in ("", "policy", "setting"):
        table.add_column(name)
    several = len(played[0].summary.tiers) > 1
    tiers = [(pool, tier) for pool, tiers in played[0].summary.tiers.items() for tier in tiers]
    for name in ("USD", *(f"{pool}/{tier}" if several else tier for pool, tier in tiers), "killed", "rented"):
        table.add_column(name, justify="right")
    for each in tuned(played, attainment):
        summary = each.summary
        shares = [summary.tiers[pool][tier].attainment for pool, tier in tiers]
        table.add_row(
            "*" if each in best else "",
            each.candidate.name,
            each.candidate.setting,
            f"{summary.usd:,.2f}",
            *("-" if share is None else f"{share:.1%}" for share in shares),
            f"{summary.killed_jobs}",
            f"{summary.launches}",
            style="" if summary.worst_attainment >= attainment else "dim",
        )
    return table
