"""The demo: the daemon with made-up traffic and simulated workers, shown live on a terminal."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

from rich.console import Console
from rich.live import Live

from autoscaler import daemon
from autoscaler.app import App
from autoscaler.cli.view import render
from autoscaler.config import Config
from autoscaler.demo import DemoTraffic, RedisJobSource
from autoscaler.queues.list import ListQueue
from autoscaler.runtime.clock import SystemClock
from autoscaler.runtime.entropy import seeded
from autoscaler.runtime.ports import Clock
from autoscaler.sim.workers import SimulatedWorkers
from autoscaler.store.codec import encode_entry

_FRAME_S = 0.25
_ENTRIES = 20


async def run_demo(config: Config, clock: Clock, *, watching: bool) -> None:
    """Run the daemon with everything that the demo adds; with `watching` draw the fleet over the whole terminal."""

    def started_up(app: App) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        [pool] = config.pools.values()
        [market] = app.markets.values()
        if not isinstance(pool.queue, ListQueue):
            raise TypeError("the demo needs a queue of lists")
        link = next(iter(app.links.values()))
        workers = SimulatedWorkers(market, RedisJobSource(link, pool.queue, config.fleet, clock), clock)
        tasks = [
            ("workers", workers.run()),
            ("traffic", DemoTraffic(link, pool.queue, clock, seeded(1)).run()),
        ]
        return [*tasks, ("screen", _draw(app, clock))] if watching else tasks

    await daemon.run(config, clock, started_up)


async def _draw(app: App, clock: Clock) -> None:
    console = Console(highlight=False)
    real = SystemClock()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            journal = [json.loads(encode_entry(entry)) for entry in await app.store.journal(_ENTRIES)]
            status = app.board.status(clock.now())
            live.update(render(status, journal, width=console.width, height=console.height), refresh=True)
            await real.sleep(_FRAME_S)
