"""The books of each provider and day beside what it billed, and whether the difference is explained."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from enum import StrEnum

from autoscaler.core.bills import is_more
from autoscaler.core.cost import not_itemised, rows
from autoscaler.core.ledger import Books, DayLedger


class Verdict(StrEnum):
    """What is to be said of a bill."""

    NO_BILL = "no_bill"
    """The provider tells of none, or was not asked while this fleet's machines of that day were known."""
    OPEN = "open"
    """The day is not over: bills run about an hour behind."""
    NOT_ITEMISED = "not_itemised"
    """Some of the day was booked by a version that told no providers apart."""
    AGREES = "agrees"
    """To within a tenth or 0.50 USD: rounding, and the seconds between a change and the listing that shows it."""
    LESS = "less"
    """The books are an upper bound: a machine is booked from its order until it is proven gone."""
    DOWNLOADS = "downloads"
    """What new machines downloaded, at the price of their offers, explains it; no price per hour has it in it."""
    UNEXPLAINED = "unexplained"
    """More than all that: it is to be looked up in the vendor's console."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reconciled:
    """One provider on one day, in USD."""

    day: int
    """Days since the epoch."""
    provider: str
    booked_usd: float
    billed_usd: float | None
    downloads_usd: float
    """What downloads should have cost, by estimate; it is not in the books."""
    verdict: Verdict

    @property
    def difference_usd(self) -> float | None:
        """How far the bill is above the books."""
        return None if self.billed_usd is None else self.billed_usd - self.booked_usd


def reconcile(books: Books, days: Container[int], today: int) -> list[Reconciled]:
    """The providers of some days, oldest first."""
    found = []
    for day in sorted(day for day in books if day in days):
        booked: dict[str, float] = dict.fromkeys(sorted(books[day].bills), 0.0)
        for row in rows(books, [day]):
            if row.provider:
                booked[row.provider] = booked.get(row.provider, 0.0) + row.usd
        found += [_reconciled(books[day], name, usd, today) for name, usd in booked.items()]
    return found


def _reconciled(ledger: DayLedger, provider: str, booked_usd: float, today: int) -> Reconciled:
    downloads_usd = sum(spent.downloads.get(provider, 0.0) for spent in ledger.pools.values())
    billed_usd = ledger.bills.get(provider)
    return Reconciled(
        day=ledger.day,
        provider=provider,
        booked_usd=booked_usd,
        billed_usd=billed_usd,
        downloads_usd=downloads_usd,
        verdict=_verdict(ledger, booked_usd, billed_usd, downloads_usd, today),
    )


def _verdict(
    ledger: DayLedger, booked_usd: float, billed_usd: float | None, downloads_usd: float, today: int
) -> Verdict:
    if billed_usd is None:
        return Verdict.NO_BILL
    if ledger.day >= today:
        return Verdict.OPEN
    if any(not_itemised(spent) for spent in ledger.pools.values()):
        return Verdict.NOT_ITEMISED
    if is_more(booked_usd, billed_usd):
        return Verdict.LESS
    if not is_more(billed_usd, booked_usd):
        return Verdict.AGREES
    return Verdict.UNEXPLAINED if is_more(billed_usd, booked_usd + downloads_usd) else Verdict.DOWNLOADS
