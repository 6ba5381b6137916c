# ruff: noqa: D102 - the docstrings of the contract hold
"""A provider around a provider whom several loops of one daemon ask: the same question of one moment is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Capabilities, Provider

T = TypeVar("T")


class Together(Generic[T]):
    """A question that whoever asks it in one turn of the event loop asks together.

    An answer to a question that has begun already is never given to one who asks later: when it was asked is evidence.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._gathering: asyncio.Task[T] | None = None
        self._waiting: dict[asyncio.Task[T], int] = {}

    async def __call__(self) -> T:
        task = self._gathering
        if task is None:
            task = self._gathering = asyncio.get_running_loop().create_task(self._begin(), name="asked together")
        self._waiting[task] = self._waiting.get(task, 0) + 1
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                del self._waiting[task]
                task.cancel()  # nobody waits for it any more
                self._gathering = None if self._gathering is task else self._gathering

    async def _begin(self) -> T:
        self._gathering = None
        return await self._ask()


class Shared:
    """A provider whose listing and balance are asked for once, however many ask in the same moment."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._list = Together(provider.list_machines)
        self._balance = Together(provider.balance_usd)

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def capabilities(self) -> Capabilities:
        return self._provider.capabilities

    async def list_machines(self) -> Listing:
        return await self._list()

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        return await self._provider.list_offers(placement, machine)

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        return await self._provider.rent(offer, machine, label=label)

    async def resume(self, provider_id: str) -> None:
        await self._provider.resume(provider_id)

    async def stop(self, provider_id: str) -> None:
        await self._provider.stop(provider_id)

    async def release(self, provider_id: str) -> None:
        await self._provider.release(provider_id)

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        await self._provider.set_bid(provider_id, usd_per_hour)

    async def balance_usd(self) -> float | None:
        return await self._balance()

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        return await self._provider.billed_usd(day)

    async def close(self) -> None:
        await self._provider.close()
