"""The demo: the daemon with made-up traffic and simulated workers, watched on a terminal."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine
from typing import Any

from autoscaler import daemon
from autoscaler.app import App
from autoscaler.cli.watch.session import Session
from autoscaler.cli.watch.state import Watch
from autoscaler.config import Config
from autoscaler.demo import DemoTraffic, RedisJobSource
from autoscaler.queues.list import ListQueue
from autoscaler.runtime.entropy import seeded
from autoscaler.runtime.ports import Clock
from autoscaler.sim.workers import SimulatedWorkers
from autoscaler.store.codec import encode_entry

_FRAME_S = 0.5
_ENTRIES = 300


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
    """Watch the fleet on the whole terminal; the end of the watch is the end of the demo."""

    async def look() -> tuple[Any, list[Any]]:
        journal = [json.loads(encode_entry(entry)) for entry in await app.store.journal(_ENTRIES)]
        return app.board.status(clock.now()), journal

    await Session(Watch(), look, interval_s=_FRAME_S).run()
    signal.raise_signal(signal.SIGINT)
    await asyncio.Event().wait()  # until the daemon has taken its leave
