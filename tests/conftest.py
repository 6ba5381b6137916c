"""Fixtures that every test may use."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator

import pytest
import redis
from hypothesis import settings

from tests.support.redis_server import RedisServer

pytest.register_assert_rewrite("providers.conformance")  # for readable failures
settings.register_profile("any-machine", deadline=None)  # a busy machine is no failure
settings.load_profile("any-machine")
asyncio.set_event_loop(None)  # looptime asks for the present loop; one made for it would never be closed


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real redis-server on a free loopback port."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty real Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url
