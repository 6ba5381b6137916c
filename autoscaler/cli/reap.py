"""``autoscaler reap``: what bills in our name, and nobody takes care of."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from autoscaler.cli.endpoint import ask_strays
from autoscaler.cli.order_options import Hand, hand, listings, opened, yes_option
from autoscaler.core.order_checks import MOST_WORDS
from autoscaler.core.orders import OrderKind

if TYPE_CHECKING:
    from autoscaler.core.strays import Found


@click.command()
@hand
@click.option("--dry-run", is_flag=True, help="Only show them.")
@yes_option
def reap(hand: Hand, dry_run: bool, yes: bool) -> None:
    """Find and release machines that nobody takes care of.

    It shows machines with this fleet's label that no record names, and those whose pool is no longer configured: these
    it releases. It also shows those that are stuck, and those whose label begins like ours and is none. Machines with
    other labels are never looked at. With FILE every provider is asked anew, so it works while no daemon runs; a daemon
    tells by its newest listings. A release that is ordered is carried out by the daemon that leads, as
    `autoscaler release` says: one that may hold a job is drained first.

    \b
      autoscaler reap fleet.yaml --dry-run      look
      autoscaler reap fleet.yaml                look, answer y
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    found = asyncio.run(ask_strays(hand.url) if hand.url else _look(hand))
    for provider, reason in found.unlisted.items():
        click.echo(f"error: {provider}: {reason}", err=True)
    for stray in found.strays:
        usd = f"{stray.usd_per_hour:.3f} USD/h"
        click.echo("  ".join((stray.name, stray.label, stray.status, usd, stray.why)))
    going = [stray for stray in found.strays if stray.to_release]
    if going and not dry_run:
        count = "this machine" if len(going) == 1 else f"these {len(going)} machines"
        if not yes:
            click.confirm(f"Order the release of {count}?", abort=True)
        whys = {stray.name: hand.why or f"reaped, {stray.why}"[:MOST_WORDS] for stray in going}
        hand.give_all([hand.order(OrderKind.RELEASE, name, why=why) for name, why in whys.items()])
        hand.next("orders")
    if found.unlisted:
        sys.exit(1)
    if not found.strays:
        count = "1 machine" if found.machines == 1 else f"{found.machines} machines"
        click.echo(f"Nothing to reap: {count} with the fleet's label listed, each with a record, a pool and a way out.")


async def _look(hand: Hand) -> Found:
    from autoscaler.core.strays import find
    from autoscaler.runtime.clock import SystemClock

    async with opened(hand.file) as app:
        return find(
            await listings(app, app.providers.keys()),
            await app.records(),
            fleet=app.config.fleet,
            pools=app.config.pools,
            led=await app.store.led(),
            now=SystemClock().now(),
        )
