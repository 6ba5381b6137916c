"""What the journal says of our account with a provider: its notices, its balance, its bills, its refusals."""

from __future__ import annotations

from datetime import UTC, datetime

from autoscaler.core.bills import is_more
from autoscaler.core.decision import Outcome, Result
from autoscaler.core.errors import AuthFailed, InsufficientFunds
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.ledger import day_name
from autoscaler.core.units import format_duration
from autoscaler.core.words import MOST_SAID, one_line

LOW_H = 6.0
"""A balance that lasts for less than these hours is an alarm; one that lasts twice as long is none any more."""

FIXES = {Result.AUTH_FAILED: AuthFailed.fix, Result.INSUFFICIENT_FUNDS: InsufficientFunds.fix}
"""What a person must do about a refusal that meets the account rather than the request."""


def notice_entry(provider: str, notice: str, now: float) -> Entry:
    """The entry of a notice; the words are the vendor's, so they are kept to one line, and short."""
    return Entry(at=now, kind=Kind.NOTICE, text=f"{provider} wants you to decide: {one_line(notice, MOST_SAID)}")


def low_entry(provider: str, left_usd: float, usd_per_hour: float, now: float) -> Entry:
    """The alarm that an account is nearly empty."""
    lasts_s = max(0.0, left_usd) / usd_per_hour * 3600.0
    until = datetime.fromtimestamp(now + lasts_s, UTC)
    text = (
        f"{provider}: {left_usd:.2f} USD left, {usd_per_hour:.3f} USD/h burn: that lasts {format_duration(lasts_s)}, "
        f"until {until:%Y-%m-%d %H:%M} UTC; then {provider} stops all machines with their jobs, or ends them for good "
        "with their disks. Top up the account"
    )
    return Entry(at=now, kind=Kind.ALARM, text=text)


def topped_up_entry(provider: str, left_usd: float, now: float) -> Entry:
    """The end of that alarm."""
    return Entry(at=now, kind=Kind.ACCOUNT, text=f"{provider}: {left_usd:.2f} USD left, enough again")


def bill_entry(provider: str, day: int, billed_usd: float, booked_usd: float, now: float) -> Entry:
    """The bill of a day beside the books; an alarm where it is far above them."""
    text = f"{provider} billed {billed_usd:.2f} USD for {day_name(day)}, the books say {booked_usd:.2f}"
    if not is_more(billed_usd, booked_usd):
        return Entry(at=now, kind=Kind.ACCOUNT, text=text)
    why = "downloads are in no books of ours; else look for what else it bills, and at the prices it charges"
    return Entry(at=now, kind=Kind.ALARM, text=f"{text}: {why}")


def leak_entry(provider: str, provider_id: str, usd: float, gone_at: float, now: float) -> Entry:
    """The alarm that a machine is billed that should not exist."""
    text = (
        f"{provider} goes on to bill {provider_id}, {usd:.2f} USD more, gone for {format_duration(now - gone_at)} by "
        "its own listings: look for it in the vendor's console, and end it there"
    )
    return Entry(at=now, kind=Kind.ALARM, text=text)


def refused_entry(provider: str, outcome: Outcome, now: float) -> Entry:
    """The alarm that a provider does nothing for us any more."""
    text = f"{provider} refuses us: {outcome.result} ({outcome.detail}); {FIXES[outcome.result]}"
    return Entry(at=now, kind=Kind.ALARM, text=text)


def served_entry(provider: str, now: float) -> Entry:
    """The end of that alarm."""
    return Entry(at=now, kind=Kind.ACCOUNT, text=f"{provider} serves us again")
