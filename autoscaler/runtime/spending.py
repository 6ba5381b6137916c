"""What a tick's report tells of money spent: by a pool, by pools that are gone, by the whole fleet."""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.core.ledger import day_of, forecast_usd, month_of, month_usd
from autoscaler.runtime.accounts import Spending
from autoscaler.runtime.report import PoolReport, TickReport


def of_pool(pool: PoolReport) -> Spending:
    """What a pool has cost."""
    snapshot = pool.snapshot
    return Spending(today=pool.spent_today.usd, month=snapshot.spent_month_usd, forecast=snapshot.forecast_usd)


def of_former_pools(report: TickReport) -> Spending:
    """What pools have cost in this month that no configuration names any more: caps of the fleet count it as well."""
    today, books = day_of(report.at), report.books
    booked = {name for day in month_of(today) if day in books for name in books[day].pools}
    former = booked - report.pools.keys() - report.leaders.keys()
    return _sum(
        Spending(
            today=books[today].usd(name) if today in books else 0.0,
            month=month_usd(books, today, name),
            forecast=forecast_usd(books, report.at, name),
        )
        for name in former
    )


def of_fleet(report: TickReport) -> Spending:
    """What the fleet has cost; with `spread`, the part of it that this daemon leads."""
    return _sum([*map(of_pool, report.pools.values()), of_former_pools(report)])


def _sum(every: Iterable[Spending]) -> Spending:
    each = list(every)
    forecasts = [one.forecast for one in each if one.forecast is not None]
    return Spending(
        today=sum(one.today for one in each),
        month=sum(one.month for one in each),
        forecast=sum(forecasts) if forecasts else None,
    )
