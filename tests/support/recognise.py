"""What is recognised in a Redis under a test's control."""

from __future__ import annotations

from typing import Any

from autoscaler.discover import discover
from autoscaler.link import RedisLink
from tests.support.stores import HandClock


async def recognised(url: str) -> dict[Any, tuple[str, ...]]:
    """The settings of each queue that is found, whatever its kind, and the notes on them."""
    link = RedisLink(url)
    try:
        discovery = await discover(link, HandClock(), lambda _seen, _total: None)
    finally:
        await link.close()
    return {each.found.settings: each.found.notes for each in discovery.queues}
