"""What was spent: USD per pool and UTC day, to the second, and what it was for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import lru_cache
from typing import TypeVar

from autoscaler.core.instance import Instance
from autoscaler.core.purposes import AtWork, Booting, Line, Purpose, Rates, rates
from autoscaler.core.waste import Waste

DAY_S = 86400.0
KEPT_DAYS = 62
"""Days of which the books are at hand: any month's and the month's before it, line by line."""
MOST_CLASSES = 50
"""Classes of jobs that a day's books of a pool tell apart."""
OTHER_CLASSES = "_other"
"""What all further ones are booked under; no worker can tell of a class of that name."""
_PACE_DAYS = 7
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Jobs that were done, and what they took."""

    jobs: int = 0
    work_s: float = 0.0
    """Slot-seconds. Of jobs that no worker told of: what such jobs usually take, in seconds where that was ever told,
    else only in proportion to the other tiers' jobs."""
    told: int = 0
    """Of the jobs, those that workers told of; the others were seen to start."""

    def __add__(self, more: Work) -> Work:
        return Work(jobs=self.jobs + more.jobs, work_s=self.work_s + more.work_s, told=self.told + more.told)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wasted:
    """What was wasted for one reason."""

    times: int = 0
    usd: float = 0.0

    def __add__(self, more: Wasted) -> Wasted:
        return Wasted(times=self.times + more.times, usd=self.usd + more.usd)


K = TypeVar("K")
V = TypeVar("V", Work, Wasted)


def added_up(every: Iterable[Mapping[K, V]]) -> dict[K, V]:
    """The sum of each thing that any of them has."""
    total: dict[K, V] = {}
    for each in every:
        for name, value in each.items():
            total[name] = total[name] + value if name in total else value
    return total


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """Money of one pool on one day. The lines add up to it, save what was booked before there were lines."""

    running_usd: float = 0.0
    """Machines rented, booting, working or on their way out."""
    stopped_usd: float = 0.0
    """Disks of WARM machines."""
    lines: Mapping[Line, float] = field(default_factory=dict)
    """USD by what it was for."""
    booting: Mapping[str, Booting] = field(default_factory=dict)
    """Of the lines' `boot`, what is in it of boots that are still under way, by machine."""
    wasted: Mapping[Waste, Wasted] = field(default_factory=dict)
    """Boots that failed and disks that were given up; all of it is in the lines."""
    tiers: Mapping[str, Work] = field(default_factory=dict)
    classes: Mapping[str, Work] = field(default_factory=dict)
    """By class of job, as far as workers tell."""
    downloads: Mapping[str, float] = field(default_factory=dict)
    """USD by provider that new machines' downloads should have cost by their offers. An estimate, in no sum."""

    @property
    def usd(self) -> float:
        """Running and stopped machines together."""
        return self.running_usd + self.stopped_usd

    def with_work(self, tiers: Mapping[str, Work], classes: Mapping[str, Work]) -> Spent:
        """After more jobs were done."""
        known = dict(self.classes)
        for name, work in classes.items():
            room = name in known or len(known) < MOST_CLASSES
            booked_as = name if room else OTHER_CLASSES
            known[booked_as] = known.get(booked_as, Work()) + work
        return replace(self, tiers=added_up([self.tiers, tiers]), classes=known)

    def with_waste(self, why: Waste, usd: float, *, times: int = 1) -> Spent:
        """After money that is booked already turned out to be wasted."""
        return replace(self, wasted=added_up([self.wasted, {why: Wasted(times=times, usd=usd)}]))

    def boot_over(self, machine: str, why: Waste | None, *, times: int = 1) -> Spent:
        """After a boot ended: where it failed, for that reason, what it had cost is moved to the failed ones."""
        boot = self.booting.get(machine)
        if boot is None:
            return self
        rest = {name: known for name, known in self.booting.items() if name != machine}
        if why is None:
            return replace(self, booting=rest)
        lines = dict(self.lines)
        source = Line(boot.placement, boot.provider, "", Purpose.BOOT)
        target = source._replace(purpose=Purpose.FAILED_BOOT)
        lines[source] = max(0.0, lines.get(source, 0.0) - boot.usd)
        lines[target] = lines.get(target, 0.0) + boot.usd
        return replace(self, lines=lines, booting=rest).with_waste(why, boot.usd, times=times)

    def decided(self) -> dict[Line, float]:
        """The lines without what is still to be decided: boots that are under way. They only ever grow."""
        lines = dict(self.lines)
        for boot in self.booting.values():
            lines[Line(boot.placement, boot.provider, "", Purpose.BOOT)] -= boot.usd
        return lines


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
    bills: Mapping[str, float] = field(default_factory=dict)
    """What each provider has billed for the day's machines, in USD, as of the last time it was asked."""

    @property
    def booked_s(self) -> float:
        """Seconds of the day that the books cover."""
        return max(0.0, self.booked_until - max(self.booked_from, self.day * DAY_S))

    def usd(self, pool: str | None = None) -> float:
        """What the day has cost so far: all pools, or one."""
        if pool is not None:
            return self.pools[pool].usd if pool in self.pools else 0.0
        return sum(spent.usd for spent in self.pools.values())

    @property
    def totals(self) -> DayLedger:
        """These books without their lines: so little that years of them can be kept."""
        pools = {
            name: Spent(running_usd=spent.running_usd, stopped_usd=spent.stopped_usd)
            for name, spent in self.pools.items()
        }
        return replace(self, pools=pools)

    def with_pool(self, pool: str, spent: Spent) -> DayLedger:
        """These books with another page of one pool."""
        return replace(self, pools={**self.pools, pool: spent})


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


