"""Vast.ai's JSON and what it means: with ``offers`` and ``orders`` the only place that knows its keys and its words.

Units: prices are USD per hour, storage is priced per GB and a month of 720 hours, `gpu_ram` and the like are MB,
`inet_down` is Mb/s, durations are seconds, dates epoch seconds. Sources: Vast.ai's API documents and its command-line
client 1.9.1; where they disagree with each other or with what others saw, the reading that costs more is taken.

A row that lacks its id, or an answer without its rows, is a ValueError; what else a row lacks is left open, for the
account may hold machines of any kind, and one strange row must not hide the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from autoscaler.core.market import Remote, Status

Row = Mapping[str, Any]

PAGE = 25
"""The most machines that one page of the listing holds."""
MOST_CHARGES = 500
"""The most charges that one page holds."""
HOURS_PER_MONTH = 720.0
_SECONDS_PER_HOUR = 3600.0
_SAID = 200


# --- values -----------------------------------------------------------------------------------------------------------


def number(row: Row, key: str) -> float | None:
    """A finite number, or None."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        told = float(value)
    except OverflowError:  # JSON's integers have no end
        return None
    return told if math.isfinite(told) else None


def most(*numbers: float | None) -> float:
    """The largest of those that there are; no less than 0."""
    return max([0.0, *(number for number in numbers if number is not None)])


def text(row: Row, key: str) -> str:
    """A text, without the white space around it that the vendor's own client strips, too; empty where there is none."""
    return str(row.get(key) or "").strip()


def _word(row: Row, key: str) -> str:
    """A status word; empty where there is none."""
    value = row.get(key)
    return value.strip().lower() if isinstance(value, str) else ""


def row_id(row: Row) -> str:
    """Of a machine or an offer.

    Raises:
        ValueError: it has none.
    """
    value = row.get("id")
    if type(value) is not int:
        raise ValueError("a row without an id")
    return str(value)


def rows_of(body: Row, key: str) -> list[Row]:
    """The rows of an answer.

    Raises:
        ValueError: it has none, not even an empty list.
    """
    rows = body.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{key} is no list of rows")
    return rows


def country(row: Row) -> str:
    """The country of a row, `US`; where it lacks the code, what its place ends in: `Iowa, US`."""
    return (text(row, "country_code") or text(row, "geolocation")).rpartition(",")[2].strip()


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[T]):
    """One page of a long answer."""

    items: list[T]
    rows: int
    """Rows on this page; not each need be an item."""
    total: float
    """Rows on all pages, as the vendor counts them."""
    next_token: str | None


def _page(body: Row, rows: list[Row], items: list[T], total: str) -> Page[T]:
    count, token = number(body, total), body.get("next_token")
    if count is None:
        raise ValueError(f"no {total}")
    return Page(items=items, rows=len(rows), total=count, next_token=str(token) if token else None)


# --- machines ---------------------------------------------------------------------------------------------------------

_RUNS = "running"
_ENDED = frozenset({"stopped", "unloaded"})
"""What becomes of a contract, which is what holds the GPU."""
_UP = frozenset({_RUNS, "frozen", "rebooting"})
"""A container in one of these is billed with its GPU, whatever the contract says."""
_COMING = frozenset({"", "created", "loading"})
_DOWN = frozenset({"stopped", "exited"})
_WANTED = frozenset({_RUNS, "bid"})
_BROKEN = re.compile("oci runtime|manifest unknown|pull access denied|failed to resolve reference|unauthorized")
"""In the words about a container that does not run: it never will."""
_NOT_STARTED = re.compile(rf"{_BROKEN.pattern}|\b(?:error|failed|exception|traceback|permission denied)\b")
"""The same, about one that was made and is not being started."""
_PORT_FLAG = re.compile(r"-p \d+:(\d+)", re.ASCII)


def instances(body: Row) -> Page[Row]:
    """A page of the listing; each row has an id."""
    rows = rows_of(body, "instances")
    for row in rows:
        row_id(row)
    return _page(body, rows, rows, "total_instances")


def instance(body: Row) -> Row | None:
    """One machine; None where there is none of that id, which is told under a 200."""
    row = body.get("instances", ())
    if row is None:
        return None
    if not isinstance(row, dict):
        raise ValueError("instances is no row")  # noqa: TRY004 - the answer is wrong, no argument
    row_id(row)
    return row


def remote(row: Row, now: float, quiet: Callable[[str], str]) -> Remote:
    """A machine as it is listed; `quiet` takes secrets out of the vendor's words."""
    status, gpus, disk = _status(row, now), number(row, "num_gpus"), _disk(row)
    price = most(number(row, "dph_total"), most(number(row, "dph_base")) + disk)
    return Remote(
        provider_id=row_id(row),
        label=text(row, "label"),
        status=status,
        gpu=text(row, "gpu_name"),
        gpu_count=1 if gpus is None else int(gpus),
        region=country(row),
        host=text(row, "machine_id"),
        buy="spot" if row.get("is_bid") is True else "on_demand",
        usd_per_hour=price,
        disk_usd_per_hour=disk,
        burn_usd_per_hour=_burn(row, price, disk),
        address=_address(row),
        ends_at=number(row, "end_date") or None,
        detail=quiet(text(row, "status_msg"))[:_SAID],
    )


