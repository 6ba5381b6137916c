"""How the daemon is put together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis.asyncio

from autoscaler.app import build
from autoscaler.config import load_config
from autoscaler.core.errors import NotFound, Rejected
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


async def test_every_call_of_a_provider_is_measured(redis_url: str) -> None:
    app = build(load_config(f"redis: {redis_url}\n{GOOD}", {}), clock=SystemClock())
    mock = app.providers["mock"]
    await mock.list_machines()
    with pytest.raises(NotFound):
        await mock.stop("nothing")
    await app.close()

    for call, result in (("list_machines", "ok"), ("stop", "not_found")):
        labels = {"provider": "mock", "call": call, "result": result}
        assert app.registry.get_sample_value("autoscaler_provider_call_seconds_count", labels) == 1


async def test_a_preview_can_change_nothing_at_a_provider(redis_url: str) -> None:
    app = build(load_config(f"redis: {redis_url}\n{GOOD}", {}), clock=SystemClock(), preview=True)
    mock = app.providers["mock"]
    await mock.list_machines()
    with pytest.raises(Rejected, match="dry run"):
        await mock.release("m1")
    await app.close()
