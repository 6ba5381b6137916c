"""Reading instances: one of them, and the pages of the listing."""

from __future__ import annotations

from collections import Counter

from autoscaler.emulate.vastai.account import Account, Call
from autoscaler.emulate.vastai.errors import Refused, bad_request, no_such_instance, page
from autoscaler.emulate.vastai.query import Row, checked, chosen, invalid, matches, ordered
from autoscaler.emulate.vastai.rows import row_of
from autoscaler.emulate.vastai.settings import Quirk
from autoscaler.emulate.vastai.tokens import cut, parsed_json, read
from providers.http import Answer, json_answer
from providers.mock import Fault

_MOST_ROWS = 25
_ROWS_FOR_NONE = 5
"""The rows of a page whose limit is nothing or less. [docs]"""
_COMPUTED = frozenset({"dph_total", "num_gpus", "duration", "disk_util", "search", "instance", "time_remaining"})
_TEN_MEGABYTES = 10_000_000


def show(account: Account, call: Call) -> Answer:
    """`GET /api/v0/instances/{id}/`: one instance, or null under 200 where it is gone."""
    machine = account.market.machines.get(str(call.number))
    if machine is None or not machine.listed:
        if account.has(Quirk.GONE_IS_404):
            raise no_such_instance(call.number)
        return json_answer(200, {"instances": None})
    return json_answer(200, {"instances": row_of(account, machine, call.now)})


def listing(account: Account, call: Call) -> Answer:
    """`GET /api/v1/instances/`: one page of the listing.

    Of the market's faults, `lists_half` ends the pages early and `listing_fails` fails the last of them; what struck
    the first page is carried to the others by their tokens.
    """
    filters = checked(parsed_json(call.query.get("select_filters") or "{}"))
    if computed := sorted(_COMPUTED & set(filters)):
        raise invalid(f"{computed[0]} is not a valid filter column")
    mark = read(call.query.get("after_token"))
    half = Fault.LISTS_HALF in call.struck or bool(mark.get("half"))
    fails = Fault.LISTING_FAILS in call.struck or bool(mark.get("fails"))
    rows = [row for row in _listed(account, call.now) if matches(row, filters)]
    counts = Counter(row["label"] or "" for row in rows)
    total = len(rows)
    rows = _in_order(rows, call.query.get("order_by"))
    if half:
        rows = rows[: len(rows) // 2]
    rows = _after(rows, mark["position"])
    limit = _limit(call.query.get("limit"))
    shown, more = rows[:limit], rows[limit:]
    if fails and not more:
        raise Refused(page(503, "Service Temporarily Unavailable"))
    told = {
        "success": True,
        "instances_found": len(shown),
        "total_instances": total,
        "label_counts": counts,
        "next_token": cut(shown[-1]["id"], half=half, fails=fails) if more else None,
        "instances": [_selected(account, row, call.query.get("select_cols")) for row in shown],
    }
    if account.has(Quirk.OVERSIZED):
        told["msg"] = "x" * _TEN_MEGABYTES
    return json_answer(200, told)


def filters(account: Account, call: Call) -> Answer:
    """`GET /api/v0/instances/filters/`: what the listing could be filtered by; the client shows it to people."""
    shown = ("actual_status", "gpu_name", "label", "verification")
    rows = {tuple(row[name] for name in shown): None for row in _listed(account, call.now)}
    return json_answer(200, {"success": True, "filters": [dict(zip(shown, row, strict=True)) for row in rows]})


def _listed(account: Account, now: float) -> list[Row]:
    """Rows of what the listing shows: it may lack what is new and hold what is gone."""
    market = account.market
    rows = []
    for remote in market.listing(now):
        machine = market.machines.get(remote.provider_id)
        rows.append(account.last_rows[remote.provider_id] if machine is None else row_of(account, machine, now))
    return rows


def _selected(account: Account, row: Row, columns: str | None) -> Row:
    row = chosen(row, parsed_json(columns) if columns else None)
    if account.has(Quirk.ROWS_WITHOUT_ID):
        row = {name: value for name, value in row.items() if name != "id"}
    return row


def _in_order(rows: list[Row], order_by: str | None) -> list[Row]:
    wanted = parsed_json(order_by) if order_by else []
    if not isinstance(wanted, list) or not all(isinstance(each, dict) and "col" in each for each in wanted):
        raise invalid("order_by must be a list of {col, dir}")
    order = [(str(each["col"]), each.get("dir") == "desc") for each in wanted]
    for column, _ in order:
        if rows and column not in rows[0]:
            raise invalid(f"{column} is not a valid column")
    return ordered(rows, [*order, ("id", False)])


def _after(rows: list[Row], last_id: int) -> list[Row]:
    """The rows after the one of this id; in the order of ids also where that one is gone by now."""
    for place, row in enumerate(rows):
        if row["id"] == last_id:
            return rows[place + 1 :]
    return [row for row in rows if row["id"] > last_id]


def _limit(written: str | None) -> int:
    try:
        wanted = int(written or _MOST_ROWS)
    except ValueError:
        raise bad_request("limit must be an integer") from None
    return min(wanted, _MOST_ROWS) if wanted > 0 else _ROWS_FOR_NONE
