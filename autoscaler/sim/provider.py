"""The mock market's provider as simulations use it: it holds our own orders against the jobs in hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from autoscaler.core.errors import NoCapacity
from autoscaler.core.market import Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.mock import MockProvider, MockSettings, Series


class SimulatedProvider(MockProvider):
    """The mock provider, which also keeps account of what was ordered and what became of it."""

    def __init__(
        self,
        name: str,
        settings: MockSettings,
        *,
        now: Callable[[], float],
        rng: random.Random,
        series: Sequence[Series] = (),
    ) -> None:
        super().__init__(name, settings, now=now, rng=rng, series=series)
        self.killed = 0
        """Jobs in hand on machines that were ordered to stop or released. The daemon's must stay 0."""
        self.resumes = 0
        """Resumes ordered."""
        self.refused_resumes = 0
        self.placements: dict[str, str] = {}
        """Where each machine was ordered, by its label."""
        self.ordered_to_end: set[str] = set()
        """Machines that were ordered to stop or released since they were last resumed, by provider id."""
        self._offered: dict[str, str] = {}

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        """What can be rented now for this placement, cheapest first."""
        offers = await super().list_offers(placement, machine)
        self._offered.update((offer.offer_id, placement.label) for offer in offers)
        return offers

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        """Rent one machine and give its id."""
        self.placements[label] = self._offered.get(offer.offer_id, "")
        return await super().rent(offer, machine, label=label)

    async def resume(self, provider_id: str) -> None:
        """Start a stopped machine."""
        self.resumes += 1
        self.ordered_to_end.discard(provider_id)
        try:
            await super().resume(provider_id)
        except NoCapacity:
            self.refused_resumes += 1
            raise

    async def stop(self, provider_id: str) -> None:
        """Stop a machine and keep its disk."""
        self._order_end(provider_id)
        await super().stop(provider_id)

    async def release(self, provider_id: str) -> None:
        """Give a machine back for good."""
        self._order_end(provider_id)
        await super().release(provider_id)

    def _order_end(self, provider_id: str) -> None:
        self.market.settle(self._now())
        self.ordered_to_end.add(provider_id)
        machine = self.market.machines.get(provider_id)
        if machine is not None:
            self.killed += machine.busy
