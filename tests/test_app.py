"""How the daemon is put together."""

from __future__ import annotations

from dataclasses import replace

import redis.asyncio

from autoscaler.app import build
from autoscaler.config import load_config
from autoscaler.runtime.clock import SystemClock
from tests.support.config import GOOD


async def test_the_lease_outlives_the_tick_that_renews_it(redis_url: str) -> None:
    config = replace(load_config(f"redis: {redis_url}\n{GOOD}", {}), tick=60.0)
    app = build(config, clock=SystemClock())
    client = redis.asyncio.from_url(redis_url)

    await app.store.read()
    [lease] = await client.keys("*:lease")
    left_ms = await client.pttl(lease)
    await client.aclose()
    await app.close()

    assert left_ms > 1000 * 2 * config.tick
