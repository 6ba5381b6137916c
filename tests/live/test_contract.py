"""The provider contract over a real account; see conftest.py for how to run it, and what keeps it cheap."""

from __future__ import annotations

import pytest

from autoscaler.core.spec import MachineSpec, Placement
from providers.base import Provider
from providers.conformance import Advance, ProviderConformance
from tests.live.capped import Capped
from tests.live.conftest import Run


@pytest.mark.live
@pytest.mark.timeout(7200)
@pytest.mark.asyncio(loop_scope="session")
class TestLive(ProviderConformance):
    patience_s = 1800.0

    @pytest.fixture
    def provider(self, capped: Capped) -> Provider:
        return capped

    @pytest.fixture
    def advance(self, run: Run) -> Advance:
        return run.clock.sleep

    @pytest.fixture
    def placement(self, run: Run) -> Placement:
        return Placement(provider=run.kind, max_usd_per_hour=0.9)

    @pytest.fixture
    def machine(self) -> MachineSpec:
        """A small image that stays up, on whichever of the common types is cheapest."""
        gpus = ("RTX 3060", "RTX 3070", "RTX 3080", "RTX 3090", "RTX A4000", "RTX A5000", "RTX 4090")
        return MachineSpec(image="busybox:1.36", gpus=gpus, disk_gb=10.0, args=("sleep", "86400"))
