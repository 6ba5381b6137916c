"""What is learned, as the JSON in which the store keeps it. A field that an older record lacks has its default."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.ledger import DayLedger, Spent, Wasted, Work
from autoscaler.core.load import Load, TierLoad
from autoscaler.core.purposes import Booting, Line, Purpose
from autoscaler.core.signal import Fall, Reading, Signal
from autoscaler.core.waste import Waste


def fields_of(value: Any) -> dict[str, Any]:
    """A value's fields, for JSON. `asdict` would copy it deeply first."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def read_history(value: dict[str, Any]) -> PlacementHistory:
    """What was learned of a placement."""
    estimates = {name: Estimate(**value[name]) for name in ("setup", "resume")}
    return PlacementHistory(**{**value, **estimates})


def read_load(value: dict[str, Any]) -> Load:
    """What was learned of a pool's jobs."""
    return Load(**{**value, "tiers": {tier: TierLoad(**known) for tier, known in value["tiers"].items()}})


def read_signal(value: dict[str, Any]) -> Signal:
    """How far a pool's queue could be believed."""
    good, fall = value.get("good"), value.get("fall")
    parts = {"good": good and Reading(**good), "fall": fall and Fall(**fall)}
    return Signal(**{**value, **parts})


def read_ledger(value: dict[str, Any]) -> DayLedger:
    """The books of a day."""
    return DayLedger(**{**value, "pools": {pool: _read_spent(spent) for pool, spent in value["pools"].items()}})


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


def _read_spent(value: dict[str, Any]) -> Spent:
    return Spent(
        running_usd=value.get("running_usd", 0.0),
        stopped_usd=value.get("stopped_usd", 0.0),
        lines={
            Line(placement, provider, tier, Purpose(purpose)): usd
            for placement, provider, tier, purpose, usd in value.get("lines", ())
        },
        booting={name: Booting(*boot) for name, boot in value.get("booting", {}).items()},
        wasted={Waste(why): Wasted(times=times, usd=usd) for why, (times, usd) in value.get("wasted", {}).items()},
        tiers=_read_work(value.get("tiers", {})),
        classes=_read_work(value.get("classes", {})),
        downloads=value.get("downloads", {}),
    )


def _read_work(value: dict[str, Any]) -> dict[str, Work]:
    return {name: Work(jobs=jobs, work_s=work_s, told=told) for name, (jobs, work_s, told) in value.items()}
