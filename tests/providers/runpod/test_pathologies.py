"""What RunPod does to its customers, one test each; a client that took its answers at their word would fail it.

Every test ends with what runs and what it costs by the truth behind the emulator.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.errors import (
    AuthFailed,
    InsufficientFunds,
    NoCapacity,
    NotFound,
    RateLimited,
    Rejected,
    Transient,
    UnclearOutcome,
)
from autoscaler.core.market import Remote, Status
from autoscaler.core.spec import Placement
from autoscaler.emulate.runpod import Quirk
from providers.mock import Fault, Operation, Step
from tests.support.runpod import LABEL, MACHINE, MARKET, SECURE, SPOT, Bench

HOUR = 3600.0
STOPPED_DISK = 40 * 0.20 / 720


def bench(*steps: Step, quirks: tuple[Quirk, ...] = (), **settings: Any) -> Bench:
    """A bench on which something goes wrong."""
    return Bench(replace(MARKET, scenario=steps), *quirks, **settings)


def running(desk: Bench) -> dict[str, float]:
    """What bills now and is ours, by the truth: id to USD per hour."""
    machines = desk.market.machines.values()
    return {each.id: each.burn_usd_per_hour for each in machines if each.label == LABEL}


async def ours(desk: Bench) -> list[Remote]:
    """What the listing shows of ours."""
    return [remote for remote in (await desk.listed()).values() if remote.label == LABEL]


# --- creating ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.PARTIAL_LAUNCH, Fault.REQUEST_LOST])
@pytest.mark.parametrize("placement", [SECURE, SPOT], ids=["rest", "graphql"])
async def test_a_create_without_a_clear_answer_is_found_by_its_label_or_was_not_made(
    fault: Fault, placement: Placement
) -> None:
    desk = bench(Step(fault=fault, call=Operation.RENT))

    with pytest.raises(UnclearOutcome):
        await desk.rent(placement)

    assert {remote.provider_id for remote in await ours(desk)} == running(desk).keys()
    assert len(running(desk)) == (fault is not Fault.REQUEST_LOST)


async def test_no_stock_and_a_broken_rule_are_told_apart_though_both_are_400() -> None:
    desk = bench(Step(fault=Fault.OFFER_GONE), registry="a-credential-that-is-not-there")
    offer = await desk.offer()

    with pytest.raises(Rejected):
        await desk.provider.rent(offer, MACHINE, label=LABEL)

    desk = bench(Step(fault=Fault.OFFER_GONE))
    with pytest.raises(NoCapacity):
        await desk.provider.rent(offer, MACHINE, label=LABEL)
    assert running(desk) == {}


async def test_a_data_centre_is_demanded_though_it_is_called_preferred() -> None:
    desk = bench()
    kansas = await desk.offer(replace(SECURE, regions=("US-KS-2",)))

    await desk.provider.rent(kansas, MACHINE, label=LABEL)

    (remote,) = await ours(desk)
    assert remote.region == "US-KS-2"


@pytest.mark.parametrize("placement", [SECURE, SPOT], ids=["rest", "graphql"])
async def test_less_than_an_hours_money_is_told_as_such_and_rents_nothing(placement: Placement) -> None:
    desk = Bench(replace(MARKET, balance_usd=0.1))

    with pytest.raises(InsufficientFunds):
        await desk.rent(placement)

    assert running(desk) == {}


async def test_an_id_that_never_comes_to_be_is_never_listed_and_its_release_is_no_error() -> None:
    desk = bench(quirks=(Quirk.NEVER_LISTS,))

    ghost = await desk.rent()
    await desk.advance(HOUR)

    assert await ours(desk) == []
    await desk.provider.release(ghost)
    assert running(desk) == {}


async def test_two_pods_of_one_name_are_both_listed() -> None:
    desk = bench()
    made = {await desk.rent(), await desk.rent()}
    assert {remote.provider_id for remote in await ours(desk)} == made == running(desk).keys()


async def test_a_pod_dearer_than_agreed_shows_its_real_price() -> None:
    desk = bench(Step(fault=Fault.DEARER))

    offer = await desk.offer()
    pod_id = await desk.provider.rent(offer, MACHINE, label=LABEL)

    (remote,) = await ours(desk)
    assert remote.usd_per_hour > 1.2 * offer.usd_per_hour
    assert remote.burn_usd_per_hour >= running(desk)[pod_id]


@pytest.mark.parametrize("placement", [SECURE, SPOT], ids=["rest", "graphql"])
async def test_an_environment_of_quotes_braces_and_backslashes_arrives_intact(placement: Placement) -> None:
    desk = bench()
    env = {"ODD": 'he said "x" \\ {not: graphql} $input \n ü', "MORE": '"}) { id } }'}

    pod_id = await desk.provider.rent(await desk.offer(placement), replace(MACHINE, env=env), label=LABEL)

    arrived = desk.market.machines[pod_id].env
    assert {key: arrived[key] for key in env} == env


# --- booting ----------------------------------------------------------------------------------------------------------


async def test_a_pod_has_no_address_before_its_ports_are_known_and_another_after_each_start() -> None:
    desk = bench()
    pod_id = await desk.rent()

    async def address(status: Status) -> str | None:
        remote = (await desk.listed())[pod_id]
        assert remote.status is status
        return remote.address

    assert await address(Status.STARTING) is None
    await desk.advance(MARKET.setup.high)
    assert await address(Status.RUNNING) is None
    first = await address(Status.RUNNING)
    await desk.provider.stop(pod_id)
    await desk.advance(MARKET.stop.high)
    assert await address(Status.STOPPED) is None
    await desk.provider.resume(pod_id)
    await desk.advance(MARKET.resume.high)
    assert await address(Status.RUNNING) is None
    assert None not in (first, again := await address(Status.RUNNING))
    assert first != again


async def test_a_pod_that_exits_by_itself_is_stopped_and_its_volume_bills() -> None:
    desk = bench(quirks=(Quirk.EXITS_AT_ONCE,))
    pod_id = await desk.rent()

    await desk.advance(10.0)

    (remote,) = await ours(desk)
    assert remote.status is Status.STOPPED
    assert running(desk) == {pod_id: pytest.approx(remote.burn_usd_per_hour)} == {pod_id: pytest.approx(STOPPED_DISK)}


async def test_an_error_is_the_end_of_a_boot_and_the_pod_bills_until_it_is_released() -> None:
    desk = bench(Step(fault=Fault.CRASH_LOOP, call=Operation.RENT))
    pod_id = await desk.rent_running()

    (remote,) = await ours(desk)
    assert remote.status is Status.FAILED
    assert remote.burn_usd_per_hour == pytest.approx(running(desk)[pod_id])
    with pytest.raises(Rejected):
        await desk.provider.stop(pod_id)
    await desk.provider.release(pod_id)
    await desk.advance(60.0)
    assert running(desk) == {}


# --- stopping and starting --------------------------------------------------------------------------------------------


async def test_a_stopped_pod_says_it_costs_nothing_and_its_volume_bills_double() -> None:
    desk = bench()
    pod_id = await desk.rent_stopped()
    (remote,) = await ours(desk)
    before = desk.bill(pod_id)

    await desk.advance(HOUR)

    assert remote.burn_usd_per_hour == pytest.approx(STOPPED_DISK)
    assert desk.bill(pod_id) - before == pytest.approx(remote.burn_usd_per_hour)
    assert remote.usd_per_hour == pytest.approx((await desk.offer()).usd_per_hour)


@pytest.mark.parametrize(
    ("placement", "quirks"),
    [(SECURE, ()), (SECURE, (Quirk.HOST_FULL_500,)), (SPOT, ())],
    ids=["400", "500", "200 with errors"],
)
async def test_a_full_host_is_no_capacity_in_each_of_its_guises(
    placement: Placement, quirks: tuple[Quirk, ...]
) -> None:
    desk = bench(Step(fault=Fault.RESUME_REFUSED), quirks=quirks)
    pod_id = await desk.rent_stopped(placement)

    with pytest.raises(NoCapacity):
        await desk.provider.resume(pod_id)

    await desk.advance(HOUR / 2)
    assert running(desk) == {pod_id: pytest.approx(STOPPED_DISK)}


@pytest.mark.parametrize("placement", [SECURE, SPOT], ids=["rest", "graphql"])
async def test_a_start_without_a_gpu_is_stopped_again_and_bills_no_gpu(placement: Placement) -> None:
    desk = bench(Step(fault=Fault.ZERO_GPU))
    pod_id = await desk.rent_stopped(placement)

    with pytest.raises(NoCapacity):
        await desk.provider.resume(pod_id)

    await desk.advance(MARKET.stop.high)
    (remote,) = await ours(desk)
    assert remote.status is Status.STOPPED
    assert running(desk) == {pod_id: pytest.approx(STOPPED_DISK)}


async def test_a_start_without_a_gpu_that_cannot_be_stopped_is_no_capacity_all_the_same() -> None:
    desk = bench(Step(fault=Fault.ZERO_GPU), Step(fault=Fault.UNAVAILABLE, call=Operation.STOP, nth=2))
    pod_id = await desk.rent_stopped()

    with pytest.raises(NoCapacity):  # upon which the order is cancelled
        await desk.provider.resume(pod_id)

    await desk.provider.stop(pod_id)
    await desk.advance(MARKET.stop.high)
    assert running(desk) == {pod_id: pytest.approx(STOPPED_DISK)}


async def test_a_start_of_what_runs_and_a_stop_of_what_is_stopped_are_409_and_no_error() -> None:
    desk = bench()
    pod_id = await desk.rent_running()

    await desk.provider.resume(pod_id)
    assert running(desk) == {pod_id: pytest.approx((await desk.offer()).usd_per_hour)}
    await desk.provider.stop(pod_id)
    await desk.advance(MARKET.stop.high)
    await desk.provider.stop(pod_id)
    assert running(desk) == {pod_id: pytest.approx(STOPPED_DISK)}


async def test_a_pod_that_is_gone_is_not_found_and_its_release_is_no_error() -> None:
    desk = bench()
    pod_id = await desk.rent_running()
    await desk.provider.release(pod_id)
    await desk.advance(60.0)

    with pytest.raises(NotFound):
        await desk.provider.stop(pod_id)
    with pytest.raises(NotFound):
        await desk.provider.resume(pod_id)
    await desk.provider.release(pod_id)
    assert running(desk) == {}


async def test_a_release_without_effect_leaves_the_pod_in_the_listing() -> None:
    desk = bench(Step(fault=Fault.RELEASE_IGNORED))
    pod_id = await desk.rent_running()

    await desk.provider.release(pod_id)

    assert [remote.provider_id for remote in await ours(desk)] == [pod_id] == list(running(desk))


# --- the listing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quirk", [Quirk.SHORT_PAGES, Quirk.NO_PAGINATION])
async def test_a_listing_is_whole_in_short_pages_and_without_pages(quirk: Quirk) -> None:
    desk = bench(quirks=(quirk,))
    made = {await desk.rent() for _ in range(3)}
    assert {remote.provider_id for remote in await ours(desk)} == made == running(desk).keys()


async def test_a_listing_cut_in_half_is_read_to_its_end() -> None:
    desk = bench(Step(fault=Fault.LISTS_HALF))
    made = {await desk.rent(), await desk.rent()}
    assert {remote.provider_id for remote in await ours(desk)} == made


async def test_a_listing_whose_second_page_fails_is_an_error_and_no_half() -> None:
    desk = bench(Step(fault=Fault.LISTING_FAILS, nth=2), quirks=(Quirk.SHORT_PAGES,))
    await desk.rent()
    with pytest.raises(Transient):
        await desk.listed()


async def test_foreign_pods_are_listed_under_their_names_and_not_touched() -> None:
    desk = bench()
    strangers = {each.id: each.status for each in desk.market.machines.values()}

    pod_id = await desk.rent_running()
    await desk.provider.stop(pod_id)
    await desk.provider.release(pod_id)
    await desk.advance(60.0)

    assert strangers.keys() == (await desk.listed()).keys()
    assert {each.id: each.status for each in desk.market.machines.values()} == strangers


async def test_on_an_empty_account_pods_vanish_and_the_listing_says_so() -> None:
    desk = Bench(replace(MARKET, balance_usd=1.0))
    pod_id = await desk.rent_running()

    await desk.advance(2 * HOUR)

    assert await ours(desk) == []
    with pytest.raises(NotFound):
        await desk.provider.resume(pod_id)
    assert running(desk) == {}


# --- any call ---------------------------------------------------------------------------------------------------------


async def test_a_bad_key_is_told_on_every_call() -> None:
    desk = bench(Step(fault=Fault.AUTH_FAILED, times=1000))
    with pytest.raises(AuthFailed):
        await desk.provider.list_machines()
    with pytest.raises(AuthFailed):
        await desk.provider.list_offers(SECURE, MACHINE)


async def test_a_rate_limit_says_how_long_even_where_only_headers_do() -> None:
    desk = bench(Step(fault=Fault.RATE_LIMITED, call=Operation.RENT))
    with pytest.raises(RateLimited) as refused:
        await desk.rent()
    assert refused.value.retry_after_s == 30.0
    assert running(desk) == {}


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault.RATE_LIMITED_SILENT, RateLimited), (Fault.UNAVAILABLE, UnclearOutcome)]
)
@pytest.mark.parametrize("placement", [SECURE, SPOT], ids=["rest", "graphql"])
async def test_a_web_page_in_the_place_of_json_is_read_by_its_status(
    fault: Fault, error: type[Exception], placement: Placement
) -> None:
    desk = bench(Step(fault=fault, call=Operation.RENT), quirks=(Quirk.HTML_ERRORS,))
    with pytest.raises(error, match="a page of HTML"):
        await desk.rent(placement)
    assert running(desk) == {}


# --- GraphQL ----------------------------------------------------------------------------------------------------------


async def test_a_pod_with_an_end_is_deleted_by_runpod_though_nobody_asks() -> None:
    desk = bench(terminate_after=4 * HOUR)
    pod_id = await desk.rent()
    (remote,) = await ours(desk)
    assert remote.ends_at == desk.now + 4 * HOUR

    await desk.advance(48 * HOUR)

    assert await ours(desk) == []
    assert desk.bill(pod_id) == pytest.approx(4 * remote.usd_per_hour)


async def test_an_outbid_spot_pod_is_stopped_and_its_volume_bills() -> None:
    desk = bench(Step(fault=Fault.OUTBID, at=HOUR))
    pod_id = await desk.rent_running(SPOT)

    await desk.advance(HOUR)

    (remote,) = await ours(desk)
    assert (remote.status, remote.buy) == (Status.STOPPED, "spot")
    assert running(desk) == {pod_id: pytest.approx(STOPPED_DISK)}


@pytest.mark.parametrize(("quirk", "told"), [(Quirk.GRAPHQL_GONE, 2), (Quirk.BALANCE_GONE, 1)])
async def test_when_the_balance_goes_the_reason_is_told_and_on_demand_goes_on(quirk: Quirk, told: int) -> None:
    desk = bench(quirks=(quirk,))

    balance, spot = await desk.provider.balance_usd(), await desk.provider.list_offers(SPOT, MACHINE)
    pod_id = await desk.rent_running()

    assert balance is None
    assert bool(spot) is (quirk is Quirk.BALANCE_GONE)
    assert len((await desk.provider.list_machines()).notices) == told
    assert running(desk) == {pod_id: pytest.approx((await desk.offer()).usd_per_hour)}


async def test_when_spot_goes_and_leaves_its_prices_there_is_one_rejected_rent_and_no_offer_for_an_hour() -> None:
    desk = bench(quirks=(Quirk.SPOT_GONE,))

    with pytest.raises(Rejected, match="spot machines"):
        await desk.rent(SPOT)

    assert await desk.provider.list_offers(SPOT, MACHINE) == []
    assert not desk.provider.capabilities.can_spot
    (notice,) = (await desk.provider.list_machines()).notices
    assert "podRentInterruptable" in notice
    pod_id = await desk.rent_running()
    assert running(desk) == {pod_id: pytest.approx((await desk.offer()).usd_per_hour)}
    await desk.advance(HOUR)
    assert await desk.provider.list_offers(SPOT, MACHINE)


@pytest.mark.parametrize("placement", [SECURE, SPOT], ids=["on demand", "spot"])
async def test_the_bill_of_a_day_is_what_was_billed(placement: Placement) -> None:
    desk = bench()
    pod_id = await desk.rent_running(placement)
    await desk.advance(2 * HOUR)
    await desk.provider.release(pod_id)

    billed = await desk.provider.billed_usd("2027-01-15")

    assert billed is not None
    assert billed[pod_id] == pytest.approx(desk.bill(pod_id), abs=0.001)
