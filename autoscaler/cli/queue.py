"""``autoscaler queue``: what the queues hold now."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.options import config_of, file_argument
from autoscaler.core.demand import Demand, Unknown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autoscaler.config import Config

Readings = Mapping[str, Demand | Unknown]
Show = Callable[[Readings, float], None]
"""Shows readings that were made at that time, in epoch seconds."""


@click.command()
@file_argument
@click.option("--json", "as_json", is_flag=True, help="Print the stable JSON form, one line for each look.")
@click.option("--watch", is_flag=True, help="Read them again on each tick, until Ctrl-C.")
@click.option("--acl", is_flag=True, help="Print the least rights that a Redis user needs for this configuration.")
def queue(file: Path | None, as_json: bool, watch: bool, acl: bool) -> None:
    """Read the queue of each pool now; write nothing.

    What it shows is what a daemon reads: waiting and delayed jobs, the age of the next job and where it comes from,
    jobs in flight, and what to do about each warning. Ages that are estimated need two looks, so it may take a second
    one; with --watch, as in a daemon, they are exact to a tick once the jobs that are there now are done.

    Exit code 1 says that a queue cannot be read.
    """
    config = config_of(file)
    if acl:
        for text in _acl(config):
            click.echo(text)
        return
    try:
        readings = _watch(config, as_json=as_json) if watch else _once(config, as_json=as_json)
    except KeyboardInterrupt:
        return
    if any(isinstance(reading, Unknown) for reading in readings.values()):
        sys.exit(1)


def _once(config: Config, *, as_json: bool) -> Readings:
    from autoscaler.cli.output import screen

    return asyncio.run(_read(config, _printed(config) if as_json else lambda r, _: screen().print(_view(config, r))))


def _watch(config: Config, *, as_json: bool) -> Readings:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False, markup=False, emoji=False)
    if as_json or not console.is_terminal:
        show = _printed(config) if as_json else lambda r, _: console.print(_view(config, r))
        return asyncio.run(_read(config, show, again=True))
    with Live(console=console, screen=True, auto_refresh=False) as live:
        return asyncio.run(_read(config, lambda r, _: live.update(_view(config, r), refresh=True), again=True))


def _printed(config: Config) -> Show:
    return lambda readings, now: click.echo(json.dumps(_json(config, readings, now)))


async def _read(config: Config, show: Show, *, again: bool = False) -> Readings:
    """Read and show; `again` on each tick for ever, else once, or twice where that makes an age known.

    Raises:
        SettingsError: a Redis refuses us.
    """
    from autoscaler.app import build
    from autoscaler.discover import read_now
    from autoscaler.runtime.clock import SystemClock

    clock = SystemClock()
    app = build(config, clock=clock, preview=True)
    try:
        await app.check_access()
        while again:
            show(await app.demand.read(clock.now()), clock.now())
            await clock.sleep(config.tick)
        readings = await read_now(app.demand, clock)
        show(readings, clock.now())
        return readings
    finally:
        await app.close()


def _json(config: Config, readings: Readings, now: float) -> dict[str, Any]:
    """The queues in the form that they have in a daemon's status."""
    from autoscaler.web.views import demand_view

    pools = [
        {
            "name": name,
            "kind": config.pools[name].queue.kind,
            "demand": demand_view(reading, {tier.name: tier for tier in config.pools[name].queue.tiers}),
        }
        for name, reading in readings.items()
    ]
    return {"fleet": config.fleet, "at": now, "pools": pools}


def _view(config: Config, readings: Readings) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from autoscaler.cli.queue_view import queue_view
    from autoscaler.queues import LIBRARIES

    parts: list[RenderableType] = []
    for name, reading in readings.items():
        settings = config.pools[name].queue
        title = Text.assemble((name, "bold"), f"  {LIBRARIES[settings.kind].title}")
        parts += [*([Text()] if parts else []), title, queue_view(reading, settings.tiers)]
    return Group(*parts)


def _acl(config: Config) -> Iterator[str]:
    """Lines of ACL SETUSER for redis-cli: one user where queue and store share a Redis, else two; and the machines'."""
    from autoscaler import acl
    from autoscaler.queues import LIBRARIES

    queues = [LIBRARIES[pool.queue.kind].rights(pool.queue) for pool in config.pools.values()]
    yield f"# For redis-cli. Put a password of your own in place of {acl.PASSWORD}."
    if config.store is not None and config.store != config.redis:
        yield f"# {config.redis}, the queue's:"
        yield acl.queue_line(config.redis, queues)
        yield f"# {config.store}, the store's:"
        yield acl.store_line(config.store, config.fleet)
    else:
        yield "# Redis 7 and later, Valkey 8 and later. The user can only read the queue:"
        yield acl.line(config.redis, config.fleet, queues)
        yield "# Redis 6. What the user may do to the daemon's own keys, he may do to the queue's, too:"
        yield acl.old_line(config.redis, config.fleet, queues)
    store = config.store or config.redis
    yield f"# {store}, whom the machines are, Redis 7 and later. Who takes jobs there needs the queue's rights besides:"
    yield acl.machine_line(store, config.fleet)
