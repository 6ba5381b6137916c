"""``autoscaler cost``: what the fleet has cost, for what, and what was wasted."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from datetime import datetime
from typing import Any

import click

from autoscaler.cli.endpoint import ask_cost, url_option
from autoscaler.cli.view.words import harmless
from autoscaler.core.errors import SettingsError

_DAY = click.DateTime(formats=["%Y-%m-%d"])
_COLUMNS = ("day", "pool", "placement", "provider", "tier", "purpose", "usd")


@click.command()
@url_option
@click.option("--pool", help="This pool alone.")
@click.option("--from", "first", type=_DAY, metavar="DAY", help="The first UTC day; that of the month unless given.")
@click.option("--to", "last", type=_DAY, metavar="DAY", help="The last UTC day; today unless given.")
@click.option("--json", "as_json", is_flag=True, help="Print the stable JSON form.")
@click.option(
    "--csv", "as_csv", is_flag=True, help="Print a row for each day, pool, placement, tier and purpose, in USD."
)
def cost(
    url: str, *, pool: str | None, first: datetime | None, last: datetime | None, as_json: bool, as_csv: bool
) -> None:
    """Show what the fleet has cost, and for what.

    Against its caps, by pool and placement, per tier and job, and what was wasted and why.

    What the books cannot know is an estimate and said to be one: docs/money.md has the formulas.

    \b
      autoscaler cost
      autoscaler cost --pool images --from 2026-11-01 --to 2026-11-07
      autoscaler cost --csv > november.csv
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    if as_json and as_csv:
        raise SettingsError("--json and --csv: expected one of them")
    asked = {"from": first and f"{first:%Y-%m-%d}", "to": last and f"{last:%Y-%m-%d}", "pool": pool}
    query = {name: value for name, value in asked.items() if value}
    answer = harmless(asyncio.run(ask_cost(url, query | ({"lines": "true"} if as_csv else {}))))
    if as_json:
        click.echo(json.dumps(answer))
    elif as_csv:
        _write_csv(answer)
    else:
        from autoscaler.cli.cost_view import cost_table
        from autoscaler.cli.output import screen

        screen().print(cost_table(answer))


def _write_csv(answer: dict[str, Any]) -> None:
    """Raises SettingsError where there are no books: an empty file would read as no cost."""
    from autoscaler.cli.cost_view import elsewhere, no_books

    if (why := no_books(answer)) is not None:
        raise SettingsError(f"this daemon {why}")
    if answer["led_elsewhere"]:
        click.echo(f"without {elsewhere(answer)}", err=True)
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(_COLUMNS)
    rows.writerows([line[name] for name in _COLUMNS[:-1]] + [f"{line['usd']:.8f}"] for line in answer["lines"])
