# ruff: noqa: D102 - the docstrings of the contract hold
"""A provider around a provider that tells how each call ended and how long it took."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from autoscaler.core.decision import Result, result_of
from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Capabilities, Provider

Tell = Callable[[str, str, Result, float], None]
"""Called with the provider's name, the call as the contract names it, how it ended, and the seconds it took."""

T = TypeVar("T")


class Instrumented:
    """A provider whose calls are told of; `now` gives seconds. A call that was given up counts as unclear."""

    def __init__(self, provider: Provider, tell: Tell, now: Callable[[], float]) -> None:
        self._provider = provider
        self._tell = tell
        self._now = now

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def capabilities(self) -> Capabilities:
        return self._provider.capabilities

    async def list_machines(self) -> Listing:
        return await self._timed("list_machines", self._provider.list_machines())

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        return await self._timed("list_offers", self._provider.list_offers(placement, machine))

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        return await self._timed("rent", self._provider.rent(offer, machine, label=label))

    async def resume(self, provider_id: str) -> None:
        await self._timed("resume", self._provider.resume(provider_id))

    async def stop(self, provider_id: str) -> None:
        await self._timed("stop", self._provider.stop(provider_id))

    async def release(self, provider_id: str) -> None:
        await self._timed("release", self._provider.release(provider_id))

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        await self._timed("set_bid", self._provider.set_bid(provider_id, usd_per_hour))

    async def balance_usd(self) -> float | None:
        return await self._timed("balance_usd", self._provider.balance_usd())

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        return await self._timed("billed_usd", self._provider.billed_usd(day))

    async def close(self) -> None:
        await self._provider.close()

    async def _timed(self, call: str, answer: Awaitable[T]) -> T:
        began, result = self._now(), Result.OK
        try:
            return await answer
        except BaseException as error:
            result = result_of(error)
            raise
        finally:
            self._tell(self.name, call, result, max(0.0, self._now() - began))
