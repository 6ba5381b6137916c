"""A dry run reads, and nothing it is told reaches the provider."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

import pytest

from autoscaler.core.errors import Rejected
from providers.base import Provider
from providers.dry_run import DryRun, Reads
from tests.support.market import MACHINE, ON_DEMAND, SPOT, Bench

READS = {name for name in vars(Reads) if not name.startswith("_")}
CHANGES = {name for name in vars(Provider) if not name.startswith("_")} - READS


async def test_reads_are_those_of_the_provider() -> None:
    bench = Bench()
    await bench.rent_running()
    dry = DryRun(bench.provider)
    assert (await dry.list_machines()) == (await bench.provider.list_machines())
    assert (await dry.list_offers(ON_DEMAND, MACHINE)) == (await bench.provider.list_offers(ON_DEMAND, MACHINE))
    assert await dry.balance_usd() is None
    assert (dry.name, dry.capabilities) == (bench.provider.name, bench.provider.capabilities)
    await dry.close()


async def test_every_changing_call_of_the_contract_is_refused_and_recorded_and_changes_nothing() -> None:
    bench = Bench()
    machine = await bench.rent_running(SPOT)
    offer = await bench.offer()
    dry: Provider = DryRun(bench.provider)
    before = bench.market.dump()
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "rent": lambda: dry.rent(offer, MACHINE, label="ours"),
        "resume": lambda: dry.resume(machine),
        "stop": lambda: dry.stop(machine),
        "release": lambda: dry.release(machine),
        "set_bid": lambda: dry.set_bid(machine, 0.9),
    }
    assert set(calls) == CHANGES
    for name, call in calls.items():
        with pytest.raises(Rejected, match="dry run: would"):
            await call()
        assert inspect.iscoroutinefunction(getattr(DryRun, name))
    assert bench.market.dump() == before


async def test_what_would_have_been_done_is_told_in_order() -> None:
    bench = Bench()
    dry = DryRun(bench.provider)
    offer = await bench.offer()
    for call in (dry.rent(offer, MACHINE, label="autoscaler.f.p.t"), dry.stop("m7")):
        with pytest.raises(Rejected):
            await call
    assert "RTX 4090" in dry.refused[0]
    assert "autoscaler.f.p.t" in dry.refused[0]
    assert dry.refused[1] == "stop m7"


def test_a_dry_run_keeps_nothing_of_what_it_wraps_that_could_change_it() -> None:
    kept = vars(DryRun(Bench().provider)).values()
    assert not [name for each in kept for name in CHANGES if hasattr(each, name)]
