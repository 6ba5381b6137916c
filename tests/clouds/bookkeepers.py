"""Adapters that keep books of their own, and so believe what is not, or do not look at what is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from autoscaler.core.errors import ProviderError, UnclearOutcome
from autoscaler.core.instance import parse_label
from autoscaler.core.market import Listing, Offer, Remote, Status
from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Capabilities, Provider
from tests.support.build import FLEET


class _Whole:
    """An adapter with every rule; those below take one away."""

    def __init__(self, whole: Provider) -> None:
        self.whole = whole

    @property
    def name(self) -> str:
        return self.whole.name

    @property
    def capabilities(self) -> Capabilities:
        return self.whole.capabilities

    async def list_machines(self) -> Listing:
        return await self.whole.list_machines()

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        return await self.whole.list_offers(placement, machine)

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        return await self.whole.rent(offer, machine, label=label)

    async def resume(self, provider_id: str) -> None:
        await self.whole.resume(provider_id)

    async def stop(self, provider_id: str) -> None:
        await self.whole.stop(provider_id)

    async def release(self, provider_id: str) -> None:
        await self.whole.release(provider_id)

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        await self.whole.set_bid(provider_id, usd_per_hour)

    async def balance_usd(self) -> float | None:
        return await self.whole.balance_usd()

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        return await self.whole.billed_usd(day)

    async def close(self) -> None:
        await self.whole.close()


class NextOffer(_Whole):
    """Takes the next offer where the last gave no clear answer."""

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        try:
            return await super().rent(offer, machine, label=label)
        except UnclearOutcome:
            placement = Placement(provider=self.name, buy=offer.buy, max_usd_per_hour=2.0)
            following = await self.list_offers(placement, machine)
            return await super().rent(following[0], machine, label=label)


class Reaps(_Whole):
    """Gives back what is not its own."""

    async def list_machines(self) -> Listing:
        listing = await super().list_machines()
        for remote in listing.machines:
            if parse_label(remote.label, FLEET) is None:
                await self.release(remote.provider_id)
        return listing


class _Told(_Whole):
    """Shows machines as it has made them up."""

    def shown(self, remote: Remote) -> Remote | None:
        raise NotImplementedError

    async def list_machines(self) -> Listing:
        listing = await super().list_machines()
        machines = tuple(shown for remote in listing.machines if (shown := self.shown(remote)))
        return replace(listing, machines=machines)


class ReleasedIsGone(_Told):
    """Takes a machine for gone once it has said that it is to go, be that refused or not."""

    def __init__(self, whole: Provider) -> None:
        super().__init__(whole)
        self._released: set[str] = set()

    async def release(self, provider_id: str) -> None:
        self._released.add(provider_id)
        try:
            await super().release(provider_id)
        except ProviderError:
            return

    def shown(self, remote: Remote) -> Remote | None:
        return None if remote.provider_id in self._released else remote


class StoppedIsStopped(_Told):
    """Takes a machine for stopped once that was answered."""

    def __init__(self, whole: Provider) -> None:
        super().__init__(whole)
        self._stopped: set[str] = set()

    async def resume(self, provider_id: str) -> None:
        await super().resume(provider_id)
        self._stopped.discard(provider_id)

    async def stop(self, provider_id: str) -> None:
        self._stopped.add(provider_id)
        try:
            await super().stop(provider_id)
        except ProviderError:
            return

    def shown(self, remote: Remote) -> Remote | None:
        if remote.provider_id not in self._stopped:
            return remote
        return replace(remote, status=Status.STOPPED, burn_usd_per_hour=remote.disk_usd_per_hour)


class ExitedHasFailed(_Told):
    """Knows up and down, and nothing between."""

    def shown(self, remote: Remote) -> Remote | None:
        return replace(remote, status=Status.FAILED) if remote.status is Status.UNKNOWN else remote


class AsOrdered(_Told):
    """Never looks at what a machine costs, is let as, and stands on: it knows what it ordered."""

    def __init__(self, whole: Provider) -> None:
        super().__init__(whole)
        self._ordered: dict[str, Offer] = {}

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        made = await super().rent(offer, machine, label=label)
        self._ordered[made] = offer
        return made

    def shown(self, remote: Remote) -> Remote | None:
        offer = self._ordered.get(remote.provider_id)
        if offer is None:
            return remote
        burn = min(remote.burn_usd_per_hour, offer.usd_per_hour)
        return replace(remote, buy=offer.buy, host=offer.host, usd_per_hour=offer.usd_per_hour, burn_usd_per_hour=burn)
