"""The search: what can be rented now, with Vast.ai's prices and bounds."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autoscaler.core.market import Offer
from autoscaler.core.spec import Buy, MachineSpec, Placement
from autoscaler.emulate.vastai.account import Account, Call
from autoscaler.emulate.vastai.errors import Refused
from autoscaler.emulate.vastai.fields import number
from autoscaler.emulate.vastai.hardware import CARDS, DISK_GB, Place, card
from autoscaler.emulate.vastai.query import Row, checked, chosen, invalid, matches, ordered
from autoscaler.emulate.vastai.rows import breakdown
from autoscaler.emulate.vastai.settings import Quirk
from providers.http import Answer, json_answer

_MOST_OFFERS = 64
"""More are never given, whatever `limit` asks for. [reports]"""
_DAY_S = 86400.0
_STORAGE_GB, _LEAST_STORAGE_GB, _MOST_STORAGE_GB = 8.0, 1.0, 100_000.0
_MOST_LIMIT = 100_000
_BUY: Mapping[str, Buy] = {"on-demand": "on_demand", "ondemand": "on_demand", "bid": "spot", "interruptible": "spot"}
_NOT_FILTERS = frozenset(
    {"type", "order", "limit", "allocated_storage", "select_cols", "client_id", "target_reliability", "extra_ids"}
    | {"show_incompatible", "sort_option", "template_id", "gpu_option", "disable_bundling", "chunked", "georegion"}
)
_ALIASES = {"reliability": "reliability2", "ubuntu_version": "os_version"}


def search(account: Account, call: Call) -> Answer:
    """`POST /api/v0/bundles/`."""
    return json_answer(200, {"offers": found(account, call, call.body)})


def search_asks(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/search/asks/`, the same in another wrapping."""
    columns = call.body.get("select_cols")
    return json_answer(200, {"offers": [chosen(row, columns) for row in found(account, call, call.body.get("q", {}))]})


def gpu_types(account: Account, call: Call) -> Answer:  # noqa: ARG001 - all routes have this signature
    """`GET /api/v0/gpu_types/`: what searches know."""
    told = [{"canonical_name": name, "gpu_ram_mb": card(name).ram_mb} for name in _names(account)]
    return json_answer(200, {"success": True, "gpu_types": told})


def gpu_names(account: Account, call: Call) -> Answer:  # noqa: ARG001 - as above
    """`GET /api/v0/gpu_names/unique/`: the same as names alone; the client asks for it whenever it starts."""
    return json_answer(200, {"gpu_names": _names(account)})


def _names(account: Account) -> list[str]:
    return sorted({stock.gpu for stock in account.market.settings.stock} | set(CARDS))


def found(account: Account, call: Call, query: Mapping[str, Any]) -> list[Row]:
    """The offers of a search.

    Raises:
        Refused: the query is wrong, or the day's searches are spent.
    """
    if account.has(Quirk.SEARCH_QUOTA_SPENT):
        midnight = str(math.floor(call.now / _DAY_S + 1) * int(_DAY_S))
        told = {"success": False, "error": "search_quota_exceeded", "msg": "Daily search quota exceeded."}
        raise Refused(json_answer(429, told, x_ratelimit_reset=midnight))
    if not isinstance(query, Mapping):
        raise invalid("Invalid json body")
    kind = str(query.get("type", "on-demand"))
    if kind == "reserved":
        return []
    if kind not in _BUY:
        raise invalid(f"{kind} is not a valid search type")
    filters = checked({name: bounds for name, bounds in query.items() if name not in _NOT_FILTERS})
    if account.has(Quirk.IGNORES_BOUNDS):
        filters = {name: bounds for name, bounds in filters.items() if name == "gpu_name"}
    limit = number(query, "limit", _MOST_OFFERS, least=0, most=_MOST_LIMIT, error="invalid_request")
    storage_gb = number(
        query, "allocated_storage", _STORAGE_GB, least=_LEAST_STORAGE_GB, most=_MOST_STORAGE_GB, error="invalid_request"
    )
    rows = list(_rows(account, call, _BUY[kind], storage_gb))
    kept = [row for row in rows if matches(_searched(row, filters), filters)]
    return ordered(kept, _order(query.get("order")))[: min(_MOST_OFFERS, int(limit))]


