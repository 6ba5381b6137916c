"""``autoscaler pause`` and ``unpause``: an operator's hand on the brake."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path

import click

from autoscaler.cli.options import config_of, file_argument

by_option = click.option(
    "--by", default=getpass.getuser, help="Who says so; for the journal.  [default: your user name]"
)


@click.command()
@file_argument
@by_option
def pause(file: Path | None, by: str) -> None:
    """Touch no machine until `unpause`; watching goes on.

    No machine is rented, resumed, stopped or released, not even one whose release was already decided: what runs goes
    on billing.
    """
    asyncio.run(_set_paused(file, True, by))
    click.echo("Paused: no machine is touched from the next tick on. Machines that run go on billing.")
    click.echo(f"Next: autoscaler unpause{f' {file}' if file else ''}")


@click.command()
@file_argument
@by_option
def unpause(file: Path | None, by: str) -> None:
    """Let the daemon act again after `pause`."""
    asyncio.run(_set_paused(file, False, by))
    click.echo("Unpaused: the next tick acts again.")


async def _set_paused(file: Path | None, paused: bool, by: str) -> None:
    from autoscaler.app import build
    from autoscaler.runtime.clock import SystemClock

    app = build(config_of(file), clock=SystemClock(), preview=False)
    try:
        await app.check_access()
        await app.store.set_paused(paused, by=by)
    finally:
        await app.close()
