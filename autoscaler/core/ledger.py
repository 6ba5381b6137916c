"""What was spent: USD per pool and UTC day, running and stopped machines apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase

DAY_S = 86400.0
KEPT_DAYS = 31
"""Days of which the books are at hand: any month's, and those before today from which its end is foretold."""
_PACE_DAYS = 7
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Money of one pool on one day."""

    running_usd: float = 0.0
    """Machines rented, booting, working or on their way out."""
    stopped_usd: float = 0.0
    """Disks of WARM machines."""

    @property
    def usd(self) -> float:
        """Both together."""
        return self.running_usd + self.stopped_usd


@dataclass(frozen=True, kw_only=True, slots=True)
class DayLedger:
    """One UTC day's books."""

    day: int
    """Days since the epoch."""
    booked_until: float
    """Epoch seconds up to which the books are kept."""
    booked_from: float = 0.0
    """Epoch seconds from which on they are kept, where that is within the day."""
    pools: Mapping[str, Spent] = field(default_factory=dict)

    @property
    def booked_s(self) -> float:
        """Seconds of the day that the books cover."""
        return max(0.0, self.booked_until - max(self.booked_from, self.day * DAY_S))

    def usd(self, pool: str | None = None) -> float:
        """What the day has cost so far: all pools, or one."""
        if pool is not None:
            return self.pools[pool].usd if pool in self.pools else 0.0
        return sum(spent.usd for spent in self.pools.values())


Books = Mapping[int, DayLedger]
"""Ledgers by day."""


def day_of(now: float) -> int:
    """The UTC day of a time, as days since the epoch."""
    return int(now // DAY_S)


def day_name(day: int) -> str:
    """A UTC day as `2026-11-21`."""
    return (_EPOCH + timedelta(days=day)).isoformat()


@lru_cache(maxsize=64)
def month_of(day: int) -> range:
    """The days of the month that a UTC day lies in."""
    first = (_EPOCH + timedelta(days=day)).replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    return range((first - _EPOCH).days, (after - _EPOCH).days)


def book(ledger: DayLedger | None, instances: Iterable[Instance], now: float) -> list[DayLedger]:
    """The books brought up to now at the machines' present prices: one day's, or two where midnight has passed.

    Call it with the records as they were during the interval. After a stop of the daemon the gap is booked at the
    prices found then; days that lie wholly in the gap are booked, too.
    """
    if ledger is None:
        return [DayLedger(day=day_of(now), booked_from=now, booked_until=now)]
    running: dict[str, float] = {}
    stopped: dict[str, float] = {}
    for instance in instances:
        if instance.burn_usd_per_hour:
            book_of = stopped if instance.phase is Phase.WARM else running
            book_of[instance.pool] = book_of.get(instance.pool, 0.0) + instance.burn_usd_per_hour
    days = [ledger]
    while days[-1].booked_until < now:
        last = days[-1]
        end_of_day = (last.day + 1) * DAY_S
        if last.booked_until >= end_of_day:
            days.append(DayLedger(day=last.day + 1, booked_until=end_of_day))
            continue
        until = min(now, end_of_day)
        hours = (until - last.booked_until) / 3600.0
        days[-1] = replace(last, booked_until=until, pools=_added(last.pools, running, stopped, hours))
    return days


def month_usd(books: Books, day: int, pool: str | None = None) -> float:
    """What the month of a day has cost so far: all pools, or one."""
    return sum(books[each].usd(pool) for each in month_of(day) if each in books)


def forecast_usd(books: Books, now: float, pool: str | None = None) -> float | None:
    """What the month will have cost at the pace of the last 7 days and today, or of as much of them as is booked.

    None before anything was booked. Worked example: at noon of the 21st of a month of 30 days, after three weeks of 12
    USD a day: 246 USD were spent, and 9.5 days are left: 246 + 9.5 * 12 = 360.
    """
    today = day_of(now)
    lately = [books[day] for day in range(today - _PACE_DAYS, today + 1) if day in books]
    booked_s = sum(ledger.booked_s for ledger in lately)
    if booked_s <= 0:
        return None
    usd_per_s = sum(ledger.usd(pool) for ledger in lately) / booked_s
    left_s = month_of(today).stop * DAY_S - now
    return month_usd(books, today, pool) + left_s * usd_per_s


def merged(kept: Books, stored: Books) -> dict[int, DayLedger]:
    """Of each day the books that know more: what a daemon kept, or what it finds in a store that may have lost some."""
    days = sorted(kept.keys() | stored.keys())
    found = {day: [books[day] for books in (kept, stored) if day in books] for day in days}
    return {day: max(ledgers, key=lambda ledger: (ledger.usd(), ledger.booked_until)) for day, ledgers in found.items()}


def _added(
    pools: Mapping[str, Spent], running: Mapping[str, float], stopped: Mapping[str, float], hours: float
) -> dict[str, Spent]:
    booked = dict(pools)
    for pool in dict.fromkeys((*running, *stopped)):
        before = booked.get(pool, Spent())
        booked[pool] = Spent(
            running_usd=before.running_usd + running.get(pool, 0.0) * hours,
            stopped_usd=before.stopped_usd + stopped.get(pool, 0.0) * hours,
        )
    return booked
