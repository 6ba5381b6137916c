"""The whole daemon put together as for real, on a real Redis, with its machines already rented."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import yaml
from redis.asyncio import Redis

from autoscaler.app import App, build
from autoscaler.config import load_config
from autoscaler.core.instance import make_label
from autoscaler.core.lifecycle import Phase
from autoscaler.runtime.clock import SystemClock

FLEET = "attic"
Json = dict[str, Any]
_SETTLING_TICKS = 3  # found, up, everything stored

_TIERS = ("pro", "premium", "free")
LIST: Json = {
    "kind": "list",
    "tiers": [{"name": tier, "key": f"list:{tier}"} for tier in _TIERS],
    "timestamp": {"key": "job:{id}", "field": "created_at"},
    "in_flight_keys": ["list:running"],
}
STREAM: Json = {
    "kind": "stream",
    "group": "workers",
    "tiers": [{"name": tier, "key": f"stream:{tier}"} for tier in _TIERS],
}
ZSET: Json = {
    "kind": "zset",
    "score": "time",
    "tiers": [{"name": tier, "key": f"zset:{tier}"} for tier in _TIERS],
}


def a_config(redis_url: str, queues: Mapping[str, Json], *, machines: int, **settings: Any) -> Json:
    """A pool for each queue, each with so many machines or one more, in a market where all goes well at once."""
    pool = {
        "machine": {"image": "worker:1", "gpus": ["RTX 4090"]},
        "placements": [{"provider": "mock", "max_usd_per_hour": 5}],
        "limits": {"hot": f"{machines}..{machines + 1}", "warm": 0, "usd_per_day": {"warn": 10_000, "stop": 10_000}},
    }
    stock = [{"gpu": "RTX 4090", "region": "US", "on_demand": 0.5, "spot": 0.2, "hosts": 100}]
    return {
        "fleet": FLEET,
        "redis": redis_url,
        "pools": {name: {"queue": queue, **pool} for name, queue in queues.items()},
        "providers": {"mock": {"stock": stock, "setup": "0s", "faults": {"outbid": 0}}},
        **settings,
    }


class Jobs:
    """Producers and workers of the three queues."""

    def __init__(self, redis_url: str) -> None:
        self._client: Any = Redis.from_url(redis_url)
        self._ids = itertools.count()

    async def __aenter__(self) -> Self:
        for tier in _TIERS:
            await self._client.xgroup_create(f"stream:{tier}", "workers", mkstream=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def push(self, count: int) -> None:
        """So many more jobs in each tier of each queue."""
        now = SystemClock().now()
        async with self._client.pipeline(transaction=False) as pipe:
            for tier, job in itertools.product(_TIERS, itertools.islice(self._ids, count)):
                pipe.hset(f"job:{job}", "created_at", now)
                pipe.rpush(f"list:{tier}", job)
                pipe.xadd(f"stream:{tier}", {"job": job})
                pipe.zadd(f"zset:{tier}", {str(job): now})
            await pipe.execute()

    async def move_on(self) -> None:
        """One job of each tier is taken, and another one comes."""
        async with self._client.pipeline(transaction=False) as pipe:
            for tier in _TIERS:
                pipe.lpop(f"list:{tier}")
                pipe.xreadgroup("workers", "worker", {f"stream:{tier}": ">"}, count=1)
                pipe.zpopmin(f"zset:{tier}")
            await pipe.execute()
        await self.push(1)


@asynccontextmanager
async def live_app(config: Json) -> AsyncIterator[App]:
    """The daemon of a configuration, in its lead and with all machines HOT; it ticks when told to.

    Its machines are there before it starts, and it finds them by their labels.
    """
    loaded = load_config(yaml.safe_dump(config), {})
    app = build(loaded, clock=SystemClock())
    wanted = 0
    for name, pool in loaded.pools.items():
        for number in range(pool.limits.hot.low):
            mock, placement = app.providers["mock"], pool.placements[0]
            offer = (await mock.list_offers(placement, pool.machine))[0]
            await mock.rent(offer, pool.machine, label=make_label(FLEET, name, f"{name}{number}"))
            wanted += 1
    for _ in range(_SETTLING_TICKS + 1):
        await app.tick()
    report = app.board.report
    assert report is not None, app.board.error
    hot = [instance for instance in report.instances.values() if instance.phase is Phase.HOT]
    assert len(hot) == wanted == len(report.instances), "the fleet did not settle"
    yield app
    await app.stop()
    await app.close()
