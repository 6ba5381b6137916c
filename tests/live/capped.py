"""A provider that cannot spend more than a cap, and the end of all that a run has rented."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from autoscaler.core.errors import InsufficientFunds, NoCapacity, ProviderError
from autoscaler.core.instance import parse_label
from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec
from autoscaler.runtime.ports import Clock
from providers.base import Capabilities, Provider

FLEET = "conformance"
"""The fleet in the labels of all that the suite rents. Whatever carries it is the suite's, of whichever run."""
RESERVE_S = 600.0
"""So much money is kept for each machine that may bill, so that it is gone before the cap is reached, not after."""
_PATIENCE_S, _SETTLE_S, _LOOK_EVERY_S = 1800.0, 60.0, 10.0


@dataclass(kw_only=True, slots=True)
class _Tab:
    """What one machine can have cost at most: its highest price, since before it was rented, stopped or not."""

    usd_per_hour: float
    traffic_usd: float
    since: float
    until: float | None = None

    def usd(self, now: float) -> float:
        return self.traffic_usd + self.usd_per_hour * ((self.until or now) - self.since) / 3600.0


class Capped:
    """A provider that refuses what costs money, and waiting beside a machine that bills, where the cap could be passed.

    A rent is let off again only where the offer is certainly gone: after any other failure something may bill.
    """

    def __init__(self, provider: Provider, clock: Clock, cap_usd: float) -> None:
        self._provider = provider
        self._clock = clock
        self._cap_usd = cap_usd
        self._tabs: list[_Tab] = []
        self._tab_of: dict[str, _Tab] = {}
        self._released: set[str] = set()
        self.name = provider.name
        self.list_offers = provider.list_offers
        self.stop = provider.stop
        self.balance_usd = provider.balance_usd
        self.billed_usd = provider.billed_usd
        self.close = provider.close

    @property
    def capabilities(self) -> Capabilities:
        return self._provider.capabilities

    @property
    def rented(self) -> frozenset[str]:
        """Ids of all that was rented and is not proven gone."""
        return frozenset(name for name, tab in self._tab_of.items() if tab.until is None)

    @property
    def spent_usd(self) -> float:
        """The most that can have been spent up to now."""
        now = self._clock.now()
        return sum(tab.usd(now) for tab in self._tabs)

    async def list_machines(self) -> Listing:
        listing = await self._provider.list_machines()
        there = {remote.provider_id: remote for remote in listing.machines}
        for name in self.rented:
            tab, remote = self._tab_of[name], there.get(name)
            if remote is not None:
                tab.usd_per_hour = max(tab.usd_per_hour, remote.usd_per_hour, remote.burn_usd_per_hour)
            elif name in self._released:
                tab.until = self._clock.now()
        if self.rented - self._released:  # nobody waits for what is released but for its end
            self._keep_reserve()
        return listing

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        assert parse_label(label, FLEET), "the suite could not find it again"
        tab = _Tab(
            usd_per_hour=offer.usd_per_hour,
            traffic_usd=offer.usd_per_gb * machine.download_gb,
            since=self._clock.now(),
        )
        self._keep_reserve(tab)
        self._tabs.append(tab)
        try:
            provider_id = await self._provider.rent(offer, machine, label=label)
        except NoCapacity:
            self._tabs.remove(tab)
            raise
        self._tab_of[provider_id] = tab
        return provider_id

    async def resume(self, provider_id: str) -> None:
        self._keep_reserve()
        await self._provider.resume(provider_id)

    async def release(self, provider_id: str) -> None:
        await self._provider.release(provider_id)
        self._released.add(provider_id)

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        if tab := self._tab_of.get(provider_id):
            tab.usd_per_hour = max(tab.usd_per_hour, usd_per_hour)
        self._keep_reserve()
        await self._provider.set_bid(provider_id, usd_per_hour)

    def _keep_reserve(self, more: _Tab | None = None) -> None:
        billing = [tab for tab in self._tabs if tab.until is None] + ([more] if more else [])
        reserve = sum(tab.usd_per_hour for tab in billing) * RESERVE_S / 3600.0 + (more.traffic_usd if more else 0.0)
        if self.spent_usd + reserve > self._cap_usd:
            raise InsufficientFunds(
                f"the cap of this run: at most {self.spent_usd:.2f} USD are spent, {reserve:.2f} must be kept for what "
                f"may bill, and --spend-usd is {self._cap_usd:.2f}"
            )


async def release_all(
    provider: Provider, clock: Clock, rented: Iterable[str] = (), *, settle: bool = True
) -> list[str]:
    """Release what is known to be rented and whatever carries the suite's label; gives what is left over.

    It is over when the listing shows nothing of ours; with `settle` for a minute, for what was just made shows late.
    """
    began, clean_since = clock.now(), None
    left = sorted(rented)
    while clock.now() - began < _PATIENCE_S:
        for provider_id in left:
            with suppress(ProviderError):
                await provider.release(provider_id)
        try:
            listing = await provider.list_machines()
        except ProviderError:
            clean_since = None
        else:
            left = [each.provider_id for each in listing.machines if parse_label(each.label, FLEET)]
            clean_since = None if left else clean_since or clock.now()
            if clean_since and (not settle or clock.now() - clean_since >= _SETTLE_S):
                return []
        await clock.sleep(_LOOK_EVERY_S)
    return left or ["unknown: the listing cannot be had"]
