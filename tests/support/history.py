"""A history as a daemon keeps it."""

from __future__ import annotations

import asyncio

from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import PoolSample, Sample, TierSample
from autoscaler.link import RedisLink
from autoscaler.runtime.ports import Changes
from autoscaler.store.redis import RedisStore

HOUR, MINUTE = 3600.0, 60.0
MORNING = 1_795_248_000.0  # 2026-11-21T08:00 UTC


def minutes(count: int, *, begin: float = MORNING, counted: bool = True, arrived: int = 2) -> list[Sample]:
    pool = PoolSample(
        tiers={"pro": TierSample(arrived, arrived, 0, None)},
        seen_s=MINUTE,
        counted=counted,
        busy_s=80.0,
        in_flight=1,
        machine_s={Phase.HOT: 120.0, Phase.WARM: 60.0},
        usd=0.01,
    )
    return [
        Sample(at=at, until=at + MINUTE, pools={"images": pool}) for at in (begin + MINUTE * n for n in range(count))
    ]


def keep(redis_url: str, samples: list[Sample]) -> None:
    """Write samples as the daemon does."""

    async def commit() -> None:
        link = RedisLink(redis_url)
        store = RedisStore(link, "f", "a daemon")
        await store.read()
        await store.commit(Changes(samples=tuple(samples)))
        await link.close()

    asyncio.run(commit())
