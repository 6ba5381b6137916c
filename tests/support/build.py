"""Builders of core values with ordinary contents, for tests that care about one field."""

from __future__ import annotations

from typing import Any

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Demand, TierDemand
from autoscaler.core.instance import Instance, make_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Offer, Remote, Status
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Limits, MachineSpec, Placement, Pool, Tier
from autoscaler.core.units import Span

NOW = 1_800_000_000.0
FLEET = "acme"


def pool(**changes: Any) -> Pool:
    values: dict[str, Any] = {
        "name": "images",
        "tiers": (Tier(name="pro", wait_target=30.0),),
        "machine": MachineSpec(image="worker:1", gpus=("RTX 4090",)),
        "placements": (Placement(provider="mock", max_usd_per_hour=1.0),),
        "limits": Limits(hot=Span(1, 6), warm=Span(0, 3)),
    }
    return Pool(**(values | changes))


def instance(phase: Phase = Phase.HOT, **changes: Any) -> Instance:
    values: dict[str, Any] = {
        "id": "aaaa",
        "pool": "images",
        "placement": "mock-on-demand",
        "provider": "mock",
        "provider_id": "m-1",
        "phase": phase,
        "phase_since": NOW - 60.0,
        "created_at": NOW - 3600.0,
        "booked_at": NOW - 60.0,
        "usd_per_hour": 0.8,
        "disk_usd_per_hour": 0.02,
    }
    return Instance(**(values | changes))


def remote(status: Status = Status.RUNNING, **changes: Any) -> Remote:
    values: dict[str, Any] = {
        "provider_id": "m-1",
        "label": make_label(FLEET, "images", "aaaa"),
        "status": status,
        "gpu": "RTX 4090",
        "usd_per_hour": 0.8,
        "disk_usd_per_hour": 0.02,
        "burn_usd_per_hour": 0.02 if status is Status.STOPPED else 0.8,
    }
    return Remote(**(values | changes))


def demand(waiting: int = 0, **changes: Any) -> Demand:
    values: dict[str, Any] = {"taken_at": NOW, "tiers": (TierDemand(tier="pro", waiting=waiting),)}
    return Demand(**(values | changes))


def offer(**changes: Any) -> Offer:
    values: dict[str, Any] = {
        "provider": "mock",
        "offer_id": "o-1",
        "gpu": "RTX 4090",
        "region": "US",
        "host": "h-1",
        "buy": "on_demand",
        "usd_per_hour": 0.8,
        "disk_usd_per_hour": 0.02,
    }
    return Offer(**(values | changes))


def snapshot(*instances: Instance, **changes: Any) -> PoolSnapshot:
    values: dict[str, Any] = {
        "pool": pool(),
        "demand": demand(),
        "instances": instances,
        "offers": {"mock-on-demand": (offer(),)},
        "stoppable": frozenset({"mock"}),
        "rebids": frozenset({"mock"}),
        "busy": {i.id: 0 for i in instances},
    }
    return PoolSnapshot(**(values | changes))


def decision(hot: int, warm: int = 3, **changes: Any) -> Decision:
    return Decision(hot=hot, warm=warm, ceiling=changes.pop("ceiling", 6), **changes)
