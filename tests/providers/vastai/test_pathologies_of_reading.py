"""What Vast.ai does to customers who only ask: paces, quotas, searches, listings, and words for what a machine does.

The other side is the emulator. Each of these has cost somebody money, or an outage.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.errors import RateLimited, Transient
from autoscaler.core.market import Status
from autoscaler.emulate.vastai import Quirk
from providers.http import Http, Service
from providers.mock import Fault, MockSettings, Operation, Step
from providers.pace import Paced
from tests.support.market import HOUR
from tests.support.vast import MACHINE, MARKET, NOW, ON_DEMAND, SPOT, Bench, once, striking, with_hosts

SERVED = replace(MACHINE, ready="http :8188/system_stats")

# --- requests too often -----------------------------------------------------------------------------------------------


class Waiting:
    """The clock of a bench: whoever sleeps lets its time go by."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def now(self) -> float:
        return self._bench.now

    async def sleep(self, seconds: float) -> None:
        await self._bench.advance(seconds)


class PacedBench(Bench):
    """An account whose requests wait their turn, at a Vast.ai that insists on its intervals."""

    def __init__(self, market: MockSettings) -> None:
        super().__init__(market, Quirk.MINIMUM_INTERVALS, around=self._paced)

    def _paced(self, http: Http, service: Service) -> Http:
        return Paced(http, service, Waiting(self))


async def test_at_our_pace_vast_ai_never_finds_requests_too_frequent() -> None:
    bench = PacedBench(with_hosts(40))
    machines = [await bench.rent() for _ in range(30)]
    await bench.advance(bench.market.settings.setup.high)
    for machine in machines:
        assert machine in await bench.listed()
    for machine in machines:
        await bench.provider.stop(machine)
    for machine in machines:
        await bench.provider.release(machine)
    spot = await bench.rent(SPOT)
    for cents in range(30, 34):
        await bench.provider.set_bid(spot, cents / 100)
    for cents in range(50, 80):
        await bench.provider.list_offers(replace(ON_DEMAND, max_usd_per_hour=cents / 100), MACHINE)
    assert bench.refused == 0


async def test_without_a_pace_requests_are_refused_as_too_frequent() -> None:
    bench = Bench(MARKET, Quirk.MINIMUM_INTERVALS)
    await bench.rent()
    with pytest.raises(RateLimited):
        await bench.rent()


async def test_two_hundred_machines_are_listed_in_eight_requests_within_the_interval_of_listings() -> None:
    bench = PacedBench(replace(MARKET, foreign=tuple(f"somebody's {n}" for n in range(200))))
    began, bench.sent[:] = bench.now, []
    assert len((await bench.provider.list_machines()).machines) == 200
    assert sum(request.endpoint == "list" for request in bench.sent) == 8
    assert bench.now - began < bench.provider.capabilities.list_every_s
    assert bench.refused == 0


@pytest.mark.parametrize("quirks", [(), (Quirk.RETRY_AFTER_IN_BODY,)])
async def test_a_429_that_names_its_time_is_heeded_in_header_and_body(quirks: tuple[Quirk, ...]) -> None:
    with pytest.raises(RateLimited) as refused:
        await Bench(once(Fault.RATE_LIMITED), *quirks).provider.list_machines()
    assert refused.value.retry_after_s == 30.0


async def test_a_429_in_plain_text_is_no_unclear_outcome() -> None:
    bench = Bench(once(Fault.RATE_LIMITED_SILENT, Operation.RENT))
    with pytest.raises(RateLimited) as refused:
        await bench.rent()
    assert refused.value.retry_after_s is None
    assert not await bench.listed()


async def test_the_daily_quota_of_searches_is_not_spent_on_being_refused() -> None:
    bench = Bench(MARKET, Quirk.SEARCH_QUOTA_SPENT)
    for _ in range(100):
        with pytest.raises(RateLimited) as refused:
            await bench.offer()
        assert bench.now + (refused.value.retry_after_s or 0.0) == pytest.approx(NOW - NOW % 86400 + 86400)
        await bench.advance(60)
    assert len(bench.sent) == 1


async def test_searches_of_a_busy_day_are_one_a_minute() -> None:
    bench = Bench()
    for _ in range(60):
        await bench.offer()
        await bench.advance(10)
    assert len(bench.sent) == 10


# --- searching --------------------------------------------------------------------------------------------------------


