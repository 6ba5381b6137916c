"""Each fault by name: the error that the caller sees, and what is then true, listed and billed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.core.errors import (
    AuthFailed,
    InsufficientFunds,
    NoCapacity,
    NotFound,
    PartialLaunch,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    UnclearOutcome,
)
from autoscaler.core.market import Status
from providers.mock import Fault, Operation, Step
from providers.mock.faults import STRIKES
from tests.support.market import CALM, HOUR, MACHINE, ON_DEMAND, SPOT, Bench


def striking(*steps: Step) -> Bench:
    return Bench(replace(CALM, scenario=steps))


def once(fault: Fault, **step: object) -> Bench:
    return striking(Step(fault=fault, **step))  # type: ignore[arg-type]


async def refused(call: Awaitable[object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await call
    return caught.value


CALLS: dict[Operation, Callable[[Bench, str], Awaitable[object]]] = {
    Operation.LIST: lambda bench, _: bench.provider.list_machines(),
    Operation.OFFERS: lambda bench, _: bench.provider.list_offers(ON_DEMAND, MACHINE),
    Operation.RESUME: lambda bench, machine: bench.provider.resume(machine),
    Operation.STOP: lambda bench, machine: bench.provider.stop(machine),
    Operation.RELEASE: lambda bench, machine: bench.provider.release(machine),
    Operation.SET_BID: lambda bench, machine: bench.provider.set_bid(machine, 0.9),
    Operation.BALANCE: lambda bench, _: bench.provider.balance_usd(),
}


ERRORS: dict[Fault, type[ProviderError]] = {
    Fault.RATE_LIMITED: RateLimited,
    Fault.RATE_LIMITED_SILENT: RateLimited,
    Fault.AUTH_FAILED: AuthFailed,
    Fault.UNAVAILABLE: Transient,
    Fault.REQUEST_LOST: UnclearOutcome,
}


@pytest.mark.parametrize(
    ("fault", "operation"),
    [(fault, operation) for fault in ERRORS for operation in CALLS if operation in STRIKES[fault]],
)
async def test_a_call_that_fails_before_it_arrives_changes_nothing(fault: Fault, operation: Operation) -> None:
    bench = once(fault, call=operation, at=HOUR)
    machine = await bench.rent_running(SPOT)
    await bench.advance(HOUR)
    bench.market.settle(bench.now)
    before = bench.market.machines[machine].dump()

    assert isinstance(await refused(CALLS[operation](bench, machine)), ERRORS[fault])
    assert bench.market.machines[machine].dump() == before
    await CALLS[operation](bench, machine)


async def test_rate_limited_says_when_to_come_back() -> None:
    error = await refused(once(Fault.RATE_LIMITED).provider.list_machines())
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 30.0


async def test_rate_limited_silent_does_not_say_when_to_come_back() -> None:
    error = await refused(once(Fault.RATE_LIMITED_SILENT).provider.list_machines())
    assert isinstance(error, RateLimited)
    assert error.retry_after_s is None


async def test_request_lost_on_rent_is_unclear_and_made_nothing() -> None:
    bench = once(Fault.REQUEST_LOST)
    offer = await bench.offer()
    assert isinstance(await refused(bench.provider.rent(offer, MACHINE, label="ours")), UnclearOutcome)
    assert not bench.market.machines
    await bench.provider.rent(offer, MACHINE, label="ours")


async def test_answer_lost_on_rent_is_unclear_and_the_machine_shows_by_its_label_and_bills() -> None:
    bench = once(Fault.ANSWER_LOST)
    offer = await bench.offer()
    assert isinstance(await refused(bench.provider.rent(offer, MACHINE, label="ours")), UnclearOutcome)
    await bench.advance(HOUR)
    [remote] = (await bench.listed()).values()
    assert (remote.label, remote.status) == ("ours", Status.RUNNING)
    assert bench.bill(remote.provider_id) == pytest.approx(offer.usd_per_hour)


async def test_answer_lost_on_stop_and_release_is_unclear_and_it_was_done() -> None:
    bench = striking(
        Step(fault=Fault.ANSWER_LOST, call=Operation.STOP), Step(fault=Fault.ANSWER_LOST, call=Operation.RELEASE)
    )
    machine = await bench.rent_running()
    assert isinstance(await refused(bench.provider.stop(machine)), UnclearOutcome)
    await bench.advance(10.0)
    assert (await bench.seen(machine)).status is Status.STOPPED
    assert isinstance(await refused(bench.provider.release(machine)), UnclearOutcome)
    assert not await bench.listed()


@pytest.mark.looptime
@pytest.mark.parametrize(("fault", "made"), [(Fault.HANGS, 0), (Fault.ANSWER_HANGS, 1)])
async def test_a_call_that_hangs_never_answers_until_it_is_cancelled(fault: Fault, made: int) -> None:
    bench = once(fault, call=Operation.RENT)
    offer = await bench.offer()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10 * HOUR):
            await bench.provider.rent(offer, MACHINE, label="ours")
    assert len(bench.market.machines) == made
    assert len(await bench.listed()) == made


async def test_offer_gone_raises_no_capacity_and_makes_nothing() -> None:
    bench = once(Fault.OFFER_GONE)
    assert isinstance(await refused(bench.rent()), NoCapacity)
    assert not bench.market.machines


async def test_funds_refused_raises_insufficient_funds_and_makes_nothing() -> None:
    bench = once(Fault.FUNDS_REFUSED)
    assert isinstance(await refused(bench.rent()), InsufficientFunds)
    assert not bench.market.machines
    await bench.rent()


async def test_partial_launch_names_a_stopped_machine_that_bills_its_disk() -> None:
    bench = once(Fault.PARTIAL_LAUNCH)
    error = await refused(bench.rent())
    assert isinstance(error, PartialLaunch)
    [machine] = error.provider_ids
    await bench.advance(HOUR)
    remote = await bench.seen(machine)
    assert remote.status is Status.STOPPED
    assert bench.bill(machine) == pytest.approx(remote.disk_usd_per_hour)


async def test_refused_yet_made_is_a_plain_refusal_and_the_machine_runs_and_bills() -> None:
    bench = once(Fault.REFUSED_YET_MADE)
    offer = await bench.offer()
    assert isinstance(await refused(bench.provider.rent(offer, MACHINE, label="ours")), Rejected)
    await bench.advance(HOUR)
    [remote] = (await bench.listed()).values()
    assert (remote.label, remote.status) == ("ours", Status.RUNNING)
    assert bench.bill(remote.provider_id) == pytest.approx(offer.usd_per_hour)


async def test_dearer_bills_a_quarter_more_than_was_offered_and_the_listing_shows_it() -> None:
    bench = once(Fault.DEARER)
    offer = await bench.offer()
    machine = await bench.rent()
    await bench.advance(2 * HOUR)
    assert (await bench.seen(machine)).usd_per_hour == pytest.approx(1.25 * offer.usd_per_hour)
    assert bench.bill(machine) == pytest.approx(2 * 1.25 * offer.usd_per_hour)


async def test_no_offers_is_an_empty_answer_without_an_error() -> None:
    bench = once(Fault.NO_OFFERS)
    assert not await bench.provider.list_offers(ON_DEMAND, MACHINE)
    assert await bench.provider.list_offers(ON_DEMAND, MACHINE)


async def test_boot_hangs_starts_for_ever_and_bills_as_running() -> None:
    bench = once(Fault.BOOT_HANGS, call=Operation.RENT)
    machine = await bench.rent()
    await bench.advance(100 * HOUR)
    remote = await bench.seen(machine)
    assert remote.status is Status.STARTING
    assert bench.bill(machine) == pytest.approx(100 * remote.usd_per_hour)


async def test_crash_loop_fails_with_the_providers_words_and_bills_until_it_is_released() -> None:
    bench = once(Fault.CRASH_LOOP, call=Operation.RENT)
    machine = await bench.rent()
    await bench.advance(180.0)
    remote = await bench.seen(machine)
    assert remote.status is Status.FAILED
    assert "OCI runtime create failed" in remote.detail
    assert isinstance(await refused(bench.provider.resume(machine)), Rejected)
    await bench.advance(HOUR - 180.0)
    await bench.provider.release(machine)
    await bench.advance(HOUR)
    assert bench.bill(machine) == pytest.approx(remote.usd_per_hour)


async def test_slow_pull_takes_three_times_as_long() -> None:
    bench = once(Fault.SLOW_PULL)
    machine = await bench.rent()
    await bench.advance(3 * 1800.0 - 1.0)
    assert (await bench.seen(machine)).status is Status.STARTING
    await bench.advance(1.0)
    assert (await bench.seen(machine)).status is Status.RUNNING


async def test_zero_gpu_runs_and_bills_with_no_gpu_until_the_next_start() -> None:
    bench = once(Fault.ZERO_GPU)
    machine = await bench.rent_stopped()
    await bench.provider.resume(machine)
    await bench.advance(180.0)
    remote = await bench.seen(machine)
    assert (remote.status, remote.gpu_count) == (Status.RUNNING, 0)
    assert remote.burn_usd_per_hour == remote.usd_per_hour
    assert not bench.market.running(bench.now)

    await bench.provider.stop(machine)
    await bench.advance(10.0)
    await bench.provider.resume(machine)
    await bench.advance(180.0)
    assert (await bench.seen(machine)).gpu_count == 1


async def test_resume_refused_raises_no_capacity_until_the_other_renter_leaves() -> None:
    bench = once(Fault.RESUME_REFUSED)
    machine = await bench.rent_stopped()
    assert isinstance(await refused(bench.provider.resume(machine)), NoCapacity)
    await bench.advance(HOUR - 1.0)
    assert isinstance(await refused(bench.provider.resume(machine)), NoCapacity)
    assert (await bench.seen(machine)).status is Status.STOPPED
    await bench.advance(1.0)
    await bench.provider.resume(machine)
    assert (await bench.seen(machine)).status is Status.STARTING


async def test_resume_never_refuses_for_ever_while_the_disk_bills() -> None:
    bench = once(Fault.RESUME_NEVER)
    machine = await bench.rent_stopped()
    before = bench.bill(machine)
    for _ in range(30):
        assert isinstance(await refused(bench.provider.resume(machine)), NoCapacity)
        await bench.advance(24 * HOUR)
    disk = (await bench.seen(machine)).disk_usd_per_hour
    assert bench.bill(machine) - before == pytest.approx(30 * 24 * disk)


async def test_resume_queued_is_refused_and_yet_starts_and_bills_by_itself() -> None:
    bench = once(Fault.RESUME_QUEUED)
    machine = await bench.rent_stopped()
    before = bench.bill(machine)
    assert isinstance(await refused(bench.provider.resume(machine)), NoCapacity)
    remote = await bench.seen(machine)
    assert (remote.status, remote.burn_usd_per_hour) == (Status.QUEUED, remote.disk_usd_per_hour)
    await bench.advance(2 * HOUR)
    assert (await bench.seen(machine)).status is Status.RUNNING
    assert bench.bill(machine) - before == pytest.approx(remote.disk_usd_per_hour + remote.usd_per_hour)


async def test_a_stop_cancels_a_queued_start() -> None:
    bench = once(Fault.RESUME_QUEUED)
    machine = await bench.rent_stopped()
    await refused(bench.provider.resume(machine))
    await bench.provider.stop(machine)
    await bench.advance(100 * HOUR)
    remote = await bench.seen(machine)
    assert (remote.status, remote.burn_usd_per_hour) == (Status.STOPPED, remote.disk_usd_per_hour)


async def test_stop_ignored_answers_and_the_machine_runs_and_bills_on() -> None:
    bench = once(Fault.STOP_IGNORED)
    machine = await bench.rent_running()
    await bench.provider.stop(machine)
    await bench.advance(HOUR)
    remote = await bench.seen(machine)
    assert (remote.status, remote.burn_usd_per_hour) == (Status.RUNNING, remote.usd_per_hour)


async def test_release_ignored_answers_and_the_machine_stays_and_bills() -> None:
    bench = once(Fault.RELEASE_IGNORED)
    machine = await bench.rent_running()
    await bench.provider.release(machine)
    await bench.advance(HOUR)
    assert bench.bill(machine) == pytest.approx(1.5 * (await bench.seen(machine)).usd_per_hour)
    await bench.provider.release(machine)
    assert not await bench.listed()


async def test_listed_late_bills_before_the_listing_shows_it() -> None:
    bench = once(Fault.LISTED_LATE)
    machine = await bench.rent()
    await bench.advance(59.0)
    assert not await bench.listed()
    assert bench.bill(machine) > 0
    await bench.advance(1.0)
    assert (await bench.seen(machine)).label == "ours-1"


async def test_lingers_shows_a_released_machine_that_bills_no_more() -> None:
    bench = once(Fault.LINGERS)
    machine = await bench.rent_running()
    await bench.provider.release(machine)
    final = bench.bill(machine)
    await bench.advance(59.0)
    assert machine in await bench.listed()
    assert bench.bill(machine) == final
    with pytest.raises(NotFound):
        await bench.provider.stop(machine)
    await bench.advance(1.0)
    assert not await bench.listed()


async def test_lists_half_leaves_machines_out_without_an_error() -> None:
    bench = once(Fault.LISTS_HALF)
    rented = [await bench.rent() for _ in range(5)]
    assert list(await bench.listed()) == rented[:2]
    assert list(await bench.listed()) == rented


async def test_listing_fails_is_an_error_and_never_an_empty_listing() -> None:
    bench = once(Fault.LISTING_FAILS)
    await bench.rent()
    assert isinstance(await refused(bench.provider.list_machines()), Transient)
    assert len(await bench.listed()) == 1


async def test_outbid_stops_a_spot_machine_and_lets_others_have_its_gpu() -> None:
    bench = Bench(replace(CALM, outbid_returns=0.0, scenario=(Step(fault=Fault.OUTBID, at=2 * HOUR),)))
    await bench.rent_running(ON_DEMAND)
    spot = await bench.rent_running(SPOT)
    await bench.advance(HOUR)
    assert [remote.status for remote in (await bench.listed()).values()] == [Status.RUNNING, Status.STOPPED]
    remote = await bench.seen(spot)
    assert (remote.detail, remote.burn_usd_per_hour) == ("outbid", remote.disk_usd_per_hour)
    assert isinstance(await refused(bench.provider.resume(spot)), NoCapacity)


async def test_an_outbid_machine_may_start_and_bill_again_by_itself() -> None:
    bench = Bench(replace(CALM, outbid_returns=1.0, scenario=(Step(fault=Fault.OUTBID, at=HOUR),)))
    spot = await bench.rent_running(SPOT)
    await bench.advance(HOUR)
    assert (await bench.seen(spot)).status is Status.STOPPED
    await bench.advance(HOUR)
    assert (await bench.seen(spot)).status is Status.RUNNING


async def test_a_stop_keeps_an_outbid_machine_from_starting_by_itself() -> None:
    bench = Bench(replace(CALM, outbid_returns=1.0, scenario=(Step(fault=Fault.OUTBID, at=HOUR),)))
    spot = await bench.rent_running(SPOT)
    await bench.advance(HOUR)
    await bench.provider.stop(spot)
    await bench.advance(100 * HOUR)
    assert (await bench.seen(spot)).status is Status.STOPPED


async def test_a_bid_under_the_market_price_is_outbid_at_once() -> None:
    bench = Bench(replace(CALM, outbid_returns=0.0))
    spot = await bench.rent_running(SPOT)
    await bench.provider.set_bid(spot, 0.05)
    assert (await bench.seen(spot)).status is Status.STOPPED


async def test_interruptions_come_at_their_chance_per_hour() -> None:
    bench = Bench(replace(CALM, outbid_returns=0.0, faults={**CALM.faults, Fault.OUTBID: 0.5}))
    for _ in range(16):
        await bench.rent(SPOT)
    await bench.advance(1.5 * HOUR)
    stopped = [remote for remote in (await bench.listed()).values() if remote.status is Status.STOPPED]
    assert 6 <= len(stopped) <= 15  # 1 - 0.5^1.5 of 16 is 10.3


async def test_host_offline_bills_nothing_and_what_ran_starts_again() -> None:
    bench = once(Fault.HOST_OFFLINE, at=HOUR)
    machine = await bench.rent_running()
    await bench.advance(HOUR - 1800.0)
    remote = await bench.seen(machine)
    assert (remote.status, remote.burn_usd_per_hour, remote.address) == (Status.OFFLINE, 0.0, None)
    assert isinstance(await refused(bench.provider.resume(machine)), Transient)
    await bench.advance(600.0)
    assert (await bench.seen(machine)).status is Status.STARTING
    await bench.advance(180.0)
    assert (await bench.seen(machine)).status is Status.RUNNING
    assert bench.bill(machine) == pytest.approx((1 + 180 / 3600) * remote.usd_per_hour)


async def test_a_machine_stopped_while_its_host_is_offline_comes_back_stopped() -> None:
    bench = once(Fault.HOST_OFFLINE, at=HOUR, until=2 * HOUR)
    machine = await bench.rent_running()
    await bench.advance(HOUR)
    await bench.provider.stop(machine)
    await bench.advance(HOUR)
    assert (await bench.seen(machine)).status is Status.STOPPED


async def test_a_machine_that_was_stopped_before_its_host_went_offline_comes_back_stopped() -> None:
    bench = once(Fault.HOST_OFFLINE, at=2 * HOUR)
    machine = await bench.rent_stopped()
    await bench.advance(10 * HOUR)
    assert (await bench.seen(machine)).status is Status.STOPPED


async def test_a_machine_on_an_offline_host_keeps_its_gpu() -> None:
    bench = once(Fault.HOST_OFFLINE, at=HOUR)
    host = (await bench.offer()).host
    for _ in range(2):
        offers = await bench.provider.list_offers(ON_DEMAND, MACHINE)
        await bench.provider.rent(next(o for o in offers if o.host == host), MACHINE, label="ours")
    await bench.advance(HOUR)
    assert host not in {offer.host for offer in await bench.provider.list_offers(ON_DEMAND, MACHINE)}


async def test_vanishes_takes_the_named_machine_out_of_the_listing_and_off_the_bill() -> None:
    bench = once(Fault.VANISHES, at=HOUR, machine=2)
    first, second = await bench.rent(), await bench.rent()
    await bench.advance(2 * HOUR)
    assert list(await bench.listed()) == [first]
    assert bench.bill(second) == pytest.approx(bench.bill(first) / 2, rel=0.02)
    with pytest.raises(NotFound):
        await bench.provider.stop(second)


async def test_balance_spent_stops_all_and_refuses_what_costs_until_it_is_over() -> None:
    bench = once(Fault.BALANCE_SPENT, at=HOUR, until=3 * HOUR)
    running, stopped = await bench.rent_running(), await bench.rent_stopped()
    await bench.advance(HOUR)
    assert {remote.status for remote in (await bench.listed()).values()} == {Status.STOPPED}
    assert await bench.provider.balance_usd() == 0.0
    assert isinstance(await refused(bench.rent()), InsufficientFunds)
    assert isinstance(await refused(bench.provider.resume(stopped)), InsufficientFunds)
    await bench.advance(2 * HOUR)
    await bench.provider.resume(running)
    await bench.rent()


@pytest.mark.parametrize("first", [Fault.OUTBID, Fault.HOST_OFFLINE])
async def test_nothing_starts_by_itself_while_the_account_is_empty(first: Fault) -> None:
    steps = (Step(fault=first, at=HOUR), Step(fault=Fault.BALANCE_SPENT, at=HOUR + 300.0))
    bench = Bench(replace(CALM, outbid_returns=1.0, scenario=steps))
    machine = await bench.rent_running(SPOT)
    await bench.advance(100 * HOUR)
    assert (await bench.seen(machine)).status is Status.STOPPED


async def test_an_account_that_runs_dry_stops_all_at_that_moment_and_disks_bill_on() -> None:
    bench = Bench(replace(CALM, balance_usd=2.0))
    machine = await bench.rent()
    price = bench.market.machines[machine].usd_per_hour
    disk = bench.market.machines[machine].disk_usd_per_hour
    hours_paid = 2.0 / price
    await bench.advance((hours_paid + 10) * HOUR)
    remote = await bench.seen(machine)
    assert (remote.status, remote.detail) == (Status.STOPPED, "account out of credit")
    assert bench.bill(machine) == pytest.approx(2.0 + 10 * disk)
    assert await bench.provider.balance_usd() == pytest.approx(-10 * disk)
    assert isinstance(await refused(bench.provider.resume(machine)), InsufficientFunds)


def test_every_fault_has_a_test_that_names_it() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert not [fault for fault in Fault if f"Fault.{fault.name}" not in source]
