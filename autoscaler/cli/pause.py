"""``autoscaler pause`` and ``unpause``: an operator's hand on the brake."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoscaler.cli.options import config_of, file_argument

if TYPE_CHECKING:
    from autoscaler.runtime.ports import Clock, Store

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
    asyncio.run(_give(file, by))
    click.echo("Paused: no machine is touched from the next tick on. Machines that run go on billing.")
    click.echo(f"Next: autoscaler unpause{f' {file}' if file else ''}")


@click.command()
@file_argument
@by_option
def unpause(file: Path | None, by: str) -> None:
    """Let the daemon act again after `pause`."""
    asyncio.run(_withdraw(file, by))
    click.echo("Unpaused: the next tick acts again.")


async def _give(file: Path | None, by: str) -> None:
    from autoscaler.core.orders import Order, OrderKind
    from autoscaler.runtime.clock import SystemClock

    clock = SystemClock()
    async with _store(file, clock) as store:
        await store.give(Order(kind=OrderKind.PAUSE, by=by, at=clock.now()))


async def _withdraw(file: Path | None, by: str) -> None:
    from autoscaler.runtime.clock import SystemClock

    async with _store(file, SystemClock()) as store:
        await store.withdraw("pause", by=by)


@asynccontextmanager
async def _store(file: Path | None, clock: Clock) -> AsyncIterator[Store]:
    from autoscaler.app import build

    app = build(config_of(file), clock=clock, preview=False)
    try:
        await app.check_access()
        yield app.store
    finally:
        await app.close()
