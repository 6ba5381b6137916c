"""A provider on a clock that a test moves by hand, whichever it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from autoscaler.core.market import Offer, Remote
from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Provider
from providers.http import Http, Service
from providers.mock import Market

START = 1_800_000_000.0
"""2027-01-15, 08:00 UTC."""


@dataclass(frozen=True, slots=True)
class Means:
    """What an adapter is given."""

    now: Callable[[], float]
    http: Callable[[Service], Http]
    random: Callable[[int], random.Random] = random.Random


class BaseBench:
    """One provider, the market behind it, and their time."""

    provider: Provider
    placement: Placement
    """Where it rents unless told otherwise."""
    machine: MachineSpec
    """What it rents."""

    def __init__(self) -> None:
        self.now = START
        self._labels = map("ours-{}".format, count(1))

    @property
    def market(self) -> Market:
        """The truth."""
        raise NotImplementedError

    async def advance(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds

    async def offer(self, placement: Placement | None = None) -> Offer:
        """The cheapest offer."""
        return (await self.provider.list_offers(placement or self.placement, self.machine))[0]

    async def rent(self, placement: Placement | None = None, label: str = "") -> str:
        """Rent the cheapest offer, under a fresh label unless one is given."""
        offer = await self.offer(placement)
        return await self.provider.rent(offer, self.machine, label=label or next(self._labels))

    async def rent_running(self, placement: Placement | None = None) -> str:
        """Rent, and wait for the boot."""
        provider_id = await self.rent(placement)
        await self.advance(self.market.settings.setup.high)
        return provider_id

    async def rent_stopped(self, placement: Placement | None = None) -> str:
        """Rent, boot, and stop."""
        provider_id = await self.rent_running(placement)
        await self.provider.stop(provider_id)
        await self.advance(self.market.settings.stop.high)
        return provider_id

    async def listed(self) -> dict[str, Remote]:
        """What the listing shows, by provider id."""
        return {remote.provider_id: remote for remote in (await self.provider.list_machines()).machines}

    async def seen(self, provider_id: str) -> Remote:
        """One machine as listed."""
        return (await self.listed())[provider_id]

    def bill(self, provider_id: str) -> float:
        """What one machine truly cost so far, in USD."""
        return self.market.billed_usd(self.now)[provider_id]
