"""The mock's account with what real providers tell besides: notices, ends of contracts, balances, bills, pages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from autoscaler.core.errors import Transient
from autoscaler.core.market import Listing
from providers.base import Capabilities
from providers.mock import MockProvider
from tests.support.rehearsal import Rehearsal


class Teller(MockProvider):
    """A provider over the market of a rehearsal, or over one of its own, that tells what a test lets it tell."""

    def __init__(self, world: Rehearsal, name: str = "mock", *, capabilities: Capabilities | None = None) -> None:
        settings, rng = world.market.settings, world.provider.market._rng
        super().__init__(name, settings, now=world.clock.now, rng=rng)
        if name == "mock":
            self.market = world.market
        self.capabilities = capabilities or MockProvider.capabilities
        self.notices: tuple[str, ...] = ()
        self.ends_at: dict[str, float] = {}
        """By provider id."""
        self.balance: float | None = None
        self.balance_fails = False
        self.bills: dict[str, Mapping[str, float]] = {}
        """By day; of others it tells nothing."""
        self.page_s = 0.0
        """A listing's second half comes this much later than its first."""
        self.listed_at: list[float] = []

    async def list_machines(self) -> Listing:
        self.listed_at.append(self._now())
        listing = await super().list_machines()
        machines = listing.machines
        if self.page_s:
            await pause(self.page_s)
            later = (await super().list_machines()).machines
            first = machines[: (len(machines) + 1) // 2]
            shown = {remote.provider_id for remote in first}
            machines = (*first, *(remote for remote in later if remote.provider_id not in shown))
        ends = tuple(replace(remote, ends_at=self.ends_at.get(remote.provider_id)) for remote in machines)
        return replace(listing, machines=ends, notices=self.notices)

    async def balance_usd(self) -> float | None:
        if self.balance_fails:
            raise Transient("503")
        return self.balance

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        return self.bills.get(day)


async def pause(seconds: float) -> None:
    """Let virtual time go by inside a provider."""
    try:
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()
    except TimeoutError:
        return
