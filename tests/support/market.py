"""A mock provider on a clock that a test moves by hand."""

from __future__ import annotations

import random
from dataclasses import replace

from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.core.units import DurationRange
from providers.mock import Fault, Market, MockProvider, MockSettings
from tests.support.bench import BaseBench

HOUR = 3600.0
MACHINE = MachineSpec(image="ghcr.io/acme/worker:1.0", gpus=("RTX 4090",), slots=2, env={"MODE": "fast"})
ON_DEMAND = Placement(provider="mock", max_usd_per_hour=2.0)
SPOT = replace(ON_DEMAND, buy="spot")

CALM = MockSettings(
    setup=DurationRange(1800.0, 1800.0),
    resume=DurationRange(180.0, 180.0),
    stop=DurationRange(10.0, 10.0),
    let_to_others=DurationRange(HOUR, HOUR),
    offline=DurationRange(600.0, 600.0),
    listing_lag=DurationRange(60.0, 60.0),
    faults={Fault.RESUME_REFUSED: 0.0, Fault.OUTBID: 0.0},
)
"""A market in which nothing goes wrong and every duration is known."""


class Bench(BaseBench):
    """One mock provider and its time."""

    provider: MockProvider
    placement = ON_DEMAND
    machine = MACHINE

    def __init__(self, settings: MockSettings = CALM, *, seed: int = 7) -> None:
        super().__init__()
        self.provider = MockProvider("mock", settings, now=lambda: self.now, rng=random.Random(seed))

    @property
    def market(self) -> Market:
        return self.provider.market
