"""The whole tick of an ordinary fleet, on a real Redis on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from tests.benchmarks.figures import Figure, percentile
from tests.support.live import LIST, STREAM, ZSET, Jobs, a_config, live_app
from tests.support.redis_server import RedisServer

_MACHINES = 10
_TICKS = 500
_WARM_UP = 50
_TARGET_MS = 10.0


def tick() -> Iterator[Figure]:
    """Each kind of queue with three tiers and ten machines; on each tick the next job of each tier is another one."""
    for kind, queue in (("list", LIST), ("stream", STREAM), ("zset", ZSET)):
        with TemporaryDirectory() as directory:
            server = RedisServer(Path(directory))
            server.start()
            times_ms = asyncio.run(_ticks_ms(a_config(server.url, {kind: queue}, machines=_MACHINES)))
            server.stop()
        what = f"tick: {kind} with 3 tiers, {_MACHINES} machines"
        yield Figure(what=f"{what}, p50", value=percentile(times_ms, 50), unit="ms")
        yield Figure(what=f"{what}, p99", value=percentile(times_ms, 99), unit="ms", target=_TARGET_MS)


async def _ticks_ms(config: dict[str, object]) -> list[float]:
    times_ms = []
    async with Jobs(str(config["redis"])) as jobs:
        await jobs.push(3)
        async with live_app(config) as app:
            for _ in range(_WARM_UP + _TICKS):
                await jobs.move_on()
                started = perf_counter()
                await app.loops[0].tick()
                times_ms.append(1000.0 * (perf_counter() - started))
    return times_ms[_WARM_UP:]
