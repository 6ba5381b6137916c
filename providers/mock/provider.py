"""The mock market behind the provider contract, and the faults of the line between us and it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from autoscaler.core.errors import AuthFailed, RateLimited, SettingsError, Transient, UnclearOutcome
from autoscaler.core.market import Listing, Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Capabilities
from providers.mock.faults import Fault, Operation, Struck
from providers.mock.market import Market
from providers.mock.scenario import read_scenario
from providers.mock.series import Series
from providers.mock.settings import MockSettings
from providers.mock.state import StateFile

T = TypeVar("T")
_RETRY_AFTER_S = 30.0


class MockProvider:
    """One account in a small market that behaves as badly as it is told to."""

    capabilities = Capabilities(can_bid=True)

    def __init__(
        self,
        name: str,
        settings: MockSettings,
        *,
        now: Callable[[], float],
        rng: random.Random,
        series: Sequence[Series] = (),
    ) -> None:
        """Open the market, or take it up where its state file left it.

        Of the series, those are followed that are of kinds in stock; their time begins with the first call.

        Raises:
            SettingsError: the scenario file or the state file is bad.
        """
        scenario = settings.scenario
        if settings.scenario_file is not None:
            with _problems_of(f"providers.{name}.scenario_file"):
                scenario += read_scenario(Path(settings.scenario_file))
        self.name = name
        self.market = Market(name, settings, scenario, rng, series)
        self._now = now
        self._file: StateFile | None = None
        self._changes = 0
        if settings.state_file is not None:
            with _problems_of(f"providers.{name}.state_file"):
                self._file = StateFile(Path(settings.state_file))
                if (state := self._file.read()) is not None:
                    self.market.load(state)

    async def list_machines(self) -> Listing:
        """All machines of the account, or what the faults leave of them."""
        now = self._now()
        struck = self.market.strike(Operation.LIST, now)
        if struck:
            await _strike_before(struck)
        return Listing(asked_at=now, machines=self.market.listing(now, struck))

    async def list_offers(self, placement: Placement, machine: MachineSpec) -> Sequence[Offer]:
        """What can be rented now for this placement, cheapest first."""
        now = self._now()
        struck = self.market.strike(Operation.OFFERS, now)
        await _strike_before(struck)
        return self.market.offers(now, placement, machine, struck)

    async def rent(self, offer: Offer, machine: MachineSpec, *, label: str) -> str:
        """Rent one machine and give its id."""
        return await self._change(
            Operation.RENT, lambda now, struck: self.market.rent(now, offer, machine, label, struck)
        )

    async def resume(self, provider_id: str) -> None:
        """Start a stopped machine."""
        await self._change(Operation.RESUME, lambda now, struck: self.market.resume(now, provider_id, struck))

    async def stop(self, provider_id: str) -> None:
        """Stop a machine and keep its disk; also cancels a queued start."""
        await self._change(Operation.STOP, lambda now, struck: self.market.stop(now, provider_id, struck))

    async def release(self, provider_id: str) -> None:
        """Give a machine back for good."""
        await self._change(Operation.RELEASE, lambda now, struck: self.market.release(now, provider_id, struck))

    async def set_bid(self, provider_id: str, usd_per_hour: float) -> None:
        """Change the bid of a spot machine."""
        await self._change(Operation.SET_BID, lambda now, _: self.market.set_bid(now, provider_id, usd_per_hour))

    async def balance_usd(self) -> float | None:
        """Money left in the account; None when it never runs out."""
        now = self._now()
        await _strike_before(self.market.strike(Operation.BALANCE, now))
        return self.market.balance_usd(now)

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:  # noqa: ARG002 - the signature is the contract's
        """Its meters know no days."""
        return None

    async def close(self) -> None:
        """Nothing is held open."""

    async def _change(self, call: Operation, effect: Callable[[float, Struck], T]) -> T:
        now = self._now()
        struck = self.market.strike(call, now)
        await _strike_before(struck)
        try:
            return effect(now, struck)
        finally:  # a refusal may leave something behind, too: a machine, a queued start
            await self._save()
            await _strike_after(struck)

    async def _save(self) -> None:
        if self._file is None:
            return
        self._changes += 1
        text = json.dumps(self.market.dump())
        try:
            await asyncio.to_thread(self._file.write, self._changes, text)
        except OSError as error:
            raise UnclearOutcome(f"the state file cannot be written: {error}") from error


@contextmanager
def _problems_of(setting: str) -> Iterator[None]:
    """Say of problems which setting they are about."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(*(f"{setting}: {problem}" for problem in error.problems)) from error


async def _strike_before(struck: Struck) -> None:
    """End the call before it has any effect, if a fault says so."""
    if Fault.HANGS in struck:
        await _never()
    if Fault.AUTH_FAILED in struck:
        raise AuthFailed("401: the key was refused")
    if Fault.RATE_LIMITED in struck:
        raise RateLimited("429: too many requests", retry_after_s=_RETRY_AFTER_S)
    if Fault.RATE_LIMITED_SILENT in struck:
        raise RateLimited("429: API requests too frequent")
    if struck & {Fault.UNAVAILABLE, Fault.LISTING_FAILS}:
        raise Transient("503: temporarily unavailable")
    if Fault.REQUEST_LOST in struck:
        raise UnclearOutcome("no answer: the connection was reset")


async def _strike_after(struck: Struck) -> None:
    """Withhold the answer of a call that had its effect, if a fault says so."""
    if Fault.ANSWER_HANGS in struck:
        await _never()
    if Fault.ANSWER_LOST in struck:
        raise UnclearOutcome("no answer: 504 from the gateway")


async def _never() -> None:
    await asyncio.get_running_loop().create_future()
