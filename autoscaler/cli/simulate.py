"""``autoscaler simulate``: what a configuration would have done with the jobs of a trace, at what cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.options import config_of, file_argument, market_option, seed_option, trace_option
from autoscaler.cli.output import out_option, require_writable, screen, writing

if TYPE_CHECKING:
    from autoscaler.sim.books import Books


@click.command()
@file_argument
@trace_option
@market_option
@seed_option
@out_option
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, as in summary.json.")
def simulate(
    file: Path | None, traces: tuple[str, ...], market: Path | None, seed: int, *, out: Path | None, as_json: bool
) -> None:
    """Rehearse the configuration FILE with the jobs of a trace.

    The daemon's very loop runs on virtual time, with a mock market and simulated workers: two weeks take seconds.
    Nothing is rented, and no queue is touched. The same seed gives the same result, byte for byte.

    \b
      autoscaler simulate fleet.yaml --trace jobs.csv.gz
      autoscaler simulate fleet.yaml --trace images=a.csv --trace speech=b.csv --out result
      autoscaler trace record fleet.yaml jobs.csv      your own queue as a trace

    With --out, jobs.csv and phases.csv hold every job and every machine, for anyone to check; report.html shows them.
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    from autoscaler.cli.figures import figures
    from autoscaler.cli.progress import progress_bar
    from autoscaler.rehearsal import scenario_of
    from autoscaler.sim.least import closed_forms
    from autoscaler.sim.run import simulate as play
    from autoscaler.sim.summary import document, summarize

    scenario = scenario_of(config_of(file), traces, market=market, seed=seed)
    last_arrival_s = max(survey.last_arrival_s for survey in scenario.surveys().values())
    if out:
        require_writable(out)
    with progress_bar("simulating", last_arrival_s) as progress:
        books = play(scenario, progress=progress)
    for reason, ticks in Counter(books.failed_ticks).items():
        click.echo(f"warning: {ticks} ticks could not be made: {reason}", err=True)
    summary = summarize(books)
    bounds = closed_forms(scenario, books)
    told = document(scenario, summary, bounds)
    if out:
        from autoscaler.sim.report.simulation import simulation_page

        write(out, books, told, simulation_page(scenario, books, summary))
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        screen().print(figures(summary, bounds))
        options = [*(["--market", str(market)] if market else []), *(["--seed", str(seed)] if seed != 1 else [])]
        _suggest([*([str(file)] if file else []), *(f"--trace={trace}" for trace in traces), *options], out)


def write(directory: Path, books: Books, told: Mapping[str, Any], report: str) -> None:
    """Write a simulation's books and its report, and have the books audited.

    Raises:
        SettingsError: the directory cannot be written.
    """
    from autoscaler.core.errors import SettingsError
    from autoscaler.sim.audit import audit
    from autoscaler.sim.files import REPORT, replace_file, write_books

    with writing(directory):
        write_books(books, told, directory)
        replace_file(directory / REPORT, report)
        problems = audit(directory)
    if problems:
        raise SettingsError("the books are wrong, please report it", *problems)


def _suggest(arguments: Sequence[str], out: Path | None) -> None:
    click.echo()
    if out:
        click.echo(f"The books are in {out} and were audited; open {out / 'report.html'} in a browser.")
    else:
        click.echo(f"Every job and machine, and charts: autoscaler simulate {join(arguments)} --out DIR")
    click.echo(f"Beside other policies: autoscaler compare {join(arguments)}")
