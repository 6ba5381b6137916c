"""A GPU market inside the process, for demos, rehearsals and tests. It bills, and misbehaves as real ones do."""

from providers.kind import Means, ProviderKind
from providers.mock.faults import Fault, Operation
from providers.mock.hosts import disk_usd_per_hour, least_usd_per_hour
from providers.mock.market import Market
from providers.mock.provider import MockProvider
from providers.mock.scenario import Step, read_scenario
from providers.mock.series import Change, Series, series_for
from providers.mock.settings import MockSettings, Stock
from providers.mock.terms import Terms


def _make(name: str, settings: MockSettings, means: Means) -> MockProvider:
    return MockProvider(name, settings, now=means.now, rng=means.random(settings.seed))


KIND = ProviderKind(settings=MockSettings, capabilities=MockProvider.capabilities, make=_make)

__all__ = [
    "KIND",
    "Change",
    "Fault",
    "Market",
    "MockProvider",
    "MockSettings",
    "Operation",
    "Series",
    "Step",
    "Stock",
    "Terms",
    "disk_usd_per_hour",
    "least_usd_per_hour",
    "read_scenario",
    "series_for",
]
