"""Offers, hosts, prices and simulated work; the same seed and calls give the same market."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from autoscaler.core.errors import NoCapacity
from autoscaler.core.market import Status
from autoscaler.core.spec import Placement
from providers.mock import Fault, MockSettings, Stock
from tests.support.market import CALM, HOUR, MACHINE, ON_DEMAND, SPOT, Bench

ONE_HOST = replace(CALM, stock=(Stock(gpu="RTX 4090", region="US", on_demand=0.8, spot=0.4, hosts=1, gpus_per_host=2),))


async def test_a_host_offers_no_more_than_its_gpus() -> None:
    bench = Bench(ONE_HOST)
    await bench.rent()
    await bench.rent()
    assert not await bench.provider.list_offers(ON_DEMAND, MACHINE)


async def test_a_stopped_machine_does_not_keep_its_gpu() -> None:
    bench = Bench(ONE_HOST)
    stopped = await bench.rent_stopped()
    first, _ = await bench.rent(), await bench.rent()
    with pytest.raises(NoCapacity):
        await bench.provider.resume(stopped)
    await bench.provider.release(first)
    await bench.provider.resume(stopped)


async def test_an_offer_that_was_seen_before_the_last_gpu_went_is_gone() -> None:
    bench = Bench(ONE_HOST)
    seen = await bench.offer()
    await bench.rent()
    with pytest.raises(NoCapacity):
        await bench.provider.rent(seen, MACHINE, label="ours")


async def test_two_stocks_of_one_kind_are_different_hosts() -> None:
    stock = Stock(gpu="RTX 4090", region="US", on_demand=0.8, spot=0.4, hosts=2)
    bench = Bench(replace(CALM, stock=(stock, replace(stock, on_demand=1.0))))
    assert len({offer.host for offer in await bench.provider.list_offers(ON_DEMAND, MACHINE)}) == 4


async def test_the_placement_s_gpus_come_before_the_machine_s() -> None:
    bench = Bench()
    placement = Placement(provider="mock", max_usd_per_hour=2.0, gpus=("RTX 3090",), cloud="secure")
    assert {offer.gpu for offer in await bench.provider.list_offers(placement, MACHINE)} == {"RTX 3090"}


async def test_prices_move_slowly_and_within_their_swing() -> None:
    bench = Bench(replace(CALM, price_swing=0.1))
    host = next(iter(bench.market.hosts.values()))
    prices = [host.usd_per_hour("spot", bench.now + minute * 60.0) for minute in range(0, 3 * 24 * 60, 10)]
    mean = host.stock.spot * host.price_factor
    assert max(abs(price / mean - 1) for price in prices) <= 0.1 + 1e-3
    assert max(prices) - min(prices) > 0.05 * mean
    assert max(abs(a / b - 1) for a, b in pairwise(prices)) < 0.02


async def test_a_rented_machine_keeps_its_price_while_the_market_moves() -> None:
    bench = Bench(replace(CALM, price_swing=0.2))
    machine = await bench.rent()
    price = (await bench.seen(machine)).usd_per_hour
    await bench.advance(13 * HOUR)
    assert (await bench.seen(machine)).usd_per_hour == price


async def test_a_machine_says_where_it_is_and_a_new_start_has_a_new_port() -> None:
    bench = Bench()
    machine = await bench.rent()
    assert (await bench.seen(machine)).address is None
    await bench.advance(1800.0)
    first = (await bench.seen(machine)).address
    assert first == f"{machine}.mock.invalid:40001"
    await bench.provider.stop(machine)
    await bench.advance(10.0)
    await bench.provider.resume(machine)
    await bench.advance(180.0)
    assert (await bench.seen(machine)).address != first


async def test_a_simulator_sees_what_is_up_and_says_how_busy_it_is() -> None:
    bench = Bench()
    machine = await bench.rent()
    assert not bench.market.running(bench.now)
    await bench.advance(1800.0)
    [up] = bench.market.running(bench.now)
    assert (up.id, up.label, up.env, up.slots, up.starts) == (machine, "ours-1", {"MODE": "fast"}, 2, 1)
    assert (await bench.seen(machine)).busy_slots == 0
    bench.market.set_busy(machine, 2)
    assert (await bench.seen(machine)).busy_slots == 2


async def test_a_machine_that_went_down_is_not_busy() -> None:
    bench = Bench()
    machine = await bench.rent_running()
    bench.market.settle(bench.now)
    bench.market.set_busy(machine, 1)
    await bench.provider.stop(machine)
    assert (await bench.seen(machine)).busy_slots == 1, "work goes on until the stop takes effect"
    await bench.advance(10.0)
    assert (await bench.seen(machine)).busy_slots == 0
    bench.market.set_busy(machine, 1)
    bench.market.set_busy("m99", 1)
    assert (await bench.seen(machine)).busy_slots == 0


async def test_a_resume_calls_a_stop_off_that_has_not_taken_effect() -> None:
    bench = Bench()
    machine = await bench.rent_running()
    await bench.provider.stop(machine)
    await bench.advance(5.0)
    await bench.provider.resume(machine)
    await bench.advance(HOUR)
    assert (await bench.seen(machine)).status is Status.RUNNING


async def test_time_that_goes_backwards_stands_still() -> None:
    bench = Bench()
    machine = await bench.rent_running()
    bill = bench.bill(machine)
    await bench.advance(-HOUR)
    assert bench.bill(machine) == bill
    assert (await bench.seen(machine)).status is Status.RUNNING
    await bench.provider.stop(machine)
    await bench.advance(HOUR + 10.0)
    assert (await bench.seen(machine)).status is Status.STOPPED


async def wild_day(seed: int) -> list[object]:
    """A day with every draw there is, and all that can be seen of it."""
    odds = dict.fromkeys((Fault.BOOT_HANGS, Fault.OUTBID, Fault.HOST_OFFLINE, Fault.VANISHES), 0.1)
    bench = Bench(MockSettings(faults=odds, balance_usd=40.0), seed=seed)
    seen: list[object] = []
    for hour in range(24):
        if hour % 2 == 0:
            try:
                seen.append(await bench.rent(SPOT if hour % 4 else ON_DEMAND))
            except Exception as error:  # noqa: BLE001 - whatever comes must come again
                seen.append(repr(error))
        for machine in list(bench.market.machines)[hour % 3 :: 3]:
            await bench.provider.stop(machine)
        await bench.advance(HOUR)
        seen += [await bench.listed(), bench.market.billed_usd(bench.now), await bench.provider.balance_usd()]
    return seen


async def test_the_same_seed_and_the_same_calls_give_the_same_market() -> None:
    assert await wild_day(3) == await wild_day(3)
    assert await wild_day(3) != await wild_day(4)


async def test_the_seed_of_the_settings_decides_hosts_and_prices() -> None:
    same = [await Bench(MockSettings(seed=5), seed=n).provider.list_offers(ON_DEMAND, MACHINE) for n in (1, 2)]
    assert same[0] == same[1]
    assert same[0] != await Bench(MockSettings(seed=6)).provider.list_offers(ON_DEMAND, MACHINE)
