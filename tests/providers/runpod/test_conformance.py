"""The adapter keeps the provider contract, over the emulated RunPod and whatever that is told to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.spec import Placement
from autoscaler.emulate.runpod import Quirk
from providers.mock import Fault
from tests.support.conforming import BenchConformance
from tests.support.runpod import MARKET, SECURE, SPOT, Bench


class TestRunpod(BenchConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench()


class TestSecureCloud(TestRunpod):
    @pytest.fixture
    def placement(self) -> Placement:
        return SECURE


class TestSpot(TestRunpod):
    @pytest.fixture
    def placement(self) -> Placement:
        return SPOT


class TestWithAnEnd(TestRunpod):
    """Every machine is rented by GraphQL."""

    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(terminate_after=86400.0)


class TestShortPages(TestRunpod):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(MARKET, Quirk.SHORT_PAGES)


class TestWithoutPagination(TestRunpod):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(MARKET, Quirk.NO_PAGINATION)


class TestWithoutGraphQL(TestRunpod):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(MARKET, Quirk.GRAPHQL_GONE)


class TestSlowListings(TestRunpod):
    @pytest.fixture
    def bench(self) -> Bench:
        faults = {**MARKET.faults, Fault.LISTED_LATE: 1.0, Fault.LINGERS: 1.0}
        return Bench(replace(MARKET, faults=faults))


class TestAsExampled(TestRunpod):
    """Answers as in the specification's example, against its prose."""

    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(MARKET, Quirk.EXAMPLE_SHAPES, Quirk.UNSOLD_PRICES, Quirk.NO_RATE_LIMIT_HEADERS)