def _status(row: Row, now: float) -> Status:
    """What a machine is: its container (`actual_status`) first, then the contract that holds its GPU (`cur_state`).

    RUNNING is only what runs and is meant to. A container that is down although its contract runs, or is meant to stop
    and has not yet, is UNKNOWN: words lag for minutes, and whoever waits has a deadline.
    """
    container = _word(row, "actual_status")
    if container == "offline":
        return Status.OFFLINE
    if container == _RUNS:
        meant = _word(row, "intended_status") in _WANTED and _word(row, "cur_state") not in _ENDED
        return Status.RUNNING if meant else Status.UNKNOWN
    if container == "rebooting":
        return Status.STARTING
    if container in _COMING:
        return Status.FAILED if _is_hopeless(row, now) else _coming(row)
    if container in _DOWN:
        return Status.FAILED if _is_hopeless(row, now) else _down(row)
    return Status.UNKNOWN


def _is_hopeless(row: Row, now: float) -> bool:
    """Whether a machine that does not run never will: a bad image, a broken host, a contract at its end."""
    ends_at = number(row, "end_date")
    words = _NOT_STARTED if _word(row, "actual_status") in ("", "created") else _BROKEN
    broken = words.search(_word(row, "status_msg")) is not None
    return broken or _word(row, "cur_state") == "unloaded" or (ends_at is not None and 0 < ends_at <= now)


def _coming(row: Row) -> Status:
    """The status of a machine that is being made or started, unless it is not."""
    stops = _word(row, "intended_status") == "stopped"
    if _word(row, "cur_state") == "stopped":
        return Status.STOPPED if stops or _word(row, "next_state") == "stopped" else Status.STARTING
    return Status.UNKNOWN if stops else Status.STARTING


def _down(row: Row) -> Status:
    """The status of a machine whose container has ended.

    One that is meant to run and is on demand waits for a GPU, and bills it when it comes. A spot machine in the same
    state was outbid.
    """
    if _word(row, "cur_state") == _RUNS:
        return Status.UNKNOWN
    waits = _word(row, "intended_status") in _WANTED and row.get("is_bid") is not True
    return Status.QUEUED if waits else Status.STOPPED


def _disk(row: Row) -> float:
    """The price while stopped: the higher of the two that a row tells."""
    return most(number(row, "storage_total_cost"), number(_present(row), "diskHour"))


def _present(row: Row) -> Row:
    """The prices of this moment, where a row tells them."""
    prices = row.get("instance")
    return prices if isinstance(prices, dict) else {}


def _burn(row: Row, price: float, disk: float) -> float:
    """What a machine costs at this moment, or may for all that is known, in USD per hour.

    The row's own word counts: as the least, and as all there is while the machine is made and loads, when its GPU is
    free of charge. Of a container that has ended while its contract holds the GPU the documents do not say enough.
    """
    container, contract = _word(row, "actual_status"), _word(row, "cur_state")
    if container == "offline":
        return 0.0
    told = number(_present(row), "totalHour")
    if container in _COMING and told is not None:
        return max(told, disk)
    holds_gpu = contract not in _ENDED if contract else container != "stopped"
    return most(told, price if holds_gpu or container in _UP else disk)


def _address(row: Row) -> str | None:
    """Where a machine is reached: at its public address, and the port that stands for the one it was rented with.

    Ours is rented with one port at most, its `-p` in the environment. Until that is mapped there is no way to it.
    """
    host = text(row, "public_ipaddr")
    asked = _asked_port(row.get("extra_env"))
    if not host or asked is None:
        return host or None
    ports = row.get("ports")
    mapped = ports.get(f"{asked}/tcp") if isinstance(ports, dict) else None
    first = mapped[0] if isinstance(mapped, list) and mapped else None
    outside = text(first, "HostPort") if isinstance(first, dict) else ""
    return f"{host}:{outside}" if outside else None


def _asked_port(extra_env: object) -> str | None:
    pairs = extra_env if isinstance(extra_env, list) else []
    flags = [_PORT_FLAG.fullmatch(str(pair[0]).strip()) for pair in pairs if isinstance(pair, list) and pair]
    return next((flag[1] for flag in flags if flag), None)


# --- money ------------------------------------------------------------------------------------------------------------


def credit(body: Row) -> float | None:
    """The money left in the account."""
    return number(body, "credit")


def charges(body: Row) -> Page[tuple[str, float]]:
    """A page of which machine was billed how much, in USD. Volumes are none, though they be listed unasked."""
    rows = rows_of(body, "results")
    return _page(body, rows, [charge for row in rows if (charge := _charge(row))], "total")


def _charge(row: Row) -> tuple[str, float] | None:
    kind, _, billed = str(row.get("source")).partition("-")
    amount = number(row, "amount")
    if not billed or amount is None:
        raise ValueError(f"a charge for {row.get('source')!r} of {row.get('amount')!r}")
    return (billed, amount) if kind == "instance" else None


_INCREASED = (
    ("gpu_costpersec", "GPU", _SECONDS_PER_HOUR, "USD/h"),
    ("disk_ram_costpersec", "disk", _SECONDS_PER_HOUR * HOURS_PER_MONTH, "USD per GB and month"),
    ("bwu_cost", "upload", 1.0, "USD/GB"),
    ("bwd_cost", "download", 1.0, "USD/GB"),
    ("platform_fee", "platform fee", 100.0, "%"),
)


def increases(body: Row) -> tuple[str, ...]:
    """The price increases that wait for the customer's yes, in words for people."""
    return tuple(_increase(row) for row in rows_of(body, "pending_price_increases"))


def _increase(row: Row) -> str:
    told = []
    for key, name, factor, unit in _INCREASED:
        old, new = number(row, f"old_{key}"), number(row, f"new_{key}")
        if new is not None and new != old:
            before = "" if old is None else f"from {old * factor:.4g} "
            told.append(f"{name} {before}to {new * factor:.4g} {unit}")
    what = ", ".join(told) or "a higher price"
    return (
        f"the host of {row.get('contract_id') or 'a machine'} asks for {what}; accept or reject it in Vast.ai's "
        "console: until then the contract is not extended"
    )