def _rows(account: Account, call: Call, buy: Buy, storage_gb: float) -> Iterator[Row]:
    market = account.market
    gpus = tuple({stock.gpu for stock in market.settings.stock})
    anywhere = Placement(provider="vastai", max_usd_per_hour=math.inf, buy=buy, gpus=gpus)
    machine = MachineSpec(image="", gpus=gpus, disk_gb=storage_gb)
    asked_too_much = _own_bids(account)
    for offer in market.offers(call.now, anywhere, machine, call.struck):
        host = market.hosts[offer.host]
        for ask_id in account.open_asks(host):
            floor = max(host.usd_per_hour("spot", market.clock), asked_too_much[host.id])
            yield offer_row(
                account.place_of(host, call.now),
                offer,
                ask_id,
                min_bid=round(floor, 4),
                storage_gb=storage_gb,
                now=call.now,
            )


def _own_bids(account: Account) -> Mapping[str, float]:
    """What we bid on each host: its least bid echoes that, as customers report."""
    bids: dict[str, float] = defaultdict(float)
    for machine in account.market.machines.values():
        if machine.buy == "spot" and machine.holds_gpu:
            bids[machine.host] = max(bids[machine.host], round(machine.usd_per_hour - machine.disk_usd_per_hour, 3))
    return bids


def offer_row(place: Place, offer: Offer, ask_id: int, *, min_bid: float, storage_gb: float, now: float) -> Row:
    """One offer. Its price is the GPU's alone, the least bid where it is searched for as `bid`, and with the disk."""
    storage = offer.disk_usd_per_hour
    base = min_bid if offer.buy == "spot" else round(offer.usd_per_hour - storage, 6)
    total = base + storage
    shared = place.row()
    return {
        **shared,
        "id": ask_id,
        "ask_contract_id": ask_id,
        "gpu_total_ram": shared["gpu_ram"],
        "is_bid": offer.buy == "spot",
        "rented": False,
        "dph_base": base,
        "dph_total": total,
        "dph_total_adj": total,
        "discounted_dph_total": total,
        "discount_rate": 0,
        "discounted_hourly": 0,
        "min_bid": min_bid,
        "storage_cost": round(storage * 720.0 / storage_gb, 6),
        "storage_total_cost": storage,
        "reliability": place.reliability,
        "expected_reliability": place.reliability,
        "disk_space": DISK_GB,
        "start_date": now - 1000.0,
        "end_date": place.ends_at,
        "duration": place.ends_at - now,
        "dlperf_per_dphtotal": shared["dlperf"] / total,
        "flops_per_dphtotal": shared["total_flops"] / total,
        "score": round(shared["dlperf"] / total * place.reliability, 4),
        "search": breakdown(base, storage),
        "instance": breakdown(0.0, storage),
        "datacenter": False,
        "resource_type": "gpu",
        "cluster_id": None,
        "bundled_results": None,
        "hostname": None,
        "time_remaining": "",
        "time_remaining_isbid": "",
    }


def _searched(row: Row, filters: Mapping[str, Any]) -> Row:
    """A row as filters see it.

    Raises:
        Refused: they name a key that no row has.
    """
    seen = {
        **row,
        **{alias: row[name] for alias, name in _ALIASES.items()},
        "verified": row["verification"] == "verified",
        "external": bool(row["external"]),
        "geolocation": row["geolocation"].rsplit(", ", 1)[-1],
        "id": None,  # filtering on `id` matches nothing; `ask_contract_id` is the one. [reports]
    }
    for name in filters:
        if name not in seen:
            raise invalid(f"{name} is not a valid search key")
    return seen


def _order(written: Any) -> Sequence[tuple[str, bool]]:
    """Columns, and whether each falls; by score where nothing is said."""
    wanted = written or [["score", "desc"]]
    if not isinstance(wanted, list) or not all(isinstance(each, list) and len(each) == 2 for each in wanted):
        raise invalid("order must be a list of [field, direction]")
    return [(str(column), way == "desc") for column, way in wanted]
