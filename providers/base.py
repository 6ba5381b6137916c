"""The contract every provider adapter keeps.

An adapter translates; it does not decide. It holds no sleep, no retry, no metrics, no dry run: those are wrappers and
the loop. Raw JSON keys and status words of a cloud live in its ``wire.py`` and nowhere else.

* **Errors** are those of :mod:`autoscaler.core.errors` and say what to do next. Whatever does not certainly mean
  "nothing happened" is :class:`~autoscaler.core.errors.UnclearOutcome`: a time-out, a reset, a 5xx, an empty body.
* **Nothing is idempotent.** No cloud has an idempotency key, so `rent` puts the label, which holds a token unique to
  the call, into the create request itself. After an unclear outcome the caller looks for the label in the listing.
* **Listings are complete or an error.** A page that failed, a body that broke off, a row without an id: raise.
* **A call returns when the provider has accepted or refused.** It does not wait for the effect; the listing shows it.
* **Cancellation** may come at any await; an adapter leaves no session broken behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec, Placement

_RIGHT: ContextVar[Callable[[], bool]] = ContextVar("right to send", default=lambda: True)


def send_only_while(allowed: Callable[[], bool]) -> None:
    """Have what the present task sends from now on sent only while that holds, however long it waits before."""
    _RIGHT.set(allowed)


def may_send() -> bool:
    """Whether the present task may still send something; to be asked last before it is sent."""
    return _RIGHT.get()()


@dataclass(frozen=True, kw_only=True, slots=True)
class Capabilities:
    """What a provider can do, as data; nothing asks which class an adapter is."""

    can_stop: bool = True
    """Machines can be stopped and kept; else they can only be released."""
    can_spot: bool = True
    can_bid: bool = False
    """The bid of a running spot machine can be changed."""
    orders_at_once: int | None = None
    """Rents that it takes within some seconds; what is more has to wait its turn. None: any number."""
    list_every_s: float = 0.0
    """The listing is asked for no more often than this; it may need several requests, each with a least interval."""
    search_every_s: float = 0.0
    """The offers of one placement are asked for no more often than this."""


class Provider(Protocol):
    """One account at one provider."""

    @property
    def name(self) -> str:
        """The key under `providers` in the configuration."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do."""
        ...

    async def list_machines(self) -> Listing:
        """All machines of the account, ours and others.

        Raises:
            ProviderError: it could not be had whole.
        """
        ...

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        """What can be rented now for this placement, cheapest first, at one price the likeliest to be had.

        Every bound is checked again here.

        Where neither placement nor machine names a GPU type, any will do.

        Raises:
            ProviderError: it could not be had.
        """
        ...

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        """Rent one machine and give its provider id. The label goes into the create request.

        Raises:
            NoCapacity: the offer is gone.
            PartialLaunch: it failed and yet made a machine.
            UnclearOutcome: it may have been made.
            ProviderError: it was certainly not made.
        """
        ...

    async def resume(self, provider_id: str) -> None:
        """Start a stopped machine.

        Raises:
            NoCapacity: its GPU is taken. The provider may have queued the start: `stop` cancels that.
            NotFound: there is no such machine.
            ProviderError: see each.
        """
        ...

    async def stop(self, provider_id: str) -> None:
        """Stop a machine and keep its disk; also cancels a queued start. A stopped machine is no error.

        Raises:
            NotFound: there is no such machine.
            ProviderError: see each.
        """
        ...

    async def release(self, provider_id: str) -> None:
        """Give a machine back for good. A machine that is already gone is no error.

        Raises:
            ProviderError: it may still be there.
        """
        ...

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        """Change the bid of a spot machine.

        Raises:
            Rejected: this provider has no bids, or not this one.
            ProviderError: see each.
        """
        ...

    async def balance_usd(self) -> float | None:
        """Money left in the account; None where the provider does not tell."""
        ...

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        """What the provider billed each machine for a UTC day such as `2026-11-21`, in USD, by provider id.

        Machines that are gone count, too, and those of others. None where the provider does not tell.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
