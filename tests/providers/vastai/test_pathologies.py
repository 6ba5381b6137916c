"""What Vast.ai does to customers who order, one test each: what the adapter makes of it, what runs and what it bills.

The other side is the emulator. Each of these has cost somebody money, or an outage.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.errors import (
    InsufficientFunds,
    NoCapacity,
    PartialLaunch,
    ProviderError,
    RateLimited,
    Transient,
    UnclearOutcome,
)
from autoscaler.core.market import Status
from autoscaler.core.spec import Placement
from autoscaler.emulate.vastai import Quirk
from providers.mock import Fault, MockSettings, Operation
from tests.support.market import HOUR
from tests.support.vast import MACHINE, MARKET, ON_DEMAND, SPOT, Bench, once

# --- creating ---------------------------------------------------------------------------------------------------------

UNCLEAR = [
    pytest.param(once(Fault.ANSWER_LOST, Operation.RENT), (), id="reset"),
    pytest.param(once(Fault.ANSWER_LOST, Operation.RENT), (Quirk.GATEWAY_TIMES_OUT,), id="504"),
    pytest.param(once(Fault.REFUSED_YET_MADE), (), id="400 with an empty body"),
    pytest.param(MARKET, (Quirk.CREATE_HAS_NO_ID,), id="200 without an id"),
]


@pytest.mark.parametrize(("market", "quirks"), UNCLEAR)
async def test_a_create_without_a_clear_answer_is_sent_once_and_its_one_machine_found_by_its_label(
    market: MockSettings, quirks: tuple[Quirk, ...]
) -> None:
    bench = Bench(market, *quirks)
    with pytest.raises(UnclearOutcome):
        await bench.rent(label="ours")
    (remote,) = (await bench.listed()).values()
    assert (remote.label, bench.creates()) == ("ours", 1)
    await bench.provider.release(remote.provider_id)
    await bench.advance(24 * HOUR)
    assert not await bench.listed()
    assert bench.bill(remote.provider_id) == 0.0


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.UNAVAILABLE])
async def test_a_create_that_never_arrived_is_unclear_too_and_made_nothing(fault: Fault) -> None:
    bench = Bench(once(fault, Operation.RENT))
    with pytest.raises(UnclearOutcome):
        await bench.rent()
    assert not await bench.listed()
    assert bench.creates() == 1


@pytest.mark.parametrize(
    ("market", "quirks"), [(once(Fault.PARTIAL_LAUNCH), ()), (MARKET, (Quirk.CREATE_SAYS_FAILED,))]
)
async def test_a_create_that_failed_and_made_a_machine_gives_its_id_for_release(
    market: MockSettings, quirks: tuple[Quirk, ...]
) -> None:
    bench = Bench(market, *quirks)
    with pytest.raises(PartialLaunch) as failed:
        await bench.rent()
    (stray,) = failed.value.provider_ids
    assert set(await bench.listed()) == {stray}
    await bench.provider.release(stray)
    assert not await bench.listed()


async def test_a_bid_below_the_floor_makes_a_machine_which_is_named() -> None:
    bench = Bench()
    offer = await bench.offer(SPOT)
    with pytest.raises(PartialLaunch) as failed:
        await bench.provider.rent(replace(offer, usd_per_hour=offer.usd_per_hour / 2), MACHINE, label="ours")
    (stray,) = failed.value.provider_ids
    remote = await bench.seen(stray)
    assert remote.status is Status.STOPPED
    assert remote.burn_usd_per_hour == remote.disk_usd_per_hour > 0


@pytest.mark.parametrize("quirks", [(), (Quirk.ASK_GONE_IS_400,)])
async def test_an_offer_that_is_gone_is_known_by_its_words_whatever_the_status(quirks: tuple[Quirk, ...]) -> None:
    bench = Bench(MARKET, *quirks)
    offer = await bench.offer()
    await bench.provider.rent(offer, MACHINE, label="ours")
    with pytest.raises(NoCapacity):
        await bench.provider.rent(offer, MACHINE, label="again")
    assert len(await bench.listed()) == 1
    assert offer not in await bench.provider.list_offers(ON_DEMAND, MACHINE)


async def test_no_stopped_machine_is_left_behind_where_no_gpu_is_free() -> None:
    bench = Bench(once(Fault.OFFER_GONE))
    with pytest.raises(NoCapacity):
        await bench.rent()
    await bench.advance(24 * HOUR)
    assert not await bench.listed()


@pytest.mark.parametrize("market", [once(Fault.FUNDS_REFUSED), replace(MARKET, balance_usd=0.0)])
async def test_no_credit_is_not_an_offer_that_is_gone(market: MockSettings) -> None:
    with pytest.raises(InsufficientFunds):
        await Bench(market).rent()


async def test_the_credit_falls_with_what_is_billed() -> None:
    bench = Bench(replace(MARKET, balance_usd=10.0, foreign=()))
    machine = await bench.rent_running()
    await bench.advance(HOUR)
    assert await bench.provider.balance_usd() == pytest.approx(10.0 - bench.bill(machine))


async def test_a_machine_on_demand_in_place_of_spot_is_seen_on_the_first_read() -> None:
    bench = Bench(once(Fault.DEARER))
    offer = await bench.offer(SPOT)
    remote = await bench.seen(await bench.provider.rent(offer, MACHINE, label="ours"))
    assert (offer.buy, remote.buy) == ("spot", "on_demand")
    assert remote.usd_per_hour > offer.usd_per_hour


async def test_a_machine_on_another_host_is_seen_on_the_first_read() -> None:
    bench = Bench(MARKET, Quirk.WRONG_MACHINE)
    offer = await bench.offer()
    assert (await bench.seen(await bench.provider.rent(offer, MACHINE, label="ours"))).host != offer.host


@pytest.mark.parametrize("placement", [ON_DEMAND, SPOT])
async def test_what_was_ordered_is_what_is_listed(placement: Placement) -> None:
    bench = Bench()
    offer = await bench.offer(placement)
    remote = await bench.seen(await bench.provider.rent(offer, MACHINE, label="ours"))
    assert (remote.buy, remote.host, remote.gpu, remote.region) == (offer.buy, offer.host, offer.gpu, offer.region)
    assert remote.usd_per_hour == pytest.approx(offer.usd_per_hour, rel=0.001)
    assert remote.disk_usd_per_hour == pytest.approx(offer.disk_usd_per_hour, rel=0.001)


async def test_a_new_machine_may_be_missing_from_the_listing_at_first() -> None:
    bench = Bench(once(Fault.LISTED_LATE))
    machine = await bench.rent()
    assert machine not in await bench.listed()
    await bench.advance(bench.market.settings.listing_lag.high)
    assert machine in await bench.listed()


# --- starting, stopping, giving back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.RESUME_REFUSED, Fault.RESUME_QUEUED])
async def test_a_refused_start_is_a_queued_order_and_a_stop_cancels_it(fault: Fault) -> None:
    bench = Bench(once(fault, Operation.RESUME))
    machine = await bench.rent_stopped()
    before = bench.bill(machine)
    with pytest.raises(NoCapacity):
        await bench.provider.resume(machine)
    assert (await bench.seen(machine)).status is Status.QUEUED
    await bench.provider.stop(machine)
    await bench.advance(24 * HOUR)
    remote = await bench.seen(machine)
    assert remote.status is Status.STOPPED
    assert bench.bill(machine) - before == pytest.approx(24 * remote.disk_usd_per_hour)


async def test_a_refused_start_that_is_not_cancelled_bills_a_gpu_some_day() -> None:
    bench = Bench(once(Fault.RESUME_QUEUED, Operation.RESUME))
    machine = await bench.rent_stopped()
    with pytest.raises(NoCapacity):
        await bench.provider.resume(machine)
    await bench.advance(24 * HOUR)
    assert (await bench.seen(machine)).status is Status.RUNNING


async def test_a_stopped_machine_keeps_its_disk_and_its_bill() -> None:
    bench = Bench()
    machine = await bench.rent_stopped()
    before, remote = bench.bill(machine), await bench.seen(machine)
    await bench.advance(24 * HOUR)
    assert remote.burn_usd_per_hour == remote.disk_usd_per_hour > 0
    assert bench.bill(machine) - before == pytest.approx(24 * remote.burn_usd_per_hour)


async def test_a_stop_that_was_not_done_is_not_taken_for_done() -> None:
    bench = Bench(once(Fault.STOP_IGNORED))
    machine = await bench.rent_running()
    with pytest.raises(Transient):
        await bench.provider.stop(machine)
    await bench.provider.stop(machine)


async def test_a_stop_under_way_is_billed_and_is_not_running() -> None:
    bench = Bench()
    machine = await bench.rent_running()
    await bench.provider.stop(machine)
    remote = await bench.seen(machine)
    assert remote.status is Status.UNKNOWN
    assert remote.burn_usd_per_hour == remote.usd_per_hour


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.RELEASE_IGNORED, Transient),
        (Fault.RATE_LIMITED, RateLimited),
        (Fault.RATE_LIMITED_SILENT, RateLimited),
        (Fault.UNAVAILABLE, UnclearOutcome),
        (Fault.REQUEST_LOST, UnclearOutcome),
    ],
)
async def test_a_release_that_was_not_done_is_an_error_and_the_machine_still_listed(
    fault: Fault, error: type[ProviderError]
) -> None:
    bench = Bench(once(fault, Operation.RELEASE))
    machine = await bench.rent_running()
    with pytest.raises(error):
        await bench.provider.release(machine)
    assert machine in await bench.listed()
    await bench.provider.release(machine)
    assert machine not in await bench.listed()


async def test_a_released_machine_may_be_listed_for_a_while() -> None:
    bench = Bench(once(Fault.LINGERS))
    machine = await bench.rent_running()
    await bench.provider.release(machine)
    assert machine in await bench.listed()
    await bench.provider.release(machine)
    await bench.advance(bench.market.settings.listing_lag.high)
    assert machine not in await bench.listed()


# --- money ------------------------------------------------------------------------------------------------------------


async def test_what_each_machine_was_billed_is_known_by_its_id_when_it_is_gone_too() -> None:
    bench = Bench()
    one, other = await bench.rent_running(), await bench.rent_running(SPOT)
    await bench.advance(HOUR)
    await bench.provider.release(one)
    billed = await bench.provider.billed_usd("2027-01-15")
    assert billed is not None
    assert billed[one] == pytest.approx(bench.bill(one), abs=0.001)
    assert billed[other] == pytest.approx(bench.bill(other), abs=0.001)


async def test_a_new_bid_is_the_whole_price_to_us_and_without_the_disk_to_vast_ai() -> None:
    bench = Bench()
    machine = await bench.rent_running(SPOT)
    await bench.provider.set_bid(machine, 0.45)
    (sent,) = [request.json() for request in bench.sent if request.endpoint == "bid"]
    remote = await bench.seen(machine)
    assert sent["price"] == pytest.approx(0.45 - remote.disk_usd_per_hour)
    assert remote.usd_per_hour == pytest.approx(0.45)
