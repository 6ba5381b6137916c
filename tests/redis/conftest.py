"""Redis in every way that it is reached."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis_cluster import RedisCluster


@pytest.fixture(autouse=True)
def _installed() -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three nodes."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    cluster = RedisCluster(Path(tmp_path_factory.mktemp("cluster")))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def cluster(running_cluster: RedisCluster) -> RedisCluster:
    """An empty Cluster of three nodes."""
    running_cluster.flush()
    return running_cluster
