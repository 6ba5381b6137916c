"""The meter against sums done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.market import Status
from autoscaler.core.spec import MachineSpec
from providers.mock import MockSettings, Stock
from tests.support.market import CALM, HOUR, MACHINE, SPOT, Bench

# 72 GB × 0.50 USD per GB and month ÷ 720 h = 0.05 USD per hour.
FLAT = replace(
    CALM,
    price_swing=0.0,
    disk_usd_per_gb_month=0.50,
    stock=(Stock(gpu="RTX 4090", region="US", on_demand=0.75, spot=0.35),),
)
BIG_DISK = replace(MACHINE, disk_gb=72.0)


async def rent_at(bench: Bench, usd_per_hour: float, machine: MachineSpec = BIG_DISK) -> str:
    offer = (await bench.provider.list_offers(SPOT, machine))[0]
    return await bench.provider.rent(replace(offer, usd_per_hour=usd_per_hour), machine, label="ours")


async def test_a_life_of_boot_work_stop_rest_resume_and_release_adds_up_by_hand() -> None:
    bench = Bench(FLAT)
    machine = await rent_at(bench, 0.40)
    await bench.advance(2 * HOUR)  # 2 h running, half an hour of it booting: 0.80
    await bench.provider.stop(machine)
    await bench.advance(10 * HOUR + 10)  # 10 s until the stop takes effect, then 10 h of disk
    await bench.provider.resume(machine)
    await bench.advance(1 * HOUR)  # 0.40
    await bench.provider.release(machine)
    await bench.advance(100 * HOUR)  # nothing
    expected = 0.80 + 0.40 * 10 / 3600 + 10 * 0.05 + 0.40
    assert bench.bill(machine) == pytest.approx(expected, abs=1e-12)


async def test_a_spot_machine_is_billed_at_its_bid_from_the_moment_it_changes() -> None:
    bench = Bench(FLAT)
    machine = await rent_at(bench, 0.45)
    await bench.advance(2 * HOUR)
    await bench.provider.set_bid(machine, 0.60)
    await bench.advance(3 * HOUR)
    assert bench.bill(machine) == pytest.approx(2 * 0.45 + 3 * 0.60)


async def test_the_bill_does_not_depend_on_how_often_one_looks() -> None:
    often, seldom = Bench(FLAT), Bench(FLAT)
    for bench in (often, seldom):
        await rent_at(bench, 0.40)
    for _ in range(500):
        await often.advance(36.0)
        await often.listed()
    await seldom.advance(500 * 36.0)
    assert often.bill("m1") == pytest.approx(seldom.bill("m1"), abs=1e-12)


async def test_what_the_listing_says_a_machine_costs_now_is_what_it_is_billed() -> None:
    bench = Bench(CALM)
    machine = await bench.rent_stopped()
    for _ in range(2):
        before, burn = bench.bill(machine), (await bench.seen(machine)).burn_usd_per_hour
        await bench.advance(60.0)
        assert bench.bill(machine) - before == pytest.approx(burn / 60)
        await bench.provider.resume(machine)


async def test_the_balance_falls_by_what_all_machines_cost_foreign_ones_included() -> None:
    bench = Bench(replace(CALM, balance_usd=50.0, foreign=("notebook",)))
    await bench.rent()
    await bench.advance(5 * HOUR)
    billed = bench.market.billed_usd(bench.now)
    assert set(billed) == {"foreign-1", "m1"}
    assert await bench.provider.balance_usd() == pytest.approx(50.0 - sum(billed.values()))


async def test_an_account_without_a_balance_never_runs_out() -> None:
    bench = Bench(CALM)
    machine = await bench.rent()
    await bench.advance(10_000 * HOUR)
    assert await bench.provider.balance_usd() is None
    assert (await bench.seen(machine)).status is Status.RUNNING


async def test_default_prices_are_those_of_the_strategy() -> None:
    bench = Bench(MockSettings())
    on_demand, spot = await bench.offer(), await bench.offer(SPOT)
    assert 0.70 <= on_demand.usd_per_hour <= 0.80
    assert 0.35 <= spot.usd_per_hour <= 0.42
    assert 0.01 <= on_demand.disk_usd_per_hour <= 0.10
    assert MockSettings().setup.low == 1800.0
    assert MockSettings().resume.high == 300.0
