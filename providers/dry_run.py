# ruff: noqa: D102 - the docstrings of the contract hold
"""Dry run: a provider that can be asked everything and told nothing.

It is a wrapper, so that `plan` and `run --dry-run` share every line with `run`. Of what it wraps it keeps the reading
calls and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Never, Protocol

from autoscaler.core.errors import Rejected
from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Capabilities

_KEPT = 1000


class Reads(Protocol):
    """The calls of a provider that change nothing; see :class:`providers.base.Provider`."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    async def list_machines(self) -> Listing: ...

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]: ...

    async def balance_usd(self) -> float | None: ...

    async def billed_usd(self, day: str) -> Mapping[str, float] | None: ...

    async def close(self) -> None: ...


class DryRun:
    """A provider whose reads are real, and whose other calls are recorded and raise `Rejected`."""

    def __init__(self, provider: Reads) -> None:
        self.name = provider.name
        self.capabilities = provider.capabilities
        # Only these are kept of the provider, so that no mistake here can change anything.
        self.list_machines = provider.list_machines
        self.list_offers = provider.list_offers
        self.balance_usd = provider.balance_usd
        self.billed_usd = provider.billed_usd
        self.close = provider.close
        self.refused: deque[str] = deque(maxlen=_KEPT)
        """What would have been done, oldest first; the last thousand."""

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        price = f"{offer.gpu} in {offer.region} at {offer.usd_per_hour:.3f} USD per hour, {offer.buy}"
        self._refuse(f"rent {price}, offer {offer.offer_id}, image {machine.image}, as {label}")

    async def resume(self, provider_id: str) -> None:
        self._refuse(f"resume {provider_id}")

    async def stop(self, provider_id: str) -> None:
        self._refuse(f"stop {provider_id}")

    async def release(self, provider_id: str) -> None:
        self._refuse(f"release {provider_id}")

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        self._refuse(f"bid {usd_per_hour} USD per hour on {provider_id}")

    def _refuse(self, what: str) -> Never:
        self.refused.append(what)
        raise Rejected(f"dry run: would {what}")
