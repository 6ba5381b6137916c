"""A worker of streaq and its task; the environment says how many tasks it runs and takes."""

import os

import redis.asyncio
from streaq import StreaqRetry, Worker

URL = os.environ["REDIS_URL"]
worker = Worker(
    redis_url=URL,
    queue_name="gpu",
    priorities=["low", "high"],
    concurrency=int(os.environ.get("CONCURRENCY", "1")),
    prefetch=int(os.environ.get("PREFETCH", "1")),
    idle_timeout=float(os.environ.get("IDLE_TIMEOUT", "60")),
    grace_period=30,
)


@worker.task(timeout=60)
async def hold(name):
    """Run until the test lets it go."""
    async with redis.asyncio.from_url(URL, socket_timeout=None) as client:
        await client.rpush("started", name)
        _, said = await client.blpop([f"release:{name}"])
    if said == b"retry":
        raise StreaqRetry(delay=3600)
