"""The stores, one fixture over all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from autoscaler.embedded import EmbeddedRedis
from tests.support.stores import Backend, MemoryBackend, RedisBackend


@pytest.fixture
def embedded_url() -> Iterator[str]:
    """The URL of an empty embedded Redis."""
    server = EmbeddedRedis()
    yield server.start()
    server.stop()


@pytest.fixture(params=["memory", "redis", "embedded"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    """Each store in turn."""
    opened: Backend
    if request.param == "memory":
        opened = MemoryBackend()
    else:
        opened = RedisBackend(request.getfixturevalue(f"{request.param}_url"))
    yield opened
    await opened.close()


@pytest.fixture(params=["redis", "embedded"])
async def redis_backend(request: pytest.FixtureRequest) -> AsyncIterator[RedisBackend]:
    """The store in Redis, in a real one and in the embedded one."""
    opened = RedisBackend(request.getfixturevalue(f"{request.param}_url"))
    yield opened
    await opened.close()


@pytest.fixture
async def real_backend(redis_url: str) -> AsyncIterator[RedisBackend]:
    """The store in a real Redis."""
    opened = RedisBackend(redis_url)
    yield opened
    await opened.close()
