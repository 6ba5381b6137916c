"""``autoscaler plan``: what would be done now, and why; nothing is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.options import config_of, file_argument

if TYPE_CHECKING:
    from autoscaler.config import Config


@click.command()
@file_argument
@click.option(
    "--what-if",
    "what_ifs",
    metavar="KEY=VALUE",
    multiple=True,
    help="Decide for this instead: depth.TIER=40, wait.TIER=35s, rate.TIER=12 (jobs a minute), service.TIER=20s, "
    "hot=2, warm=1, busy=2 (slots at work), spent=12.50 (USD today); POOL.depth.TIER=40 where there are several pools.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the stable JSON form.")
def plan(file: Path | None, what_ifs: Sequence[str], as_json: bool) -> None:
    """Say what a daemon started now would do, and why; do nothing.

    Reads the queues and the providers once, takes no lease and writes nothing. Without FILE it looks into the embedded
    Redis of a running daemon.

    With --what-if it reads nothing at all: it says what a daemon that has watched for long would do if queues, machines
    and money were as given. What is not given is empty: no job waits, no machine is there. A depth without a wait is of
    unknown age.

    \b
      autoscaler plan fleet.yaml                  now
      autoscaler plan fleet.yaml --what-if hot=1 --what-if depth.pro=40 --what-if wait.pro=35s
      autoscaler plan fleet.yaml --what-if hot=3 --what-if spent=29.50
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    config = config_of(file)
    document = asyncio.run(_suppose(config, what_ifs) if what_ifs else _look(config))
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    for pool in document["pools"]:
        _show(pool)


async def _look(config: Config) -> dict[str, Any]:
    from autoscaler.app import build
    from autoscaler.core.errors import SettingsError
    from autoscaler.runtime.clock import SystemClock

    app = build(config, clock=SystemClock(), preview=True)
    try:
        await app.check_access()
        await app.tick()
        if app.board.error is not None:
            hint = "; start a daemon with: autoscaler run" if config.redis.address().embedded else ""
            raise SettingsError(f"nothing can be planned: {app.board.error}{hint}")
        return {**app.board.plan()}
    finally:
        await app.stop()
        await app.close()


async def _suppose(config: Config, what_ifs: Sequence[str]) -> dict[str, Any]:
    from autoscaler.runtime.clock import SystemClock
    from autoscaler.suppose import suppose
    from autoscaler.web.views import Board
    from autoscaler.what_if import what_if

    supposed = suppose({name: pool.pool(name) for name, pool in config.pools.items()}, what_ifs)
    board = Board(config.fleet)
    board.ticked(await what_if(config, supposed, SystemClock().now()))
    return {**board.plan()}


def _show(pool: dict[str, Any]) -> None:
    decision = pool["decision"]
    click.echo(f"{pool['name']}: {decision['hot']} HOT wanted, {pool['up']} up; up to {decision['warm']} WARM kept")
    for reason in decision["why"]:
        click.echo(f"  because  {reason['text']}  [{reason['rule']}]")
    for command in pool["commands"]:
        about = command["instance"] or command["placement"]
        click.echo(f"  would    {command['action']} {about}: {command['reason']}")
    if not pool["commands"]:
        click.echo("  would    do nothing")
    for reason in decision["why_not"]:
        click.echo(f"  not yet  {reason['text']}  [{reason['rule']}]")
