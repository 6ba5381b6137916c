"""``autoscaler tune``: the settings of a configuration's policies that would have cost least."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoscaler.cli.options import attainment_option, market_option, processes_option, seed_option, trace_option

if TYPE_CHECKING:
    from autoscaler.sim.tune import Tuned


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@trace_option
@market_option
@seed_option
@attainment_option
@processes_option
@click.option("--trials", type=click.IntRange(1), default=50, show_default=True, help="Settings to try.")
@click.option("--storage", metavar="URL", help="A Redis that keeps the search; others who name it search along.")
@click.option("--study", default="autoscaler", show_default=True, help="What the search is called there.")
def tune(
    file: Path,
    traces: tuple[str, ...],
    market: Path | None,
    seed: int,
    *,
    attainment: float,
    processes: int,
    trials: int,
    storage: str | None,
    study: str,
) -> None:
    """Search for the cheapest settings that serve well enough.

    What is searched is the settings of FILE's policies. Each trial is a simulation of the whole trace. The present
    settings are the first.

    \b
      autoscaler tune fleet.yaml --trace jobs.csv.gz
      autoscaler tune fleet.yaml --trace jobs.csv.gz --storage redis://10.0.0.5:6379/3    on each of several machines

    What was best on one trace is proved on another: simulate it with the jobs of other days.
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    from autoscaler.cli.options import config_of
    from autoscaler.cli.progress import progress_bar
    from autoscaler.rehearsal import scenario_of
    from autoscaler.sim.tune import tune as search

    scenario = scenario_of(config_of(file), traces, market=market, seed=seed)
    scenario.surveys()
    with progress_bar(f"trying {trials} settings", trials) as progress:
        ranked = search(
            scenario,
            attainment=attainment,
            trials=trials,
            processes=processes,
            study=study,
            storage=storage,
            done=progress,
        )
    _show(ranked, attainment)
    click.echo(f"\nProve it on other days: autoscaler simulate {file} --trace OTHER")


def _show(ranked: Sequence[Tuned], attainment: float) -> None:
    from autoscaler.cli.figures import policies_yaml

    best = ranked[0]
    if best.worst_attainment < attainment:
        click.echo(f"None of {len(ranked)} settings serves every tier at {attainment:.1%}; the nearest:")
    click.echo(f"{best.usd:,.2f} USD, {best.worst_attainment:.1%} of the worst served tier in time, with\n")
    click.echo(policies_yaml(best.scenario), nl=False)
