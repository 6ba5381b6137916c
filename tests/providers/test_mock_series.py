"""The market follows what was recorded: prices, and how many GPUs can be had."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.errors import NoCapacity, ProviderError
from autoscaler.core.market import Status
from autoscaler.core.spec import Placement
from providers.mock import Change, Fault, MockProvider, MockSettings, Series, Step, Stock, series_for
from tests.support.market import CALM, HOUR, MACHINE, ON_DEMAND, SPOT, Bench

STOCK = Stock(gpu="RTX 4090", region="US", on_demand=0.8, spot=0.4)
MARKET = replace(CALM, stock=(STOCK,), outbid_returns=0.0)
DEAR = replace(SPOT, max_usd_per_hour=100.0)


def series(*changes: Change) -> Series:
    """The series of the one kind in stock."""
    return Series(gpu="RTX 4090", region="US", changes=changes)


class Recorded(Bench):
    """A bench whose market follows series."""

    def __init__(self, followed: Series | Sequence[Series], settings: MockSettings = MARKET, *, seed: int = 7) -> None:
        super().__init__(settings, seed=seed)
        many = (followed,) if isinstance(followed, Series) else followed
        self.provider = MockProvider("mock", settings, now=lambda: self.now, rng=random.Random(seed), series=many)

    async def prices(self, placement: Placement) -> set[float]:
        """Of all offers."""
        return {offer.usd_per_hour for offer in await self.provider.list_offers(placement, MACHINE)}

    async def statuses(self) -> list[Status]:
        """Of the machines, in the order of renting."""
        return [remote.status for remote in (await self.listed()).values()]


def available(*counts: tuple[float, float], buy: str = "spot") -> Series:
    """How many can be had from which hour on."""
    return series(
        *(Change(hour * HOUR, "spot" if buy == "spot" else "on_demand", None, count) for hour, count in counts)
    )


async def test_offers_follow_the_recorded_price_and_the_settings_before_it() -> None:
    bench = Recorded(series(Change(HOUR, "spot", 0.55), Change(2 * HOUR, "spot", 0.3), Change(HOUR, "on_demand", 1.2)))
    disk = (await bench.offer(SPOT)).disk_usd_per_hour
    assert await bench.prices(SPOT) == {
        host.usd_per_hour("spot", bench.now) + disk for host in bench.market.hosts.values()
    }
    await bench.advance(HOUR)
    assert await bench.prices(SPOT) == {0.55 + disk}
    assert await bench.prices(ON_DEMAND) == {1.2 + disk}
    await bench.advance(HOUR)
    assert await bench.prices(SPOT) == {0.3 + disk}
    await bench.advance(1000 * HOUR)
    assert await bench.prices(SPOT) == {0.3 + disk}, "the last price holds"


async def test_a_machine_keeps_the_price_it_was_rented_at_and_a_spot_machine_its_bid() -> None:
    bench = Recorded(
        series(
            *(Change(hour * HOUR, buy, price) for hour, price in ((0, 0.5), (1, 9.0)) for buy in ("on_demand", "spot"))
        )
    )
    await bench.rent(ON_DEMAND)
    await bench.rent(SPOT)
    before = [remote.usd_per_hour for remote in (await bench.listed()).values()]
    await bench.advance(2 * HOUR)
    assert [remote.usd_per_hour for remote in (await bench.listed()).values()] == before
    assert await bench.statuses() == [Status.RUNNING, Status.RUNNING]


async def test_no_more_can_be_rented_than_are_available() -> None:
    bench = Recorded(available((0, 2)))
    seen = await bench.provider.list_offers(SPOT, MACHINE)
    await bench.rent(SPOT)
    await bench.rent(SPOT)
    assert not await bench.provider.list_offers(SPOT, MACHINE)
    assert await bench.provider.list_offers(ON_DEMAND, MACHINE), "ways of buying are counted apart"
    with pytest.raises(NoCapacity):
        await bench.provider.rent(seen[-1], MACHINE, label="ours")


async def test_where_fewer_are_available_the_newest_spot_machines_are_outbid() -> None:
    bench = Recorded(available((0, 3), (2, 1)))
    for _ in range(3):
        await bench.rent(SPOT)
    await bench.advance(2 * HOUR - 1)
    assert await bench.statuses() == [Status.RUNNING] * 3
    await bench.advance(1)
    assert await bench.statuses() == [Status.RUNNING, Status.STOPPED, Status.STOPPED]
    assert [remote.detail for remote in (await bench.listed()).values()] == ["", "outbid", "outbid"]


async def test_a_machine_that_holds_no_gpu_is_not_outbid_in_place_of_one_that_does() -> None:
    bench = Recorded(available((0, 2), (2, 1)))
    await bench.rent(SPOT)
    await bench.provider.stop(await bench.rent(SPOT))
    await bench.advance(2 * HOUR)
    assert await bench.statuses() == [Status.RUNNING, Status.STOPPED]
    assert (await bench.seen("m2")).detail == "stopped by user"


async def test_an_on_demand_machine_runs_on_and_cannot_be_resumed_once_it_was_stopped() -> None:
    bench = Recorded(available((0, 1), (2, 0), (5, 1), buy="on_demand"))
    machine = await bench.rent(ON_DEMAND)
    await bench.advance(3 * HOUR)
    assert await bench.statuses() == [Status.RUNNING]
    await bench.provider.stop(machine)
    await bench.advance(60.0)
    with pytest.raises(NoCapacity):
        await bench.provider.resume(machine)
    await bench.advance(2 * HOUR)
    await bench.provider.resume(machine)


async def test_an_outbid_machine_comes_back_by_itself_only_when_it_is_available_again() -> None:
    bench = Recorded(available((0, 1), (1, 0), (6, 1)), replace(MARKET, outbid_returns=1.0))
    machine = await bench.rent(SPOT)
    await bench.advance(5.9 * HOUR)
    assert (await bench.seen(machine)).status is Status.STOPPED, "its host is free again since the second hour"
    await bench.advance(0.3 * HOUR)
    assert (await bench.seen(machine)).status is Status.RUNNING


async def test_a_machine_on_a_host_that_is_away_loses_its_gpu_as_well() -> None:
    away = Step(fault=Fault.HOST_OFFLINE, at=0.75 * HOUR, until=1.5 * HOUR)
    bench = Recorded(available((0, 1), (1, 0)), replace(MARKET, scenario=(away,)))
    machine = await bench.rent(SPOT)
    await bench.advance(1.4 * HOUR)
    assert (await bench.seen(machine)).status is Status.OFFLINE
    await bench.advance(0.6 * HOUR)
    assert (await bench.seen(machine)).status is Status.STOPPED


async def test_all_stock_of_a_series_shares_what_is_available() -> None:
    stock = (STOCK, replace(STOCK, region="CA"))
    bench = Recorded(Series(gpu="rtx-4090", changes=(Change(0.0, "spot", None, 1),)), replace(MARKET, stock=stock))
    await bench.rent(SPOT)
    assert not await bench.provider.list_offers(SPOT, MACHINE)


async def test_stock_that_follows_no_series_goes_by_its_settings() -> None:
    other = replace(STOCK, region="CA")
    bench = Recorded(available((0, 0)), replace(MARKET, stock=(STOCK, other)))
    assert {offer.region for offer in await bench.provider.list_offers(SPOT, MACHINE)} == {"CA"}
    assert {offer.region for offer in await bench.provider.list_offers(ON_DEMAND, MACHINE)} == {"US", "CA"}


@pytest.mark.parametrize(
    ("stock", "followed"),
    [
        (Stock(gpu="V100", region="us-west-2a", on_demand=3, spot=1), "v100/us-west-2a"),
        (Stock(gpu="A100 80GB_PCIe", region="US", on_demand=3, spot=1), "A100_80GB_PCIe"),
        (Stock(gpu="V100", region="us-west-2b", on_demand=3, spot=1), None),
        (Stock(gpu="V100", region="US", on_demand=3, spot=1, series="v100/US-WEST-2A"), "v100/us-west-2a"),
        (Stock(gpu="V100", region="us-west-2a", on_demand=3, spot=1, series="A100 80gb PCIe"), "A100_80GB_PCIe"),
        (Stock(gpu="V100", region="us-west-2a", on_demand=3, spot=1, series="nowhere"), None),
    ],
)
def test_stock_follows_the_series_it_names_or_that_of_its_own_kind(stock: Stock, followed: str | None) -> None:
    known = [Series(gpu="v100", region="us-west-2a", changes=()), Series(gpu="A100_80GB_PCIe", changes=())]
    found = series_for(stock, known)
    assert (found and found.name) == followed


async def test_the_market_says_when_it_changes_next_and_never_after_the_last_change() -> None:
    bench = Recorded(series(Change(HOUR, "spot", 0.5), Change(HOUR, "on_demand", 0.9), Change(3 * HOUR, "spot", 0.6)))
    await bench.listed()
    opened, changes = bench.now, bench.market.changes
    assert bench.market.due == opened + HOUR
    await bench.advance(HOUR)
    await bench.listed()
    assert bench.market.due == opened + 3 * HOUR
    assert bench.market.changes == changes + 1, "what comes at one moment comes at once"
    await bench.advance(2 * HOUR)
    await bench.listed()
    assert bench.market.due == math.inf


async def test_a_market_taken_up_from_its_file_goes_on_in_the_middle_of_a_series(tmp_path: Path) -> None:
    kept = replace(MARKET, state_file=str(tmp_path / "market.json"))
    recorded = series(
        *(Change(hour * HOUR, "spot", 0.3 + hour / 10, 3 - hour % 3) for hour in range(9)),
        Change(0.0, "on_demand", 1.0),
    )
    old = Recorded(recorded, kept)
    for _ in range(3):
        await old.rent(SPOT)
    await old.advance(3.5 * HOUR)
    await old.rent(ON_DEMAND)

    new = Recorded(recorded, kept)
    for _ in range(8):
        new.now = old.now
        assert await new.listed() == await old.listed()
        assert await new.prices(DEAR) == await old.prices(DEAR)
        assert new.market.due == old.market.due
        old.now += HOUR


CALLS = st.sampled_from(["rent_spot", "rent", "resume", "stop", "release"])
STEPS = st.lists(st.tuples(CALLS, st.integers(0, 7), st.integers(0, 7200)), max_size=25)
COUNTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), max_size=12)
ODDS = st.dictionaries(
    st.sampled_from([Fault.HOST_OFFLINE, Fault.OUTBID, Fault.RESUME_QUEUED, Fault.ZERO_GPU, Fault.REFUSED_YET_MADE]),
    st.sampled_from([0.2, 0.8]),
)


@settings(max_examples=100)
@given(steps=STEPS, counts=COUNTS, odds=ODDS, seed=st.integers(0, 2**16))
def test_we_never_hold_more_spot_machines_than_are_available(
    steps: list[tuple[str, int, int]], counts: list[tuple[int, int]], odds: dict[Fault, float], seed: int
) -> None:
    bench = Recorded(available(*sorted(counts)), MockSettings(stock=(STOCK,), faults=odds), seed=seed)

    async def call(what: str, which: int) -> None:
        known = [*bench.market.machines, "nobody"]
        if what == "rent_spot":
            await bench.rent(SPOT)
        elif what == "rent":
            await bench.rent(ON_DEMAND)
        else:
            await getattr(bench.provider, what)(known[which % len(known)])

    async def play() -> None:
        opened = bench.now
        for what, which, pause in steps:
            with suppress(ProviderError, IndexError):  # IndexError: nothing was on offer
                await call(what, which)
            for _ in range(4):
                bench.now += pause / 4
                bench.market.settle(bench.now)
                held = [m for m in bench.market.machines.values() if m.buy == "spot" and m.holds_gpu]
                said = [count for hour, count in sorted(counts) if opened + hour * HOUR <= bench.now]
                assert not said or len(held) <= said[-1]

    asyncio.run(play())
