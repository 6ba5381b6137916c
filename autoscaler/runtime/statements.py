"""What providers tell of our accounts with them: notices, balances, bills, refusals. Asked for in the background."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from autoscaler.core.bills import SETTLED_S, Costs, Leaks
from autoscaler.core.decision import Action, Outcome, Result
from autoscaler.core.demand import Unknown
from autoscaler.core.ledger import DAY_S, day_name, day_of
from autoscaler.core.market import Listing
from autoscaler.core.statements import (
    FIXES,
    LOW_H,
    bill_entry,
    leak_entry,
    low_entry,
    notice_entry,
    refused_entry,
    served_entry,
    topped_up_entry,
)
from autoscaler.runtime.fleet import Fleet
from autoscaler.runtime.polled import Polled
from autoscaler.runtime.ports import Clock
from autoscaler.runtime.report import Account
from providers.base import Provider

_BALANCE_EVERY_S = 60.0
_SILENT_S = 3600.0  # a provider that tells no balance is asked again after this
_BILLS_EVERY_S = 3600.0

_Bills = Mapping[int, Costs | None]
"""By day."""


class Statements:
    """Our accounts with all providers. What was told once is not told again while it stays so."""

    def __init__(self, providers: Mapping[str, Provider], clock: Clock, *, speaks: bool = True) -> None:
        """Where several loops have the same accounts, one of them speaks of what is the same for all."""
        self._clock = clock
        self._speaks = speaks
        self._providers: Mapping[str, Provider] = {}
        self._accounts: dict[str, _Account] = {}
        self.adapt(providers)

    def adapt(self, providers: Mapping[str, Provider]) -> None:
        """Ask these providers from now on; what is known of those that stay the same stays known."""
        before = self._accounts
        self._accounts = {
            name: before[name]
            if self._providers.get(name) is provider
            else _Account(provider, self._clock, self._speaks)
            for name, provider in providers.items()
        }
        self._providers = providers
        for name, account in before.items():
            if self._accounts.get(name) is not account:
                account.give_up()

    def ask(self, now: float) -> None:
        """Ask what is due; nothing is waited for."""
        for account in self._accounts.values():
            account.ask(now)

    def tell(self, fleet: Fleet, listings: Mapping[str, Listing | Unknown], now: float) -> dict[str, Account]:
        """Note in the journal what is new, and give what is known."""
        for name, account in self._accounts.items():
            account.tell(fleet, listings[name], now)
        return {name: account.known for name, account in self._accounts.items()}

    def called(self, fleet: Fleet, provider: str, outcome: Outcome) -> None:
        """Take the answer to a call."""
        if provider in self._accounts:
            self._accounts[provider].called(fleet, outcome)

    async def close(self) -> None:
        """Stop asking."""
        for account in self._accounts.values():
            await account.close()


class _Account:
    """One account."""

    def __init__(self, provider: Provider, clock: Clock, speaks: bool) -> None:
        self._name = provider.name
        self._speaks = speaks
        self._balance = Polled(f"balance of {provider.name}", provider.balance_usd, clock, every_s=_BALANCE_EVERY_S)
        self._bills = Polled(f"bills of {provider.name}", _ask_bills(provider, clock), clock, every_s=_BILLS_EVERY_S)
        self._balance_read_at = self._bills_read_at = float("-inf")
        self._leaks = Leaks()
        self._notices: frozenset[str] = frozenset()
        self._low = False
        self._refused: Result | None = None
        self.known = Account()

    def ask(self, now: float) -> None:
        if self._balance.value is not None or now - self._balance.asked_at >= _SILENT_S:
            self._balance.start(now)
        self._bills.start(now)

    def tell(self, fleet: Fleet, listing: Listing | Unknown, now: float) -> None:
        if self._speaks and not isinstance(listing, Unknown):
            self._tell_notices(fleet, listing, now)
        left, bills = self._balance.value, self._bills.value
        if self._balance.answered_at != self._balance_read_at:
            self._balance_read_at = self._balance.answered_at
            self.known = replace(self.known, balance_usd=None if isinstance(left, Unknown) else left)
            if self._speaks and self.known.balance_usd is not None and not isinstance(listing, Unknown):
                self._tell_balance(fleet, listing, self.known.balance_usd, now)
        if self._bills.answered_at != self._bills_read_at and not isinstance(bills, Unknown):
            self._bills_read_at = self._bills.answered_at
            self._read_bills(fleet, bills, now)

    def _tell_notices(self, fleet: Fleet, listing: Listing, now: float) -> None:
        for notice in dict.fromkeys(listing.notices):
            if notice not in self._notices:
                fleet.note(notice_entry(self._name, notice, now))
        self._notices = frozenset(listing.notices)

    def _tell_balance(self, fleet: Fleet, listing: Listing, left_usd: float, now: float) -> None:
        """Everybody's machines in the account draw on it."""
        usd_per_hour = sum(remote.burn_usd_per_hour for remote in listing.machines)
        lasts_h = left_usd / usd_per_hour if usd_per_hour else float("inf")
        if not self._low and lasts_h < LOW_H:
            self._low = True
            fleet.note(low_entry(self._name, left_usd, usd_per_hour, now))
        elif self._low and lasts_h >= 2.0 * LOW_H:
            self._low = False
            fleet.note(topped_up_entry(self._name, left_usd, now))

    def _read_bills(self, fleet: Fleet, bills: _Bills, now: float) -> None:
        machines, books, today = fleet.instances.values(), fleet.machine_books, day_of(now)
        billed_today, billed_before = bills.get(today), bills.get(today - 1)
        if billed_today is not None:
            gone = books.gone_at(self._name, machines)
            for provider_id, usd in self._leaks.read(today, billed_today, gone, now).items():
                fleet.note(leak_entry(self._name, provider_id, usd, gone[provider_id], now))
            ours = books.costs(self._name, today, machines, now)
            so_far = _total(billed_today, ours)
            self.known = replace(self.known, billed_today_usd=so_far)
            if so_far is not None:
                fleet.accounts.billed(self._name, today, so_far)
        booked = books.costs(self._name, today - 1, machines, now)
        billed_usd = _total(billed_before, booked)
        self.known = replace(self.known, billed_yesterday_usd=billed_usd)
        if billed_usd is not None:
            fleet.accounts.billed(self._name, today - 1, billed_usd)
        if booked and billed_usd is not None and now - today * DAY_S >= SETTLED_S:
            entry = bill_entry(self._name, today - 1, billed_usd, sum(booked.values()), now)
            fleet.note_bill(self._name, today - 1, entry)

    def called(self, fleet: Fleet, outcome: Outcome) -> None:
        starts = outcome.action in (Action.RENT, Action.RESUME)
        if outcome.result in FIXES:
            if self._refused is not outcome.result:
                fleet.note(refused_entry(self._name, outcome, outcome.ended_at))
            self._refused = outcome.result
        elif outcome.result is Result.OK and self._refused and (starts or self._refused is Result.AUTH_FAILED):
            self._refused = None
            fleet.note(served_entry(self._name, outcome.ended_at))

    def give_up(self) -> None:
        self._balance.give_up()
        self._bills.give_up()

    async def close(self) -> None:
        await self._balance.cancel()
        await self._bills.cancel()


def _ask_bills(provider: Provider, clock: Clock) -> Callable[[], Awaitable[_Bills]]:
    async def ask() -> _Bills:
        today = day_of(clock.now())
        return {day: await provider.billed_usd(day_name(day)) for day in (today - 1, today)}

    return ask


def _total(bill: Costs | None, machines: Costs | None) -> float | None:
    """What was billed for these machines."""
    if bill is None or machines is None:
        return None
    return sum(bill.get(name, 0.0) for name in machines)