async def test_more_than_64_offers_are_found() -> None:
    bench = Bench(with_hosts(100))
    offers = await bench.provider.list_offers(ON_DEMAND, MACHINE)
    assert len({offer.offer_id for offer in offers}) == len(offers) == 200
    assert [offer.usd_per_hour for offer in offers] == sorted(offer.usd_per_hour for offer in offers)


async def test_bounds_that_the_search_ignores_are_kept_all_the_same() -> None:
    bench = Bench(MARKET, Quirk.IGNORES_BOUNDS)
    bounds = replace(ON_DEMAND, regions=("CA",), gpus=("RTX 4090",), max_usd_per_hour=0.81)
    offers = await bench.provider.list_offers(bounds, MACHINE)
    assert offers
    assert all(offer.region == "CA" and offer.usd_per_hour <= 0.81 for offer in offers)


async def test_offers_of_one_physical_machine_name_the_same_host() -> None:
    bench = Bench(with_hosts(1))
    one, other = await bench.provider.list_offers(ON_DEMAND, MACHINE)
    assert one.offer_id != other.offer_id
    assert one.host == other.host
    machine = await bench.provider.rent(one, MACHINE, label="ours")
    assert (await bench.seen(machine)).host == one.host


async def test_the_least_bid_of_our_own_host_is_an_echo_and_other_hosts_tell_the_market() -> None:
    bench = Bench(with_hosts(2))
    before = {offer.host: offer for offer in await bench.provider.list_offers(SPOT, MACHINE)}
    machine = await bench.rent_running(SPOT)
    host = (await bench.seen(machine)).host
    await bench.provider.set_bid(machine, 0.5)
    await bench.advance(60)
    after = {offer.host: offer for offer in await bench.provider.list_offers(SPOT, MACHINE)}
    assert after[host].usd_per_hour == pytest.approx(0.5, abs=0.001)
    (elsewhere,) = before.keys() - {host}
    assert after[elsewhere].usd_per_hour == pytest.approx(before[elsewhere].usd_per_hour, rel=0.05)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.LISTS_HALF, Fault.LISTING_FAILS])
async def test_a_listing_that_ends_early_proves_no_absence(fault: Fault) -> None:
    bench = Bench(replace(once(fault, Operation.LIST), foreign=tuple(f"somebody's {n}" for n in range(60))))
    with pytest.raises(Transient):
        await bench.provider.list_machines()
    assert len((await bench.provider.list_machines()).machines) == 60


@pytest.mark.parametrize("quirk", [Quirk.ROWS_WITHOUT_ID, Quirk.NOT_JSON])
async def test_a_listing_that_makes_no_sense_is_an_error(quirk: Quirk) -> None:
    bench = Bench(MARKET, quirk)
    with pytest.raises(Transient):
        await bench.provider.list_machines()


async def test_null_and_created_and_loading_are_a_start() -> None:
    bench = Bench()
    machine = await bench.rent()
    for _ in range(5):
        assert (await bench.seen(machine)).status is Status.STARTING
        await bench.advance(2)
    await bench.advance(bench.market.settings.setup.high)
    assert (await bench.seen(machine)).status is Status.RUNNING


@pytest.mark.parametrize(
    "quirk", [Quirk.FROZEN, Quirk.STATUS_UNKNOWN, Quirk.STATUS_NEW, Quirk.CONTAINER_EXITED, Quirk.NULLS]
)
async def test_no_word_breaks_the_listing_and_what_may_bill_counts_as_billing(quirk: Quirk) -> None:
    bench = Bench(MARKET, quirk)
    machine = await bench.rent_running()
    remotes = {remote.provider_id: remote for remote in (await bench.provider.list_machines()).machines}
    remote = remotes[machine]
    assert remote.status is (Status.RUNNING if quirk is Quirk.NULLS else Status.UNKNOWN)
    assert remote.burn_usd_per_hour == pytest.approx(remote.usd_per_hour)


async def test_a_machine_that_loads_costs_what_it_says() -> None:
    bench = Bench()
    machine = await bench.rent()
    await bench.advance(HOUR / 4)
    remote = await bench.seen(machine)
    assert remote.status is Status.STARTING
    assert bench.bill(machine) == pytest.approx(remote.burn_usd_per_hour / 4)


