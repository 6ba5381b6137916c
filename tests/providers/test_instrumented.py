"""Every call of a provider is told of: which, how it ended, how long it took."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from autoscaler.core.decision import Result
from autoscaler.core.errors import NotFound
from autoscaler.telemetry.metrics import Metrics
from providers.instrumented import Instrumented
from providers.mock import Fault
from tests.support.market import CALM, MACHINE, ON_DEMAND, SPOT, Bench

Told = list[tuple[str, str, str, float]]


class Watched:
    """A mock market whose calls are told of; each look at the clock takes 2 s."""

    def __init__(self, bench: Bench) -> None:
        self.told: Told = []
        self.provider = Instrumented(bench.provider, self._tell, self._later)
        self._bench = bench

    def _tell(self, provider: str, call: str, result: Result, seconds: float) -> None:
        self.told.append((provider, call, result.value, seconds))

    def _later(self) -> float:
        self._bench.now += 2.0
        return self._bench.now


async def test_each_call_is_told_with_how_it_ended_and_how_long_it_took() -> None:
    watched = Watched(Bench(CALM))
    provider = watched.provider
    [offer, *_] = await provider.list_offers(SPOT, MACHINE)
    machine = await provider.rent(offer, MACHINE, label="x")
    await provider.set_bid(machine, 1.0)
    await provider.stop(machine)
    await provider.resume(machine)
    await provider.list_machines()
    await provider.balance_usd()
    await provider.billed_usd("2026-11-21")
    await provider.release(machine)
    calls = [
        *("list_offers", "rent", "set_bid", "stop", "resume", "list_machines", "balance_usd", "billed_usd", "release")
    ]
    assert watched.told == [("mock", call, "ok", 2.0) for call in calls]


async def test_a_failure_is_told_by_the_word_that_outcomes_have_for_it_and_raised() -> None:
    watched = Watched(Bench(CALM))
    with pytest.raises(NotFound):
        await watched.provider.resume("nothing")
    assert watched.told == [("mock", "resume", "not_found", 2.0)]


async def test_a_call_that_was_given_up_is_told_as_unclear() -> None:
    watched = Watched(Bench(replace(CALM, faults={Fault.HANGS: 1.0})))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await watched.provider.list_offers(ON_DEMAND, MACHINE)
    assert watched.told == [("mock", "list_offers", "unclear", 2.0)]


async def test_prometheus_sees_calls_by_provider_call_and_result() -> None:
    bench, registry = Bench(CALM), CollectorRegistry()
    provider = Instrumented(bench.provider, Metrics(registry, frozenset).asked, lambda: bench.now)
    await provider.list_machines()
    await provider.list_machines()
    with pytest.raises(NotFound):
        await provider.stop("nothing")
    name = "autoscaler_provider_call_seconds_count"
    ok = {"provider": "mock", "call": "list_machines", "result": "ok"}
    assert registry.get_sample_value(name, ok) == 2
    assert registry.get_sample_value(name, {"provider": "mock", "call": "stop", "result": "not_found"}) == 1


async def test_a_clock_that_is_set_back_makes_no_time_negative() -> None:
    bench, told = Bench(CALM), []
    times = iter((1000.0, 400.0))
    provider = Instrumented(bench.provider, lambda *call: told.append(call[3]), lambda: next(times))
    await provider.list_machines()
    assert told == [0.0]
