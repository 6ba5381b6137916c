"""``autoscaler status``: what a running daemon sees and does."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable

import click
from rich.console import Console, RenderableType
from rich.text import Text

from autoscaler.cli.endpoint import NoDaemon, ask_journal, ask_status, url_option
from autoscaler.cli.view import render
from autoscaler.cli.view.words import Object, harmless
from autoscaler.runtime.clock import SystemClock

_ENTRIES = 50
_WATCHED_ENTRIES = 300

Look = Callable[[], Awaitable[RenderableType]]
Show = Callable[[RenderableType], None]


@click.command()
@url_option
@click.option("--watch", is_flag=True, help="Keep showing it; on a terminal over all of it, with keys: ? shows them.")
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between two looks."
)
@click.option("--json", "as_json", is_flag=True, help="Print the stable JSON form, one line for each look.")
def status(url: str, watch: bool, interval: float, as_json: bool) -> None:
    """Show a running daemon: what needs you, queues, machines, money.

    A star marks each pool's primary machine, which is stopped last; `!` one that is degraded and will be replaced.
    """
    console = Console(highlight=False)

    async def look() -> RenderableType:
        fleet = await ask_status(url)
        if as_json:
            return Text(json.dumps(fleet))
        return render(harmless(fleet), harmless(await ask_journal(url, _ENTRIES)), width=console.width)

    def show(view: RenderableType) -> None:
        console.print(view, soft_wrap=isinstance(view, Text))

    try:
        if not watch:
            show(asyncio.run(look()))
        elif as_json or not console.is_terminal or console.is_dumb_terminal:
            asyncio.run(_repeat(look, show, interval))
        else:
            _on_whole_terminal(url, interval)
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


def _on_whole_terminal(url: str, interval_s: float) -> None:
    """Watch until it is ended, by a key or a signal; then print the commands that were noted."""
    from autoscaler.cli.watch.session import Session
    from autoscaler.cli.watch.state import Watch

    watch = Watch()

    async def look() -> tuple[Object, list[Object]]:
        return await ask_status(url), [*await ask_journal(url, _WATCHED_ENTRIES)]

    async def sit() -> None:
        session = Session(watch, look, interval_s=interval_s)
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, session.end)
        await session.run()

    try:
        asyncio.run(sit())
    finally:
        for command in watch.noted:
            click.echo(f"you noted: {command}")
