"""The mock keeps the provider contract, bare and wrapped."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from providers.base import Provider
from providers.conformance import Advance, ProviderConformance
from providers.mock import Fault
from tests.support.market import CALM, Bench

FOREIGN = replace(CALM, foreign=("somebody's notebook", "autoscaler.other.pool.token"))


class TestMock(ProviderConformance):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(FOREIGN)

    @pytest.fixture
    def provider(self, bench: Bench) -> Provider:
        return bench.provider

    @pytest.fixture
    def advance(self, bench: Bench) -> Advance:
        return bench.advance


class TestMockWithSlowListings(TestMock):
    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(replace(FOREIGN, faults={**FOREIGN.faults, Fault.LISTED_LATE: 1.0, Fault.LINGERS: 1.0}))


class Passing:
    """A wrapper that adds nothing, by the contract's own list of calls."""

    def __init__(self, inner: Provider) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        call: Callable[..., object] = getattr(self._inner, name)
        return call


class TestWrappedMock(TestMock):
    @pytest.fixture
    def provider(self, bench: Bench) -> Provider:
        return cast(Provider, Passing(bench.provider))


def test_the_suite_covers_every_call_of_the_contract() -> None:
    source = inspect.getsource(ProviderConformance)
    calls = {name for name, value in vars(Provider).items() if inspect.iscoroutinefunction(value)}
    missing = {name for name in calls - {"balance_usd", "close"} if f".{name}(" not in source}
    assert not missing
