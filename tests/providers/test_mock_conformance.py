"""The mock keeps the provider contract, bare and wrapped."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from providers import conformance
from providers.base import Provider
from providers.breaker import Breaker
from providers.conformance import ReadingConformance
from providers.dry_run import DryRun
from providers.instrumented import Instrumented
from providers.mock import Fault
from tests.support.conforming import BenchConformance
from tests.support.market import CALM, Bench

FOREIGN = replace(CALM, foreign=("somebody's notebook", "autoscaler.other.pool.token"))


class TestMock(BenchConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(FOREIGN)


class TestMockWithSlowListings(TestMock):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(replace(FOREIGN, faults={**FOREIGN.faults, Fault.LISTED_LATE: 1.0, Fault.LINGERS: 1.0}))


class TestMockBehindABreaker(TestMock):
    @pytest.fixture
    def provider(self, bench: Bench) -> Provider:
        return Breaker(bench.provider, lambda: bench.now)


class TestInstrumentedMock(TestMock):
    @pytest.fixture
    def provider(self, bench: Bench) -> Provider:
        return Instrumented(bench.provider, lambda *_: None, lambda: bench.now)


class TestDryRunOfTheMock(ReadingConformance):
    @pytest.fixture
    async def provider(self) -> Provider:
        bench = Bench(FOREIGN)
        await bench.rent_running()
        return DryRun(bench.provider)


def test_the_suite_covers_every_call_of_the_contract() -> None:
    source = inspect.getsource(conformance)
    calls = {name for name, value in vars(Provider).items() if inspect.iscoroutinefunction(value)}
    missing = {name for name in calls - {"close"} if f".{name}(" not in source}
    assert not missing
