"""A mock provider on a clock that a test moves by hand."""

from __future__ import annotations

import random
from dataclasses import replace

from autoscaler.core.market import Offer, Remote
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.core.units import DurationRange
from providers.mock import Fault, MockProvider, MockSettings

HOUR = 3600.0
MACHINE = MachineSpec(image="ghcr.io/acme/worker:1.0", gpus=("RTX 4090",), slots=2, env={"MODE": "fast"})
ON_DEMAND = Placement(provider="mock", max_usd_per_hour=2.0)
SPOT = replace(ON_DEMAND, buy="spot")

CALM = MockSettings(
    setup=DurationRange(1800.0, 1800.0),
    resume=DurationRange(180.0, 180.0),
    stop=DurationRange(10.0, 10.0),
    let_to_others=DurationRange(HOUR, HOUR),
    offline=DurationRange(600.0, 600.0),
    listing_lag=DurationRange(60.0, 60.0),
    faults={Fault.RESUME_REFUSED: 0.0, Fault.OUTBID: 0.0},
)
"""A market in which nothing goes wrong and every duration is known."""


class Bench:
    """One mock provider and its time."""

    def __init__(self, settings: MockSettings = CALM, *, seed: int = 7, start: float = 1_800_000_000.0) -> None:
        self.now = start
        self.provider = MockProvider("mock", settings, now=lambda: self.now, rng=random.Random(seed))
        self.market = self.provider.market
        self._labels = 0

    async def advance(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds

    async def offer(self, placement: Placement = ON_DEMAND) -> Offer:
        """The cheapest offer."""
        return (await self.provider.list_offers(placement, MACHINE))[0]

    async def rent(self, placement: Placement = ON_DEMAND) -> str:
        """Rent the cheapest offer under a fresh label."""
        offer = await self.offer(placement)
        self._labels += 1
        return await self.provider.rent(offer, MACHINE, label=f"ours-{self._labels}")

    async def rent_running(self, placement: Placement = ON_DEMAND) -> str:
        """Rent, and wait for the boot."""
        provider_id = await self.rent(placement)
        await self.advance(self.market.settings.setup.high)
        return provider_id

    async def rent_stopped(self, placement: Placement = ON_DEMAND) -> str:
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
        """What one machine has cost so far, in USD."""
        return self.market.billed_usd(self.now)[provider_id]
