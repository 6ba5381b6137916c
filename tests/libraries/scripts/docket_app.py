"""A task of docket, for workers."""

import os
from datetime import timedelta

import redis.asyncio
from docket import Retry

_ONCE_MORE = Retry(attempts=2, delay=timedelta(hours=1))


async def hold(name: str, retry: Retry = _ONCE_MORE):
    """Run until the test lets it go."""
    async with redis.asyncio.from_url(os.environ["REDIS_URL"], socket_timeout=None) as client:
        await client.rpush("started", name)
        _, said = await client.blpop([f"release:{name}"])
    if said == b"retry":
        raise RuntimeError(name)


tasks = [hold]
