"""What RunPod says it billed, by pod and time bucket."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from autoscaler.emulate.runpod.account import Account
from autoscaler.emulate.runpod.refusals import Refusal
from autoscaler.emulate.runpod.words import moment
from providers.mock.machine import Machine

_HOUR_S = 3600.0
_BUCKETS = ("hour", "day", "week", "month", "year")
_YEARS = range(2000, 2100)
_BY_DEFAULT = timedelta(days=30)


class Bills:
    """The meters of all pods, hour by hour."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._usd: dict[tuple[str, float], list[float]] = defaultdict(lambda: [0.0, 0.0])
        """By pod and the hour's beginning: for GPUs, and for disks."""
        account.market.metered = self._meter

    def _meter(self, machine: Machine, start: float, end: float) -> None:
        pod = self._account.pods.get(machine.id)
        if pod is None:
            return
        burn = machine.burn_usd_per_hour
        disk = min(burn, pod.order.running_disk_usd_per_hour) if machine.on_gpu else burn
        while start < end:
            hour = start - start % _HOUR_S
            until = min(end, hour + _HOUR_S)
            amounts = self._usd[machine.id, hour]
            amounts[0] += (burn - disk) * (until - start) / _HOUR_S
            amounts[1] += disk * (until - start) / _HOUR_S
            start = until

    def words(self, query: Mapping[str, str], now: float) -> dict[str, Any]:
        """The answer to GET /v2/billing/pods.

        Raises:
            Refusal: a parameter is wrong.
        """
        self._account.market.close_meters(now)
        size = query.get("bucketSize", "day")
        if size not in _BUCKETS:
            raise _bad("bucketSize", size)
        first, last = _window(query, size, now)
        wanted = query.get("podId")
        rows: dict[tuple[datetime, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for (pod_id, hour), amounts in self._usd.items():
            at = _floor(datetime.fromtimestamp(hour, UTC), size)
            if first <= at < last and wanted in {None, pod_id}:
                rows[at, pod_id] = [rows[at, pod_id][0] + amounts[0], rows[at, pod_id][1] + amounts[1]]
        records = [
            {"podId": pod_id, **_range(at, _next(at, size)), **_amounts(*usd)}
            for (at, pod_id), usd in sorted(rows.items())
        ]
        asked = {**_range(first, last), "bucketSize": size, "podId": wanted}
        metadata = {
            "query": asked,
            "recordCount": len(records),
            "uniquePodCount": len({pod_id for _, pod_id in rows}),
            "totals": _amounts(sum(usd[0] for usd in rows.values()), sum(usd[1] for usd in rows.values())),
        }
        return {"records": records, "metadata": metadata}


def _window(query: Mapping[str, str], size: str, now: float) -> tuple[datetime, datetime]:
    """The time asked for, widened to whole buckets."""
    present = datetime.fromtimestamp(now, UTC)
    if "lastN" in query:
        if query.keys() & {"startTime", "endTime"}:
            raise Refusal(400, "lastN and startTime/endTime are mutually exclusive")
        if not query["lastN"].isdecimal() or not 1 <= int(query["lastN"]) <= 1000:
            raise _bad("lastN", query["lastN"])
        first = _floor(present, size)
        for _ in range(int(query["lastN"]) - 1):
            first = _floor(first - timedelta(seconds=1), size)
        return first, _next(_floor(present, size), size)
    last = _time(query, "endTime", present)
    first = _floor(_time(query, "startTime", present - _BY_DEFAULT), size)
    return first, last if last == _floor(last, size) else _next(_floor(last, size), size)


def _time(query: Mapping[str, str], name: str, default: datetime) -> datetime:
    if name not in query:
        return default
    try:
        at = datetime.fromisoformat(query[name])
    except ValueError:
        raise _bad(name, query[name]) from None
    if at.tzinfo is None or at.year not in _YEARS:
        raise _bad(name, query[name])
    return at.astimezone(UTC)


def _floor(at: datetime, size: str) -> datetime:
    """The beginning of a moment's bucket; weeks begin on Mondays."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    match size:
        case "hour":
            return hour
        case "week":
            return hour.replace(hour=0) - timedelta(days=at.weekday())
        case "month":
            return hour.replace(hour=0, day=1)
        case "year":
            return hour.replace(hour=0, day=1, month=1)
        case _:
            return hour.replace(hour=0)


def _next(at: datetime, size: str) -> datetime:
    """The beginning of the bucket after the one that begins at a moment."""
    longest = {"hour": 1 / 24, "day": 1, "week": 7, "month": 31, "year": 366}[size]
    return _floor(at + timedelta(days=longest), size)


def _range(first: datetime, last: datetime) -> dict[str, str]:
    return {"startTime": moment(first.timestamp()), "endTime": moment(last.timestamp())}


def _amounts(gpu: float, disk: float) -> dict[str, float]:
    return {"totalAmount": gpu + disk, "gpuAmount": gpu, "cpuAmount": 0.0, "diskAmount": disk}


def _bad(name: str, value: str) -> Refusal:
    return Refusal(422, "request parameters failed validation", errors=(f"{name}: '{value}' is not valid",))
