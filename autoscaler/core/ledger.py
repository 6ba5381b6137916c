"""What was spent: USD per pool and UTC day, running and stopped machines apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase

DAY_S = 86400.0


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
    pools: Mapping[str, Spent] = field(default_factory=dict)

    @property
    def usd(self) -> float:
        """What the day has cost so far."""
        return sum(spent.usd for spent in self.pools.values())


def day_of(now: float) -> int:
    """The UTC day of a time, as days since the epoch."""
    return int(now // DAY_S)


def book(ledger: DayLedger | None, instances: Iterable[Instance], now: float) -> list[DayLedger]:
    """The books brought up to now at the machines' present prices: one day's, or two where midnight has passed.

    Call it with the records as they were during the interval. After a stop of the daemon the gap is booked at the
    prices found then; days that lie wholly in the gap are booked, too.
    """
    if ledger is None:
        return [DayLedger(day=day_of(now), booked_until=now)]
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
        days[-1] = DayLedger(day=last.day, booked_until=until, pools=_added(last.pools, running, stopped, hours))
    return days


def newest(kept: DayLedger | None, stored: DayLedger | None) -> DayLedger | None:
    """The books that know more: what a daemon kept in memory, or what it finds in a store that may have lost some."""
    if kept is None or stored is None or kept.day != stored.day:
        return max((ledger for ledger in (kept, stored) if ledger), key=lambda ledger: ledger.day, default=None)
    return max(kept, stored, key=lambda ledger: ledger.usd)


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
