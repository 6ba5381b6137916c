"""Vast.ai's adapter over its emulator keeps the provider contract."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.emulate.vastai import Quirk
from providers.mock import Fault
from tests.support.conforming import BenchConformance
from tests.support.vast import MARKET, Bench


class TestVast(BenchConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench()


class TestVastWithSlowListings(TestVast):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(replace(MARKET, faults={**MARKET.faults, Fault.LISTED_LATE: 1.0, Fault.LINGERS: 1.0}))


class TestVastAtItsOddest(TestVast):
    @pytest.fixture
    def bench(self) -> Bench:
        odd = (Quirk.IGNORES_BOUNDS, Quirk.ASK_GONE_IS_400, Quirk.GONE_IS_404, Quirk.EXITED_LINGERS)
        return Bench(MARKET, *odd, Quirk.PADDED_ADDRESS, Quirk.OUTBID_STILL_INTENDED, Quirk.PRICE_INCREASE_PENDING)
