"""The settings of the emulated RunPod."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import DurationRange
from autoscaler.emulate.runpod.quirks import Quirk
from providers.mock import MockSettings, Stock

_STOCK = (
    Stock(gpu="NVIDIA GeForce RTX 4090", region="EU-RO-1", on_demand=0.69, spot=0.35),
    Stock(gpu="NVIDIA GeForce RTX 4090", region="US-KS-2", on_demand=0.69, spot=0.35, hosts=3),
    Stock(gpu="NVIDIA GeForce RTX 4090", region="US", on_demand=0.39, spot=0.20, hosts=2),
    Stock(gpu="NVIDIA RTX A5000", region="EU-RO-1", on_demand=0.27, spot=0.16, hosts=3),
    Stock(gpu="NVIDIA L40S", region="US-KS-2", on_demand=0.86, spot=0.50, hosts=2),
    Stock(gpu="NVIDIA H100 80GB HBM3", region="US-KS-2", on_demand=2.99, spot=1.75, hosts=1),
)


def _market() -> MockSettings:
    """A market fit for trying things out."""
    return MockSettings(
        stock=_STOCK,
        price_swing=0.0,
        setup=DurationRange(20.0, 40.0),
        resume=DurationRange(5.0, 15.0),
        stop=DurationRange(2.0, 5.0),
        let_to_others=DurationRange(120.0, 300.0),
        listing_lag=DurationRange(5.0, 20.0),
        balance_usd=100.0,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Emulation:
    """A RunPod account in a small market."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    market: MockSettings = field(default_factory=_market)
    """What there is to rent, how long things take, and what goes wrong. In `stock`, `gpu` is RunPod's id of a type and
    `region` a data centre of the Secure Cloud such as `EU-RO-1`, or a country's two letters for hosts of the Community
    Cloud. Prices are those of the type's cheapest host; disks cost what RunPod charges, not `disk_usd_per_gb_month`."""
    quirks: tuple[Quirk, ...] = ()
    """What RunPod does beside."""
