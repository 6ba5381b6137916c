"""The books over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, ClassVar

from aiohttp import web
from pydantic import Field

from autoscaler.core.cost import PoolCost, Row, by_purpose, pool_cost, rows
from autoscaler.core.cost_advice import Advice, advise, next_step
from autoscaler.core.ledger import Books, day_name, day_named, day_of, forecast_usd, month_usd
from autoscaler.core.reconcile import Reconciled, reconcile
from autoscaler.core.spec import FleetLimits, Limits, Pool
from autoscaler.runtime.report import NO_TICK, PoolReport, TickReport
from autoscaler.web.cost_forms import (
    BillForm,
    CostForm,
    LineForm,
    PlacementCostForm,
    PoolCostForm,
    SpendingForm,
    WasteForm,
)
from autoscaler.web.routes import FORM, Answer, BadRequest, Route, read_query
from autoscaler.web.views import Board, caps_view

_NO_CAPS = FleetLimits()


@dataclass(frozen=True, kw_only=True, slots=True)
class CostQuery:
    """Which books."""

    __pydantic_config__: ClassVar[dict[str, Any]] = FORM

    first: Annotated[date | None, Field(alias="from")] = None
    """The first UTC day; that of the month when absent."""
    last: Annotated[date | None, Field(alias="to")] = None
    """The last UTC day; today when absent."""
    pool: str | None = None
    """This pool alone."""
    lines: bool = False
    """Line by line, too."""


def cost_route(board: Board, now: Callable[[], float]) -> Route:
    """The one route."""

    async def cost(request: web.Request) -> web.Response:
        report, asked = board.report or NO_TICK, read_query(request, CostQuery)
        body = await asyncio.to_thread(lambda: json.dumps(cost_view(report, now(), asked)))  # months of a large fleet
        return web.Response(text=body, content_type="application/json")

    return Route(
        method="GET",
        path="/api/v1/cost",
        handler=cost,
        summary="what the fleet costs, by what it was for; ?from=DAY&to=DAY&pool=POOL&lines=true",
        query=CostQuery,
        answers={200: Answer(text="As of the newest tick.", form=CostForm)},
    )


def cost_view(report: TickReport, now: float, asked: CostQuery) -> CostForm:
    """What the fleet, or one pool, costs.

    Raises:
        BadRequest: the days are none, or there is no such pool.
    """
    books, today = report.books, day_of(now)
    days = _days(asked, today)
    names = _pools(report, days, asked.pool)
    costs = {name: _cost(books, days, name, report.pools.get(name)) for name in names}
    advice = [each for name, cost in costs.items() for each in advise(cost, _settings(report, name))]
    advice.sort(key=lambda each: -each.usd)
    usd = sum(cost.usd for cost in costs.values())
    return {
        **_spending(books, now, asked.pool, _limits(report, asked.pool)),
        "at": report.at or None,
        "leads": report.leads,
        "led_elsewhere": [name for name in report.leaders if name not in report.pools and asked.pool in (None, name)],
        "first_day": day_name(days.start),
        "last_day": day_name(days.stop - 1),
        "books_since": day_name(min(books)) if books else None,
        "usd": usd,
        "pools": [_pool(cost, books, now, report) for cost in costs.values()],
        "waste": [_waste(each) for each in advice],
        "next_step": next_step(advice, usd),
        "bills": [_bill(each) for each in reconcile(books, days, today)],
        "lines": [_line(row) for row in rows(books, days, asked.pool)] if asked.lines else [],
    }


def _days(asked: CostQuery, today: int) -> range:
    last = asked.last or date.fromisoformat(day_name(today))
    first = asked.first or last.replace(day=1)
    if first > last:
        raise BadRequest(f"from: {first} given; expected a day not after {last}")
    return range(day_named(first.isoformat()), day_named(last.isoformat()) + 1)


def _pools(report: TickReport, days: range, pool: str | None) -> list[str]:
    """Configured pools first, then those of which only the days' books know."""
    booked = {name for ledger in report.books.values() for name in ledger.pools}
    lately = {name for day, ledger in report.books.items() if day in days for name in ledger.pools}
    known = [*dict.fromkeys((*report.pools, *sorted(booked)))]
    if pool is not None and report.leads and pool not in known and pool not in report.leaders:
        raise BadRequest(f"pool: there is none of that name; there are {', '.join(known) or 'none'}")
    return [name for name in known if pool in (None, name) and (name in report.pools or name in lately)]


def _cost(books: Books, days: Container[int], name: str, pool: PoolReport | None) -> PoolCost:
    return pool_cost(books, days, name, [tier.name for tier in pool.snapshot.pool.tiers] if pool else ())


def _settings(report: TickReport, name: str) -> Pool | None:
    return report.pools[name].snapshot.pool if name in report.pools else None


def _limits(report: TickReport, pool: str | None) -> Limits | FleetLimits:
    if pool is None:
        return report.limits
    return report.pools[pool].snapshot.pool.limits if pool in report.pools else _NO_CAPS


def _spending(books: Books, now: float, pool: str | None, limits: Limits | FleetLimits) -> SpendingForm:
    today = day_of(now)
    return {
        "usd_today": books[today].usd(pool) if today in books else 0.0,
        "usd_month": month_usd(books, today, pool),
        "usd_month_forecast": forecast_usd(books, now, pool),
        "limits": caps_view(limits),
    }


def _pool(cost: PoolCost, books: Books, now: float, report: TickReport) -> PoolCostForm:
    return {
        **_spending(books, now, cost.pool, _limits(report, cost.pool)),
        "name": cost.pool,
        "usd": cost.usd,
        "purposes": cost.purposes,
        "placements": _placements(cost.rows),
        "tiers": [
            {
                "tier": each.name,
                "usd": each.usd,
                "own_usd": each.own_usd,
                "jobs": each.work.jobs,
                "jobs_told": each.work.told,
                "usd_per_job": each.usd_per_job,
            }
            for each in cost.tiers
        ],
        "nobodys_usd": cost.nobodys_usd,
        "classes": [
            {
                "name": each.name,
                "usd": each.usd,
                "jobs": each.work.jobs,
                "work_s": each.work.work_s,
                "usd_per_job": each.usd_per_job,
            }
            for each in cost.classes
        ],
    }


def _placements(found: Iterable[Row]) -> list[PlacementCostForm]:
    """The dearest first."""
    every: dict[tuple[str, str], list[Row]] = {}
    for row in found:
        every.setdefault((row.placement, row.provider), []).append(row)
    forms: list[PlacementCostForm] = [
        {"placement": placement, "provider": provider, "usd": sum(row.usd for row in own), "purposes": by_purpose(own)}
        for (placement, provider), own in every.items()
    ]
    return sorted(forms, key=lambda form: -form["usd"])


def _waste(advice: Advice) -> WasteForm:
    return {
        "pool": advice.pool,
        "code": advice.code,
        "usd": advice.usd,
        "text": advice.text,
        "fix": advice.fix,
    }


def _bill(bill: Reconciled) -> BillForm:
    return {
        "day": day_name(bill.day),
        "provider": bill.provider,
        "booked_usd": bill.booked_usd,
        "billed_usd": bill.billed_usd,
        "difference_usd": bill.difference_usd,
        "downloads_usd": bill.downloads_usd,
        "verdict": bill.verdict,
    }


def _line(row: Row) -> LineForm:
    return {
        "day": day_name(row.day),
        "pool": row.pool,
        "placement": row.placement,
        "provider": row.provider,
        "tier": row.tier,
        "purpose": row.purpose,
        "usd": row.usd,
    }
