"""The provider contract, held to the provider on a bench."""

from __future__ import annotations

import pytest

from providers.base import Provider
from providers.conformance import Advance, ProviderConformance
from tests.support.bench import BaseBench


class BenchConformance(ProviderConformance):
    """Subclass it, and override `bench`."""

    @pytest.fixture
    def bench(self) -> BaseBench:
        """What holds the provider under test."""
        raise NotImplementedError

    @pytest.fixture
    def provider(self, bench: BaseBench) -> Provider:
        return bench.provider

    @pytest.fixture
    def advance(self, bench: BaseBench) -> Advance:
        return bench.advance
