# ruff: noqa: D102 - the docstrings of the contract hold
"""A provider around a provider: every call passes through one place, which a subclass makes its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Capabilities, Provider

T = TypeVar("T")


class Wrapper:
    """Passes every call on. It is no layer of its own: a subclass changes what is passed on, or how."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def capabilities(self) -> Capabilities:
        return self._provider.capabilities

    async def list_machines(self) -> Listing:
        return await self._call("list_machines", self._provider.list_machines)

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        return await self._call("list_offers", lambda: self._provider.list_offers(placement, machine))

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        return await self._call("rent", lambda: self._provider.rent(offer, machine, label=label))

    async def resume(self, provider_id: str) -> None:
        await self._call("resume", lambda: self._provider.resume(provider_id))

    async def stop(self, provider_id: str) -> None:
        await self._call("stop", lambda: self._provider.stop(provider_id))

    async def release(self, provider_id: str) -> None:
        await self._call("release", lambda: self._provider.release(provider_id))

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        await self._call("set_bid", lambda: self._provider.set_bid(provider_id, usd_per_hour))

    async def balance_usd(self) -> float | None:
        return await self._call("balance_usd", self._provider.balance_usd)

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        return await self._call("billed_usd", lambda: self._provider.billed_usd(day))

    async def close(self) -> None:
        await self._provider.close()

    async def _call(self, name: str, call: Callable[[], Awaitable[T]]) -> T:  # noqa: ARG002 - a subclass may ask for it
        """Make a call of the contract, which is named as there."""
        return await call()