def day_named(name: str) -> int:
    """The UTC day that is written as `2026-11-21`.

    Raises:
        ValueError: it is written otherwise.
    """
    return (date.fromisoformat(name) - _EPOCH).days


def book(
    ledger: DayLedger | None,
    instances: Iterable[Instance],
    now: float,
    at_work: AtWork | None = None,
    *,
    later: Books | None = None,
) -> list[DayLedger]:
    """The books brought up to now at the machines' present prices: one day's, or two where midnight has passed.

    Call it with the records as they were during the interval, and with what was known of their jobs. After a stop of
    the daemon the gap is booked at the prices found then; days that lie wholly in the gap are booked, too. A day of
    which there are books already, in `later`, since the clock once went ahead, goes on with them.
    """
    if ledger is None:
        return [DayLedger(day=day_of(now), booked_from=now, booked_until=now)]
    burning = rates(instances, at_work or AtWork())
    days = [ledger]
    while days[-1].booked_until < now:
        last = days[-1]
        end_of_day = (last.day + 1) * DAY_S
        if last.booked_until >= end_of_day:
            begun = (later or {}).get(last.day + 1, DayLedger(day=last.day + 1, booked_until=end_of_day))
            days.append(replace(begun, booked_from=0.0, booked_until=end_of_day))
            continue
        until = min(now, end_of_day)
        hours = (until - last.booked_until) / 3600.0
        pools = dict(last.pools)
        for name, rate in burning.items():
            pools[name] = _added(pools.get(name, Spent()), rate, hours)
        days[-1] = replace(last, booked_until=until, pools=pools)
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


def together(every: Iterable[Books]) -> dict[int, DayLedger]:
    """One set of books of those that several loops keep, each of pools of its own."""
    found: dict[int, DayLedger] = {}
    for books in every:
        for day, ledger in books.items():
            before = found.get(day)
            found[day] = ledger if before is None else _beside(before, ledger)
    return found


def _beside(one: DayLedger, other: DayLedger) -> DayLedger:
    return replace(
        one,
        booked_from=min(one.booked_from, other.booked_from),
        booked_until=max(one.booked_until, other.booked_until),
        pools={**one.pools, **other.pools},
        bills={
            name: one.bills.get(name, 0.0) + other.bills.get(name, 0.0)
            for name in dict.fromkeys((*one.bills, *other.bills))
        },
    )


def _added(spent: Spent, rate: Rates, hours: float) -> Spent:
    lines = dict(spent.lines)
    for line, usd_per_hour in rate.lines.items():
        lines[line] = lines.get(line, 0.0) + usd_per_hour * hours
    booting = spent.booting
    if rate.booting:
        booting = dict(booting)
        for machine, boot in rate.booting.items():
            before = booting[machine].usd if machine in booting else 0.0
            booting[machine] = boot._replace(usd=before + boot.usd * hours)
    return replace(
        spent,
        running_usd=spent.running_usd + rate.running * hours,
        stopped_usd=spent.stopped_usd + rate.stopped * hours,
        lines=lines,
        booting=booting,
    )
