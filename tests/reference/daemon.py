"""What a daemon says of itself once it serves: its metrics, and the document of its API."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry, Metric

from autoscaler import daemon
from autoscaler.app import App
from autoscaler.config import Config, load_config
from autoscaler.link import RedisSettings
from autoscaler.runtime.clock import SystemClock
from tests.support.redis_server import free_port

_DEFAULT = Path(__file__).parents[2] / "autoscaler" / "default.yaml"


@dataclass(frozen=True, slots=True)
class Told:
    """What it says."""

    registry: CollectorRegistry
    metrics: Sequence[Metric]
    """What a scrape of it gives after the first tick; the lease is asked about in the daemon's own loop alone."""
    openapi: dict[str, Any]


@cache
def told() -> Told:
    """What a daemon on the mock says; it is run for its first tick."""
    config = load_config(_DEFAULT, {})
    redis, listen = RedisSettings(url=f"embedded:{free_port()}"), f"127.0.0.1:{free_port()}"
    return asyncio.run(_asked(replace(config, redis=redis, http=replace(config.http, listen=listen))))


async def _asked(config: Config) -> Told:
    found: asyncio.Future[Told] = asyncio.get_running_loop().create_future()

    async def ask(app: App) -> None:
        url = f"http://{config.http.listen}/api/v1/openapi.json"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            openapi = await answer.json()
        await app.tick()
        found.set_result(Told(app.registry, [*app.registry.collect()], openapi))

    def started(app: App) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        return [("ask", ask(app))]

    running = asyncio.create_task(daemon.run(config, SystemClock(), started))
    both: list[asyncio.Future[Any]] = [running, found]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if found.done():
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return found.result()
