"""What an emulator is to whoever serves or asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from providers.http import Answer, Request
from providers.mock import Market


class Dropped(Exception):
    """The connection breaks off without an answer; what was asked may have been done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """A POST that a vendor makes of its own accord."""

    url: str
    headers: Mapping[str, str]
    body: bytes


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


class Telling(Emulator, Protocol):
    """A vendor's API, and what the vendor tells of its own accord."""

    def sends(self) -> Sequence[Sent]:
        """What it has to tell since this was asked last, for whoever serves it to send."""
        ...


async def never() -> NoReturn:
    """Wait for ever, as whoever asked does."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError
