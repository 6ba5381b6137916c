"""What is learned, as the JSON in which the store keeps it. A field that an older record lacks has its default."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.ledger import DayLedger, Spent
from autoscaler.core.load import Load, TierLoad
from autoscaler.core.signal import Fall, Reading, Signal


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
    return DayLedger(**{**value, "pools": {pool: Spent(**spent) for pool, spent in value["pools"].items()}})
