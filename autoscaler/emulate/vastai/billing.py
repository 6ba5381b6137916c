"""Charges and credit, from the market's meters.

A running instance is billed for its GPU and its disk; one that is starting, stopped or queued for its disk; one whose
host is offline for nothing. [docs]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from autoscaler.emulate.vastai.errors import refusal
from autoscaler.emulate.vastai.query import checked, invalid
from autoscaler.emulate.vastai.tokens import cut, parsed_json, position
from providers.http import Answer, json_answer
from providers.mock import Market
from providers.mock.machine import Machine

if TYPE_CHECKING:
    from autoscaler.emulate.vastai.account import Account, Call

_MOST_CHARGES = 500
_NEVER_SPENT_USD = 1000.0
"""What the account shows where the market's balance never runs out."""


class Interval(NamedTuple):
    """A time in which neither state nor price of an instance changed."""

    since: float
    until: float
    gpu_usd_per_hour: float
    disk_usd_per_hour: float


class Meters:
    """What was billed, instance by instance, with the times it was billed for."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._billed: dict[str, list[Interval]] = defaultdict(list)
        self._labels: dict[str, str] = {}
        market.metered = self._meter

    def _meter(self, machine: Machine, since: float, until: float) -> None:
        burn = machine.burn_usd_per_hour
        disk = min(burn, machine.disk_usd_per_hour)
        self._labels[machine.id] = machine.label
        self._billed[machine.id].append(Interval(since, until, burn - disk, disk))

    def rows(self, since: float, until: float, now: float) -> list[dict[str, Any]]:
        """What each instance was billed for a time, as `charges` shows it; those that are gone included."""
        self._market.close_meters(now)
        rows = []
        for instance_id, intervals in self._billed.items():
            within = [
                each._replace(since=max(each.since, since), until=min(each.until, until))
                for each in intervals
                if each.since < until and each.until > since
            ]
            if within:
                rows.append(_row(instance_id, self._labels[instance_id], within))
        return sorted(rows, key=lambda row: row["start"])


def user(account: Account, call: Call) -> Answer:
    """`GET /api/v0/users/current/`."""
    left = account.market.balance_usd(call.now)
    credit = _NEVER_SPENT_USD if left is None else round(left, 6)
    told = {
        "id": 90_210,
        "key_id": 1,
        "username": "emulated",
        "email": "user@example.com",
        "balance": min(0.0, credit),
        "credit": credit,
        "ssh_key": "",
        "sid": "",
        "can_pay": True,
        "is_host": False,
    }
    return json_answer(200, told)


def charges(account: Account, call: Call) -> Answer:
    """`GET /api/v0/charges/`: what each instance was billed."""
    filters = checked(parsed_json(call.query.get("select_filters", "{}")))
    day = filters.get("day", {})
    try:
        since, until = float(day["gte"]), float(day["lte"])
        limit = max(1, min(_MOST_CHARGES, int(call.query.get("limit", 100))))
    except KeyError:
        message = "Must provide both 'day' gte and lte filters for instance charges"
        raise refusal(400, "invalid_request", message) from None
    except (TypeError, ValueError):
        raise invalid("day and limit must be numbers") from None
    rows = account.meters.rows(since, until, call.now)
    if "instance" not in filters.get("type", {}).get("in", ["instance"]):
        rows = []
    if call.query.get("latest_first", "true").lower() != "false":
        rows.reverse()
    first = position(call.query.get("after_token"))
    shown = rows[first : first + limit]
    more = cut(first + limit) if first + limit < len(rows) else None
    told = {"success": True, "count": len(shown), "total": len(rows), "next_token": more, "results": shown}
    return json_answer(200, told)


def _row(instance_id: str, label: str, within: list[Interval]) -> dict[str, Any]:
    items = [
        *_items("gpu", ((each, each.gpu_usd_per_hour) for each in within)),
        *_items("disk", ((each, each.disk_usd_per_hour) for each in within)),
    ]
    days = (within[-1].until - within[0].since) / 86400.0
    return {
        "start": int(within[0].since),
        "end": int(within[-1].until),
        "type": "instance",
        "source": f"instance-{instance_id}",
        "description": f"Instance {instance_id} Charges - {days:.1f} days",
        "amount": round(sum(item["amount"] for item in items), 3),
        "metadata": {"label": label} if label else {},
        "items": items,
    }


def _items(kind: str, charged: Iterable[tuple[Interval, float]]) -> list[dict[str, Any]]:
    """One item for each price."""
    by_price: dict[float, list[Interval]] = defaultdict(list)
    for each, usd_per_hour in charged:
        if usd_per_hour > 0:
            by_price[usd_per_hour].append(each)
    items = []
    for usd_per_hour, times in by_price.items():
        hours = sum(each.until - each.since for each in times) / 3600.0
        items.append(
            {
                "start": int(times[0].since),
                "end": int(times[-1].until),
                "type": kind,
                "source": None,
                "description": f"{hours:.3f} hours at ${usd_per_hour:.4f}/hour",
                "amount": round(hours * usd_per_hour, 6),
                "metadata": {},
                "items": [],
            }
        )
    return items
