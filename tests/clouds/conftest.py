"""Everything here runs on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from autoscaler.sim.virtual import VirtualLoop
from tests.clouds.days import Calm


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}


@pytest.fixture(scope="session")
def calm() -> Calm:
    """What a day costs and serves on which nothing goes wrong, once known."""
    return Calm()
