"""One daemon and several Redis: one for the store, one for all pools, and one of a pool's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from autoscaler.app import build
from autoscaler.config import load_config
from autoscaler.core.demand import Demand
from autoscaler.core.errors import SettingsError
from autoscaler.runtime.clock import SystemClock
from tests.support.live import LIST, a_config, live_app
from tests.support.redis_server import RedisServer


@pytest.fixture
def other(tmp_path: Path) -> Iterator[RedisServer]:
    """A second empty Redis."""
    with RedisServer(tmp_path) as server:
        yield server


async def test_each_pool_is_read_where_its_queue_lies_and_the_store_is_written_elsewhere(
    redis_url: str, redis_server: RedisServer, other: RedisServer
) -> None:
    config = a_config(redis_url, {"one": LIST, "two": LIST, "three": LIST}, machines=1, store=f"{other.url}/3")
    config["pools"]["two"]["redis"] = {"url": redis_url, "db": 5}
    config["pools"]["three"]["redis"] = other.url
    redis_server.do("RPUSH", "list:pro", "a")
    redis_server.do("RPUSH", "untouched", "x")
    other.do("RPUSH", "list:pro", "a", "b", "c")
    async with live_app(config) as app:
        assert set(app.links) == {"redis", "pools.two.redis", "pools.three.redis", "store"}
        report = await app.loops[0].tick()
    demands = {name: pool.snapshot.demand for name, pool in report.pools.items()}
    waiting = {name: demand.waiting for name, demand in demands.items() if isinstance(demand, Demand)}
    assert waiting == {"one": 1, "two": 0, "three": 3}
    assert redis_server.do("DBSIZE") == 2
    assert str(other.do("INFO", "keyspace")).count("'keys'") == 2


async def test_a_pool_whose_redis_hangs_takes_half_a_tick_from_the_others_and_no_more(
    redis_url: str, other: RedisServer
) -> None:
    config = a_config(redis_url, {"one": LIST, "two": LIST}, machines=1, tick="1s")
    config["pools"]["two"]["redis"] = other.url
    async with live_app(config) as app:
        os.kill(other.pid, signal.SIGSTOP)
        report = await app.loops[0].tick()
        os.kill(other.pid, signal.SIGCONT)
    assert isinstance(report.pools["one"].snapshot.demand, Demand)
    assert "within 0.5s, half a tick" in str(report.pools["two"].snapshot.demand)


async def test_each_redis_that_refuses_us_is_named_by_its_setting_and_one_that_is_away_is_no_error(
    redis_url: str,
) -> None:
    refused = redis_url.replace("//", "//nobody:hunter2@")
    config = a_config("redis://127.0.0.1:1", {"one": LIST, "two": LIST}, machines=1, store=f"{refused}/1")
    config["pools"]["two"]["redis"] = refused
    app = build(load_config(yaml.safe_dump(config), {}), clock=SystemClock())
    with pytest.raises(SettingsError) as refusal:
        await app.check_access()
    await app.close()
    assert [line.partition(": ")[0] for line in refusal.value.problems] == ["pools.two.redis", "store"]
    assert "hunter2" not in str(refusal.value)
