# ruff: noqa: D102 - the docstrings of the contract hold
"""A provider around a provider whose words are harmless: printable, short, and without our secrets.

Whatever a vendor, or one of its hosts, says comes in through here, whichever adapter it is: names and states of
machines and offers, notices, refusals. Vendors repeat what they were sent, so that a key or the environment of a
container may stand in a refusal; it must not reach a record, the journal or a page. Secrets are looked for in sentences
alone: a value of a container's environment may well be the name of a GPU.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from autoscaler.core.errors import ProviderError, UnclearOutcome
from autoscaler.core.market import Listing, Offer, Remote
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.core.words import MOST_NAME, MOST_SAID, one_line
from providers.base import Provider
from providers.wrapper import Wrapper

_READ = 8 * MOST_SAID
"""Characters that secrets are looked for in; the rest is cut off unseen, for a vendor may send megabytes."""
_CHANGED = "…"
_OF_REMOTE = ("provider_id", "label", "gpu", "region", "host", "address")
_OF_OFFER = ("offer_id", "gpu", "region", "host")

T = TypeVar("T")
Named = TypeVar("Named", Remote, Offer)


class Cleaned(Wrapper):
    """A provider whose words are fit to be kept and shown; `quiet` takes secrets out of a text."""

    def __init__(self, provider: Provider, quiet: Callable[[str], str]) -> None:
        super().__init__(provider)
        self._quiet = quiet

    async def list_machines(self) -> Listing:
        listing = await super().list_machines()
        machines = tuple(self._machine(remote) for remote in listing.machines)
        return replace(listing, machines=machines, notices=tuple(map(self._said, listing.notices)))

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        offers = await super().list_offers(placement, machine)
        return [_named(offer, _OF_OFFER) for offer in offers]

    async def _call(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """An answer, or its refusal in words that may be shown.

        What an adapter should not have let through is as unclear as it was, and quotes whatever it likes.
        """
        try:
            return await super()._call(name, call)
        except ProviderError as error:
            error.args = (self._said(str(error)),)
            raise error from None
        except Exception as error:  # noqa: BLE001 - see above
            raise UnclearOutcome(self._said(f"{type(error).__name__}: {error}")) from None

    def _said(self, text: str) -> str:
        return one_line(self._quiet(text[:_READ]), MOST_SAID)

    def _machine(self, remote: Remote) -> Remote:
        named = _named(remote, _OF_REMOTE)
        detail = self._said(named.detail) if named.detail else ""
        return named if detail == named.detail else replace(named, detail=detail)


def _named(row: Named, names: Sequence[str]) -> Named:
    """A row whose names are fit to be shown; the same one where they were."""
    told = {name: getattr(row, name) for name in names}
    clean = {name: _name(text) for name, text in told.items() if text}
    changed: dict[str, Any] = {name: text for name, text in clean.items() if text != told[name]}
    return replace(row, **changed) if changed else row


def _name(text: str) -> str:
    """A name that is fit to be shown, with a mark at its end where anything had to be changed.

    With a line break taken away, a stranger's label would read as one of ours, and an id as another machine's.
    """
    shown = one_line(text, MOST_NAME)
    return shown if shown == text else f"{one_line(text, MOST_NAME - 1).removesuffix(_CHANGED)}{_CHANGED}"
