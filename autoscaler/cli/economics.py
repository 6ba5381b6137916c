"""``autoscaler economics``: prices and plans in, unit economics out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from autoscaler.core.errors import SettingsError

if TYPE_CHECKING:
    from autoscaler.economics.plan import BusinessPlan


def _margin(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    from autoscaler.economics.interval import parse_margin

    try:
        return None if value is None else parse_margin(value)
    except ValueError as error:
        raise click.BadParameter(f"{value}: {error}") from error


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--quote", metavar="CLASS", help="Print the price of this job class alone.")
@click.option(
    "--margin",
    callback=_margin,
    metavar="PERCENT",
    help="The margin to quote with, such as 40%; else the file's.",
)
@click.option(
    "--measured",
    type=click.File("rb"),
    metavar="FILE",
    help="What `autoscaler cost --json` printed, - for standard input: the plans' jobs run on your own fleet.",
)
@click.option("--json", "form", flag_value="json", help="Print the stable JSON form.")
@click.option("--csv", "form", flag_value="csv", help="Print a line for each figure.")
def economics(
    file: Path, *, quote: str | None, margin: float | None, measured: BinaryIO | None, form: str | None
) -> None:
    """Say what a business plan comes to, and what does not follow.

    It computes the plan from its assumptions, and holds its author's own figures against that.

    FILE holds prices of machines, scenarios, plans and job classes, as far as there are any: see docs/economics.md.

    \b
      autoscaler economics deploy/economics/template.yaml
      autoscaler economics plan.yaml --quote prompt --margin 40%
      autoscaler cost --json | autoscaler economics plan.yaml --measured -
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    from autoscaler.cli.economics_view import as_csv, as_json, view
    from autoscaler.cli.output import screen
    from autoscaler.economics.compute import compute, judge
    from autoscaler.economics.jobs import quotes
    from autoscaler.economics.measured import with_measured
    from autoscaler.economics.read import read_plan

    plan = read_plan(file, os.environ)
    if measured is not None:
        plan = with_measured(plan, measured.read())
    if margin is not None:
        plan = replace(plan, margin=margin)
    if quote is None:
        tables = compute(plan)
        judged = judge(plan.stated, tables)
    else:
        _require_quotable(plan, quote)
        tables, judged = (quotes(plan, quote),), ()
    if form == "json":
        click.echo(as_json(tables, judged))
    elif form == "csv":
        click.echo(as_csv(tables, judged), nl=False)
    else:
        console = screen()
        console.print(*view(tables, judged, console.width), sep="\n")


def _require_quotable(plan: BusinessPlan, name: str) -> None:
    from autoscaler.config.words import suggest

    if name not in plan.job_classes:
        raise SettingsError(f"--quote: there is no job class {name}; {suggest(name, plan.job_classes)}")
    if plan.margin is None:
        raise SettingsError("--quote: expected --margin, such as --margin 40%, or `margin` in the file")
