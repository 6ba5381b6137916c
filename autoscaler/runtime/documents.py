"""What is learned, as the JSON in which the store keeps it. A field that an older record lacks has its default.

What has another shape raises an error when it is read, so that nobody reckons with it later.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from autoscaler.core.admission import Refused
from autoscaler.core.bills import MachineBooks
from autoscaler.core.diagnosis import ImageHistory
from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.history import PlacementHistory
from autoscaler.core.ledger import DayLedger, Spent
from autoscaler.core.load import Load
from autoscaler.core.signal import Signal
from autoscaler.core.trouble import Trouble

_HISTORIES = TypeAdapter(dict[str, PlacementHistory])
_IMAGES = TypeAdapter(dict[str, ImageHistory])
_PLACES = TypeAdapter(dict[str, dict[str, Trouble]])
_MACHINE_BOOKS = TypeAdapter(MachineBooks)
_REFUSED = TypeAdapter(dict[str, float | None])
_LOAD = TypeAdapter(Load)
_SIGNAL = TypeAdapter(Signal)
_LEDGER = TypeAdapter(DayLedger)


def fields_of(value: Any) -> dict[str, Any]:
    """A value's fields, for JSON. `asdict` would copy it deeply first."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def read_histories(value: Any) -> dict[str, PlacementHistory]:
    """What was learned of a pool's placements, by their labels."""
    return _HISTORIES.validate_python(value)


def read_images(value: Any) -> dict[str, ImageHistory]:
    """What was learned of images, by their names."""
    return _IMAGES.validate_python(value)


def read_places(value: Any) -> dict[str, dict[str, Trouble]]:
    """The troubles of a provider's hosts, regions and stocks."""
    return _PLACES.validate_python(value)


def read_machine_books(value: Any) -> MachineBooks:
    """What machines cost on the day of the books and the one before."""
    return _MACHINE_BOOKS.validate_python(value)


def read_refused(value: Any) -> Refused:
    """The tiers of a pool that were refused."""
    return _REFUSED.validate_python(value)


def read_load(value: Any) -> Load:
    """What was learned of a pool's jobs."""
    return _LOAD.validate_python(value)


def read_signal(value: Any) -> Signal:
    """How far a pool's queue could be believed."""
    return _SIGNAL.validate_python(value)


def read_books(day: str, text: str) -> DayLedger:
    """The books stored under a day.

    Raises:
        StoreUnavailable: they cannot be read. To go on without them could spend a budget twice.
    """
    try:
        return read_ledger(from_json(text, allow_inf_nan=False))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise StoreUnavailable(
            f"the books of {day} cannot be read ({in_short(error)}): repair or delete them"
        ) from error


def in_short(error: Exception) -> str:
    """What is wrong with something stored, on one line."""
    if isinstance(error, ValidationError):
        problem = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    return f"{type(error).__name__}: {error}".splitlines()[0]


def read_ledger(value: Any) -> DayLedger:
    """The books of a day. Money below zero would be more of a budget than there is."""
    pages = {pool: _read_spent(spent) for pool, spent in value["pools"].items()}
    ledger = _LEDGER.validate_python(value | {"pools": pages})
    if any(min(spent.running_usd, spent.stopped_usd) < 0.0 for spent in ledger.pools.values()):
        raise ValueError("money below zero")
    return ledger


def ledger_fields(ledger: DayLedger) -> dict[str, Any]:
    """The books of a day, for JSON. Each line is a list, as are machines' boots, wastes and work by their names."""
    return fields_of(ledger) | {"pools": {pool: _spent_fields(spent) for pool, spent in ledger.pools.items()}}


def _spent_fields(spent: Spent) -> dict[str, Any]:
    written = {
        "lines": [[*line, usd] for line, usd in spent.lines.items()],
        "booting": spent.booting,
        "wasted": {why: (each.times, each.usd) for why, each in spent.wasted.items()},
        "tiers": {name: (work.jobs, work.work_s, work.told) for name, work in spent.tiers.items()},
        "classes": {name: (work.jobs, work.work_s, work.told) for name, work in spent.classes.items()},
        "downloads": spent.downloads,
    }
    totals = {"running_usd": spent.running_usd, "stopped_usd": spent.stopped_usd}
    return totals | {name: value for name, value in written.items() if value}


def _read_spent(value: dict[str, Any]) -> dict[str, Any]:
    """The fields of a page: its lines by what they tell apart, and what is written as a list by its names."""
    named = ("jobs", "work_s", "told")
    return value | {
        "lines": {tuple(line): usd for *line, usd in value.get("lines", ())},
        "wasted": {why: {"times": times, "usd": usd} for why, (times, usd) in value.get("wasted", {}).items()},
        "tiers": {name: dict(zip(named, work, strict=True)) for name, work in value.get("tiers", {}).items()},
        "classes": {name: dict(zip(named, work, strict=True)) for name, work in value.get("classes", {}).items()},
    }
