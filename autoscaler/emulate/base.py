"""What an emulator is to whoever serves or asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn, Protocol

from autoscaler.core.units import DurationRange
from providers.http import Answer, Request
from providers.mock import Market

QUICK: Mapping[str, Any] = MappingProxyType(
    {
        "setup": DurationRange(20.0, 40.0),
        "resume": DurationRange(5.0, 15.0),
        "stop": DurationRange(1.0, 3.0),
        "let_to_others": DurationRange(60.0, 180.0),
        "offline": DurationRange(30.0, 120.0),
        "listing_lag": DurationRange(5.0, 20.0),
    }
)
"""The market's durations where an emulation names none: fit for somebody who looks on."""


class Dropped(Exception):
    """The connection breaks off without an answer; what was asked may have been done."""


class Emulator(Protocol):
    """A vendor's API over a market."""

    @property
    def market(self) -> Market:
        """The truth behind it, for tests to look at."""
        ...

    async def handle(self, request: Request) -> Answer:
        """The vendor's answer. Where the vendor never answers, this never returns.

        Raises:
            Dropped: the connection breaks off.
        """
        ...


async def never() -> NoReturn:
    """Wait for ever, as whoever asked does."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError
