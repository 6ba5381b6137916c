"""What an emulator is to whoever serves or asks it."""

from __future__ import annotations

import asyncio
from typing import NoReturn, Protocol

from providers.http import Answer, Request
from providers.mock import Market


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