async def test_exited_lingers_after_a_start_and_is_no_crash() -> None:
    bench = Bench(MARKET, Quirk.EXITED_LINGERS)
    machine = await bench.rent_stopped()
    await bench.provider.resume(machine)
    await bench.advance(60)
    remote = await bench.seen(machine)
    assert remote.status is Status.UNKNOWN
    assert remote.burn_usd_per_hour == pytest.approx(remote.usd_per_hour)
    await bench.advance(bench.market.settings.resume.high)
    assert (await bench.seen(machine)).status is Status.RUNNING


async def test_the_address_is_stripped_and_there_is_none_until_ports_are_mapped() -> None:
    bench = Bench(MARKET, Quirk.PADDED_ADDRESS)
    bench.machine = SERVED
    machine = await bench.rent()
    assert (await bench.seen(machine)).address is None
    await bench.advance(bench.market.settings.setup.high)
    address = (await bench.seen(machine)).address
    assert address is not None
    host, _, port = address.partition(":")
    assert host == host.strip() != ""
    assert port.isdigit()
    assert port != "8188"


async def test_a_broken_host_is_seen_in_its_words_within_seconds_however_reliable_it_is_said_to_be() -> None:
    bench = Bench(once(Fault.CRASH_LOOP, Operation.RENT))
    offer = await bench.offer()
    assert offer.reliability >= 0.95
    machine = await bench.provider.rent(offer, MACHINE, label="ours")
    await bench.advance(bench.market.settings.setup.high)
    remote = await bench.seen(machine)
    assert (remote.status, remote.host) == (Status.FAILED, offer.host)
    assert "OCI runtime create failed" in remote.detail


async def test_a_host_that_is_gone_bills_nothing() -> None:
    bench = Bench(striking(Step(fault=Fault.HOST_OFFLINE, at=HOUR, machine=1)))
    await bench.provider.list_machines()
    machine = await bench.rent_running()
    await bench.advance(HOUR / 2 + 60)
    remote = await bench.seen(machine)
    assert (remote.status, remote.burn_usd_per_hour) == (Status.OFFLINE, 0.0)


@pytest.mark.parametrize("quirks", [(), (Quirk.OUTBID_STILL_INTENDED,)])
async def test_an_outbid_machine_is_stopped_whatever_its_intention_says(quirks: tuple[Quirk, ...]) -> None:
    bench = Bench(striking(Step(fault=Fault.OUTBID, at=HOUR, machine=1)), *quirks)
    await bench.provider.list_machines()
    machine = await bench.rent_running(SPOT)
    await bench.advance(HOUR / 2 + 60)
    remote = await bench.seen(machine)
    assert remote.status is Status.STOPPED
    assert remote.burn_usd_per_hour == pytest.approx(remote.disk_usd_per_hour)


async def test_a_contract_at_its_end_is_a_failed_machine_and_its_end_was_told() -> None:
    bench = Bench()
    machine = await bench.rent_running()
    ends_at = (await bench.seen(machine)).ends_at
    assert ends_at is not None
    await bench.advance(ends_at - bench.now - 60)
    assert (await bench.seen(machine)).status is Status.RUNNING
    await bench.advance(120)
    assert (await bench.seen(machine)).status is Status.FAILED


async def test_a_machine_that_is_let_for_an_hour_is_not_rented() -> None:
    lasting = await Bench(MARKET, Quirk.SHORT_CONTRACTS).provider.list_offers(ON_DEMAND, MACHINE)
    assert lasting
    assert len(lasting) < len(await Bench().provider.list_offers(ON_DEMAND, MACHINE))


async def test_machines_of_others_are_listed_under_their_own_names() -> None:
    bench = Bench()
    await bench.rent(label="autoscaler.acme.images.aaaa")
    labels = {remote.label for remote in (await bench.provider.list_machines()).machines}
    assert labels == {*MARKET.foreign, "autoscaler.acme.images.aaaa"}


async def test_a_price_increase_is_told_and_not_accepted() -> None:
    bench = Bench(MARKET, Quirk.PRICE_INCREASE_PENDING)
    machine = await bench.rent_running()
    listed = await bench.provider.list_machines()
    assert any(machine in notice for notice in listed.notices)
    price = (await bench.seen(machine)).usd_per_hour
    await bench.advance(24 * HOUR)
    assert (await bench.seen(machine)).usd_per_hour == price
    assert not [request for request in bench.sent if "accept" in request.path]
