"""``autoscaler status``: what a running daemon sees and does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import click
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from autoscaler.cli.endpoint import NoDaemon, ask_journal, ask_status, url_option
from autoscaler.cli.view import render
from autoscaler.runtime.clock import SystemClock

_ENTRIES = 50

Look = Callable[[], Awaitable[RenderableType]]
Show = Callable[[RenderableType], None]


@click.command()
@url_option
@click.option("--watch", is_flag=True, help="Keep showing it until Ctrl-C.")
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between two looks."
)
@click.option("--json", "as_json", is_flag=True, help="Print the stable JSON form, one line for each look.")
def status(url: str, watch: bool, interval: float, as_json: bool) -> None:
    """Show a running daemon's queues, machines, money and reasons.

    A star marks each pool's primary machine, which is stopped last; `!` one that is degraded and will be replaced.
    """
    console = Console(highlight=False)

    async def look() -> RenderableType:
        fleet = await ask_status(url)
        if as_json:
            return Text(json.dumps(fleet))
        height = console.height if watch and console.is_terminal else None
        return render(fleet, await ask_journal(url, _ENTRIES), width=console.width, height=height)

    def show(view: RenderableType) -> None:
        console.print(view, soft_wrap=isinstance(view, Text))

    try:
        if not watch:
            show(asyncio.run(look()))
        elif as_json or not console.is_terminal:
            asyncio.run(_repeat(look, show, interval))
        else:
            with Live(console=console, screen=True, auto_refresh=False) as live:
                asyncio.run(_repeat(look, lambda view: live.update(view, refresh=True), interval))
    except KeyboardInterrupt:
        return


async def _repeat(look: Look, show: Show, interval_s: float) -> None:
    """Look for ever. Of a daemon that is away it is said, and it is looked for again."""
    clock = SystemClock()
    while True:
        try:
            show(await look())
        except NoDaemon as error:
            show(Text(f"error: {error}", "bold red"))
        await clock.sleep(interval_s)
