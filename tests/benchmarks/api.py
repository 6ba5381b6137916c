"""What the API costs the loop: ticks of the whole daemon on a real Redis while another process asks it all the time."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from autoscaler.app import App
from autoscaler.core.units import Secret
from autoscaler.daemon import api_of
from autoscaler.runtime.clock import SystemClock
from autoscaler.web.server import serve
from tests.benchmarks.figures import Figure, percentile
from tests.support.live import LIST, Json, a_config, live_app
from tests.support.redis_server import RedisServer

_FLEETS = (10, 1_000)
_PER_S = 50.0
_SECONDS = 10.0
_TICK_EVERY_S = 0.05
"""Two hundred times as often as by default, for the sake of the percentiles."""
_LOOK_EVERY_S = 0.005
_TARGET_MS = 10.0
_TOKEN = "a-token-for-the-benchmark"


@dataclass(frozen=True, slots=True)
class _Times:
    """In ms."""

    ticks: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    """How much later than wanted the event loop came to something that was due."""


def load() -> Iterator[Figure]:
    """Ticks and the loop's lag without requests, and with status, journal, metrics, health and orders in turn."""
    for machines in _FLEETS:
        with TemporaryDirectory() as directory:
            server = RedisServer(Path(directory))
            server.start()
            quiet, asked, answers = asyncio.run(_measure(_config(server.url, machines)))
            server.stop()
        target = _TARGET_MS if machines == _FLEETS[0] else None
        what = f"{machines:,} machines"
        for name, times in (("no requests", quiet), (f"{_PER_S:g} requests/s", asked)):
            yield Figure(what=f"{what}, {name}: tick p50", value=percentile(times.ticks, 50), unit="ms")
            yield Figure(what=f"{what}, {name}: tick p99", value=percentile(times.ticks, 99), unit="ms", target=target)
            yield Figure(what=f"{what}, {name}: loop lag p99", value=percentile(times.lags, 99), unit="ms")
        yield Figure(what=f"{what}: answers p99, of {answers['answers']}", value=answers["p99_ms"], unit="ms")
        yield Figure(what=f"{what}: server errors", value=len(answers["bad"]), unit="", target=0.0)


def _config(redis_url: str, machines: int) -> Json:
    config = a_config(redis_url, {"images": LIST}, machines=machines)
    config["providers"]["mock"]["stock"][0]["hosts"] = machines + 100
    return config


async def _measure(config: Json) -> tuple[_Times, _Times, Json]:
    async with live_app(config) as app:
        await app.tick()
        quiet = await _times(app)
        async with _served(app) as url, _load(url) as process:
            asked = await _times(app)
            said, _ = await process.communicate()
    return quiet, asked, json.loads(said)


async def _times(app: App) -> _Times:
    """Tick for a while, and look all the time how late the loop is."""
    times, loop, clock = _Times(), asyncio.get_running_loop(), SystemClock()
    until = loop.time() + _SECONDS

    async def look() -> None:
        while True:
            due = loop.time() + _LOOK_EVERY_S
            await clock.sleep(_LOOK_EVERY_S)
            times.lags.append(1000.0 * (loop.time() - due))

    looking = loop.create_task(look())
    while loop.time() < until:
        started = perf_counter()
        await app.tick()
        times.ticks.append(1000.0 * (perf_counter() - started))
        await clock.sleep(_TICK_EVERY_S)
    looking.cancel()
    return times


@asynccontextmanager
async def _served(app: App) -> AsyncIterator[str]:
    app.config = replace(app.config, http=replace(app.config.http, token=Secret(_TOKEN)))
    runner = await serve(api_of(app, SystemClock().now), "127.0.0.1:0")
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@asynccontextmanager
async def _load(url: str) -> AsyncIterator[Process]:
    """A process that has begun to ask, and asks a little longer than is measured."""
    words = (url, _TOKEN, f"{_PER_S:g}", f"{_SECONDS + 1.0:g}")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.support.api_load", *words, stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"asking\n"
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
