"""Ask every provider, without renting, whether what a configuration wants can be had there.

All providers are asked at once, and each one question after the other, for vendors count searches and want pauses
between requests. The answers are the same as the daemon's: they come through the same composition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from autoscaler.config import Config
from autoscaler.core.errors import AuthFailed, InsufficientFunds, ProviderError, RateLimited
from autoscaler.core.instance import parse_label
from autoscaler.core.market import Listing, Offer, Remote, Status
from autoscaler.core.spec import Pool
from autoscaler.core.units import format_duration
from autoscaler.runtime.ports import Clock
from autoscaler.scarcity import Finding, why_absent
from providers.dry_run import Reads

PATIENCE_S = 30.0
"""The longest wait for one answer. A provider that does not give it in time is asked nothing more."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class OnOffer:
    """What one placement would choose from now, cheapest first."""

    pool: str
    placement: str
    offers: tuple[Offer, ...]


@dataclass(kw_only=True, slots=True)
class Survey:
    """What the providers said."""

    on_offer: list[OnOffer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def problems(self) -> tuple[str, ...]:
        """What must be mended before machines can be rented as configured; each line once."""
        return tuple(dict.fromkeys(finding.text for finding in self.findings if finding.grave))

    def notes(self) -> tuple[str, ...]:
        """What else is worth knowing; each line once."""
        return tuple(dict.fromkeys(finding.text for finding in self.findings if not finding.grave))


def questions(config: Config) -> int:
    """How many answers `survey` waits for: of each account, and for each placement."""
    return len(config.providers) + sum(len(pool.placements) for pool in config.pools.values())


async def survey(config: Config, providers: Mapping[str, Reads], clock: Clock, done: Callable[[float], None]) -> Survey:
    """Ask all providers; `done` is told how many of the `questions` were answered.

    It never raises what a provider raised: that is a finding.
    """
    answered = count(1)
    visits = [_Visit(config, each, clock, lambda: done(next(answered))) for each in providers.values()]
    found = await asyncio.gather(*(visit.everything() for visit in visits))
    return Survey(
        on_offer=[each for one in found for each in one.on_offer],
        findings=[finding for one in found for finding in one.findings],
    )


class _Visit:
    """The questions to one provider."""

    def __init__(self, config: Config, provider: Reads, clock: Clock, answered: Callable[[], None]) -> None:
        self._config = config
        self._provider = provider
        self._clock = clock
        self._answered = answered
        self._where = f"providers.{provider.name}"
        self._pools = [pool.pool(name) for name, pool in config.pools.items()]
        self._found = Survey()

    async def everything(self) -> Survey:
        """Ask for the account, then for each placement; end with the first question that gets no answer."""
        try:
            await self._account()
            for pool, number in self._placements():
                await self._offers(pool, number)
                self._answered()
        except TimeoutError:
            self._note(f"no answer within {format_duration(PATIENCE_S)}; {_LOOK_AGAIN}", grave=True)
        except ProviderError as error:
            self._note(f"its machines cannot be listed: {_in_words(error)}", grave=True)
        return self._found

    def _placements(self) -> Iterator[tuple[Pool, int]]:
        for pool in self._pools:
            for number, place in enumerate(pool.placements):
                if place.provider == self._provider.name:
                    yield pool, number

    async def _ask(self, question: Awaitable[T]) -> T:
        async with self._clock.timeout(PATIENCE_S):
            return await question

    # --- the account --------------------------------------------------------------------------------------------------

    async def _account(self) -> None:
        self._machines(await self._ask(self._provider.list_machines()))
        try:
            balance = await self._ask(self._provider.balance_usd())
        except AuthFailed as error:  # a key that may list, and perhaps rent, is a good key
            fix = "give the key the right to read it, or nothing warns before it runs out"
            self._note(f"its balance cannot be read: {error}; {fix}")
        except ProviderError as error:
            self._note(f"its balance cannot be read: {_in_words(error)}", grave=True)
        else:
            if balance is not None:
                self._credit(balance)
        self._answered()

    def _machines(self, listing: Listing) -> None:
        ours = [each for each in listing.machines if parse_label(each.label, self._config.fleet)]
        others = [each for each in listing.machines if not parse_label(each.label, self._config.fleet)]
        if ours:
            self._note(f"{_count(ours, 'machine')} of this fleet already there: {_burn(ours)}")
        if others:
            self._note(f"{_count(others, 'machine')} of others in the account, never touched: {_burn(others)}")
        for notice in listing.notices:
            self._note(notice)

    def _credit(self, balance: float) -> None:
        """Hold the balance against an hour of the dearest machine, and against a day as limited."""
        places = [pool.placements[number] for pool, number in self._placements()]
        dearest = max((place.max_usd_per_hour for place in places), default=0.0)
        days = {pool.name: pool.limits.usd_per_day.stop for pool, _ in self._placements()}
        day = max(days, key=lambda name: days[name], default=None)
        left = f"{balance:.2f} USD left"
        if balance < dearest:
            self._note(f"{left}, not an hour of its dearest placement ({dearest:g} USD): add credit", grave=True)
        elif day is not None and balance < days[day]:
            self._note(f"{left}, less than a day at pools.{day}.limits.usd_per_day.stop ({days[day]:g}): add credit")

    # --- placements ---------------------------------------------------------------------------------------------------

    async def _offers(self, pool: Pool, number: int) -> None:
        place, where = pool.placements[number], f"pools.{pool.name}.placements[{number}]"
        try:
            offers = await self._ask(self._provider.list_offers(place, pool.machine))
        except ProviderError as error:
            self._add(f"{where}: no search at {place.provider}: {_in_words(error)}", grave=True)
            return
        self._found.on_offer.append(OnOffer(pool=pool.name, placement=place.label, offers=tuple(offers)))
        try:
            async for finding in why_absent(
                lambda *wider: self._ask(self._provider.list_offers(*wider)), pool, number, offers
            ):
                self._found.findings.append(finding)
        except ProviderError as error:
            if not offers:
                self._add(f"{where}: nothing is on offer; why, cannot be told: {_in_words(error)}", grave=True)

    def _note(self, text: str, *, grave: bool = False) -> None:
        self._add(f"{self._where}: {text}", grave=grave)

    def _add(self, text: str, *, grave: bool) -> None:
        self._found.findings.append(Finding(text, grave=grave))


_LOOK_AGAIN = "check again, and if it lasts look at the vendor's status page"


def _in_words(error: ProviderError) -> str:
    """What a provider said, and what would resolve it."""
    match error:
        case AuthFailed():
            fix = "put a valid key, with the rights to read and to rent, into the file or its variable"
        case InsufficientFunds():
            fix = "add credit"
        case RateLimited(retry_after_s=float(seconds)):
            fix = f"check again in {format_duration(seconds)}"
        case _:
            fix = _LOOK_AGAIN
    return f"{error}; {fix}"


def _count(machines: Sequence[Remote], what: str) -> str:
    return f"1 {what}" if len(machines) == 1 else f"{len(machines)} {what}s"


def _burn(machines: Sequence[Remote]) -> str:
    """What machines cost now, and what of it is for disks of stopped ones."""
    total = f"{sum(each.burn_usd_per_hour for each in machines):.3f} USD per hour"
    stopped = [each for each in machines if each.status is Status.STOPPED]
    if not stopped:
        return total
    disks = sum(each.burn_usd_per_hour for each in stopped)
    return f"{total}, {disks:.3f} of it for the disks of {len(stopped)} that are stopped"
