"""What is searched for at Vast.ai, and which of the rows that come back are offers."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.errors import NoCapacity, RateLimited, Transient, UnclearOutcome
from autoscaler.core.market import Offer
from autoscaler.core.spec import MachineSpec, Placement
from providers.http import Answer, Request, json_answer
from providers.vastai.offers import Wanted
from tests.support.vast import DAY, MACHINE, NOW, ON_DEMAND, SETTINGS, SPOT, Account, offer_row

SERVED = replace(MACHINE, ready="http :8188/system_stats")
DISK = 0.15 * 40 / 720


def wanted(placement: Placement = ON_DEMAND, machine: MachineSpec = MACHINE) -> Wanted:
    return Wanted(provider="vastai", settings=SETTINGS, placement=placement, machine=machine)


def offers(*rows: dict[str, Any]) -> Answer:
    return json_answer(200, {"offers": list(rows)})


# --- what is searched for ---------------------------------------------------------------------------------------------


def test_everything_is_said_for_the_servers_defaults_are_not_what_its_documents_say() -> None:
    placement = replace(ON_DEMAND, regions=("US", "CA"), gpus=("H100 SXM",))
    assert wanted(placement, SERVED).search() == {
        "type": "on-demand",
        "verified": {"eq": True},
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "external": {"eq": False},
        "num_gpus": {"eq": 1},
        "reliability": {"gte": 0.95},
        "duration": {"gte": DAY},
        "inet_down": {"gte": 200.0},
        "cuda_max_good": {"gte": 12.8},
        "disk_space": {"gte": 40.0},
        "direct_port_count": {"gte": 1},
        "gpu_name": {"in": ["H100 SXM"]},
        "geolocation": {"in": ["US", "CA"]},
        "dph_total": {"lte": 2.0},
        "allocated_storage": 40.0,
        "order": [["dph_total", "asc"]],
        "limit": 64,
    }


def test_spot_is_searched_and_sorted_by_its_least_bid() -> None:
    body = wanted(SPOT).search()
    assert (body["type"], body["min_bid"], body["order"]) == ("bid", {"lte": 2.0}, [["min_bid", "asc"]])
    assert "dph_total" not in body


def test_where_no_gpu_is_named_any_will_do() -> None:
    anything = wanted(machine=replace(MACHINE, gpus=()))
    assert "gpu_name" not in anything.search()
    assert anything.offer(offer_row(gpu_name="L4")) is not None


def test_no_smaller_disk_is_reckoned_with_than_is_let() -> None:
    small = wanted(machine=replace(MACHINE, disk_gb=2.0))
    offer = small.offer(offer_row())
    assert small.search()["allocated_storage"] == 8.0
    assert offer is not None
    assert offer.disk_usd_per_hour == pytest.approx(0.15 * 8 / 720)


# --- which rows are offers --------------------------------------------------------------------------------------------


def test_an_offer_costs_its_gpu_and_our_disk() -> None:
    offer = wanted().offer(offer_row(dph_total=0.3, storage_cost=0.18))
    assert offer == Offer(
        provider="vastai",
        offer_id="41207733",
        gpu="RTX 4090",
        region="US",
        host="51877",
        buy="on_demand",
        usd_per_hour=0.32 + 0.18 * 40 / 720,
        disk_usd_per_hour=0.18 * 40 / 720,
        reliability=0.9967,
        usd_per_gb=0.003,
    )


def test_a_spot_offer_costs_its_least_bid_and_our_disk() -> None:
    offer = wanted(SPOT).offer(offer_row())
    assert offer is not None
    assert (offer.buy, offer.takes_bids) == ("spot", True)
    assert offer.usd_per_hour == pytest.approx(0.20 + DISK)


@pytest.mark.parametrize(
    ("row", "usd_per_hour"),
    [
        ({"dph_total": 0.32}, 0.32 + DISK),  # reckoned with no disk, or a smaller one
        ({"dph_total": 0.40}, 0.40),
        ({"dph_base": None, "dph_total": 0.33}, 0.33 + DISK),
    ],
)
def test_where_a_row_disagrees_with_itself_the_higher_price_counts(row: dict[str, Any], usd_per_hour: float) -> None:
    offer = wanted().offer(offer_row(**row))
    assert offer is not None
    assert offer.usd_per_hour == pytest.approx(usd_per_hour)


BOUND = replace(ON_DEMAND, regions=("US",), max_usd_per_hour=0.33)


@pytest.mark.parametrize(
    "row",
    [
        {"gpu_name": "RTX 4080"},
        {"gpu_name": None},
        {"num_gpus": 2},
        {"num_gpus": None},
        {"geolocation": "Texas, MX"},
        {"geolocation": None},
        {"dph_base": 0.3225, "dph_total": 0.3225},
        {"dph_total": 0.3301},
        {"dph_total": None},
        {"dph_base": 0.0, "dph_total": 0.0},
        {"storage_cost": 0.9},
        {"storage_cost": None},
        {"storage_cost": -0.1},
        {"verification": "unverified"},
        {"verification": None},
        {"reliability": 0.90},
        {"reliability2": 0.90},
        {"reliability": None, "reliability2": None},
        {"rentable": False},
        {"rentable": None},
        {"rented": True},
        {"external": True},
        {"external": 1},
        {"rented": 1},
        {"duration": DAY - 1},
        {"duration": None},
        {"inet_down": 100.0},
        {"cuda_max_good": 12.6},
        {"cuda_max_good": None},
        {"disk_space": 39.0},
        {"direct_port_count": 0},
    ],
)
def test_every_bound_is_checked_again(row: dict[str, Any]) -> None:
    assert wanted(BOUND, SERVED).offer(offer_row()) is not None
    assert wanted(BOUND, SERVED).offer(offer_row(**row)) is None


@pytest.mark.parametrize("row", [{"min_bid": 0.3217}, {"min_bid": None}, {"min_bid": 0}])
def test_the_cap_holds_for_the_least_bid_and_the_disk(row: dict[str, Any]) -> None:
    capped = wanted(replace(SPOT, max_usd_per_hour=0.33))
    assert capped.offer(offer_row(min_bid=0.3216)) is not None
    assert capped.offer(offer_row(**row)) is None


def test_the_users_own_bounds_replace_the_defaults() -> None:
    settings = replace(
        SETTINGS, verified=False, min_reliability=0.5, min_rental=14400.0, min_download_mbps=50.0, min_cuda=11.8
    )
    generous = replace(wanted(), settings=settings)
    row = offer_row(verification="unverified", reliability=0.6, reliability2=0.6, duration=14400.0)
    row |= {"inet_down": 50.0, "cuda_max_good": 11.8}
    assert generous.offer(row) is not None
    assert "verified" not in generous.search()


ANYTHING: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.just(10**400) | st.floats() | st.text(max_size=8) | st.just([])
)


@given(st.dictionaries(st.sampled_from(sorted(set(offer_row()) - {"id"})), ANYTHING))
def test_whatever_is_offered_keeps_the_bounds(changes: dict[str, Any]) -> None:
    offer = wanted(BOUND).offer(offer_row(**changes))
    if offer is not None:
        assert 0 <= offer.disk_usd_per_hour < offer.usd_per_hour <= 0.33
        assert (offer.gpu in MACHINE.gpus, offer.region) == (True, "US")


# --- several searches -------------------------------------------------------------------------------------------------


def market(*prices: float) -> Any:
    """A market that gives 64 offers at once, cheapest first, and keeps to the bounds on the price."""
    rows = [offer_row(id=n, machine_id=n, dph_base=usd, dph_total=usd + DISK) for n, usd in enumerate(prices, start=1)]

    def answer(request: Request) -> Answer:
        body = request.json()
        bounds = body["dph_total"]
        fitting = [row for row in rows if bounds.get("gte", 0) <= row["dph_total"] <= bounds["lte"]]
        return offers(*sorted(fitting, key=lambda row: row["dph_total"])[:64])

    return answer


async def test_more_offers_than_one_search_gives_are_all_found_once() -> None:
    account = Account(search=market(*(0.2 + n / 1000 for n in range(150))))
    found = await account.provider.list_offers(ON_DEMAND, MACHINE)
    assert sorted(int(offer.offer_id) for offer in found) == list(range(1, 151))
    assert len(account.asked) == 3


async def test_offers_that_cost_the_same_end_the_search() -> None:
    account = Account(search=market(*[0.3] * 100))
    assert len(await account.provider.list_offers(ON_DEMAND, MACHINE)) == 64
    assert len(account.asked) == 2


@pytest.mark.parametrize("refusal", [json_answer(429, None, retry_after="9"), json_answer(502), Answer(status=200)])
async def test_a_search_that_cannot_go_on_gives_the_cheapest(refusal: Answer) -> None:
    first = market(*(0.2 + n / 1000 for n in range(64)))
    account = Account(search=lambda request: refusal if "gte" in request.json()["dph_total"] else first(request))
    assert len(await account.provider.list_offers(ON_DEMAND, MACHINE)) == 64


async def test_only_the_first_of_several_searches_waits_long_for_its_turn_and_a_slow_one_is_the_last() -> None:
    account = Account(search=market(*(0.2 + n / 1000 for n in range(150))))
    await account.provider.list_offers(ON_DEMAND, MACHINE)
    assert [request.patience_s for request in account.asked] == [45.0, 15.0, 15.0]

    answer = market(*(0.2 + n / 1000 for n in range(150)))
    slow = Account(search=answer)

    def slowly(request: Request) -> Answer:
        slow.time += 21.0
        return cast(Answer, answer(request))

    slow.answers["search"] = slowly
    assert len(await slow.provider.list_offers(ON_DEMAND, MACHINE)) == 64


async def test_found_offers_are_kept_for_a_minute_for_the_sake_of_the_daily_quota() -> None:
    account = Account(search=market(0.3, 0.4))
    for _ in range(10):
        assert len(await account.provider.list_offers(ON_DEMAND, MACHINE)) == 2
        account.time += 5.9
    assert len(account.asked) == 1
    account.time += 5.9
    await account.provider.list_offers(ON_DEMAND, MACHINE)
    assert len(account.asked) == 2


@pytest.mark.parametrize("other", [SPOT, replace(ON_DEMAND, regions=("US",)), replace(ON_DEMAND, max_usd_per_hour=1.9)])
async def test_another_question_is_another_search(other: Placement) -> None:
    account = Account(search=offers())
    await account.provider.list_offers(ON_DEMAND, MACHINE)
    await account.provider.list_offers(other, MACHINE)
    assert len(account.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        json_answer(200, {"success": True, "new_contract": 7}),
        json_answer(410, {"error": "no_such_ask", "msg": "no longer available"}),
        json_answer(502),
    ],
)
async def test_an_offer_that_was_taken_or_proved_gone_is_not_offered_again_for_ten_minutes(answer: Answer) -> None:
    account = Account(search=market(0.3, 0.4), create=answer)
    first, second = await account.provider.list_offers(ON_DEMAND, MACHINE)
    with suppress(NoCapacity, UnclearOutcome):
        await account.provider.rent(first, MACHINE, label="ours")
    assert await account.provider.list_offers(ON_DEMAND, MACHINE) == [second]
    account.time += 599
    assert await account.provider.list_offers(ON_DEMAND, MACHINE) == [second]
    account.time += 1
    assert len(await account.provider.list_offers(ON_DEMAND, MACHINE)) == 2


async def test_an_offer_that_was_certainly_not_taken_stays_on_offer() -> None:
    account = Account(search=market(0.3), create=json_answer(429, None, retry_after="5"))
    (offer,) = await account.provider.list_offers(ON_DEMAND, MACHINE)
    with pytest.raises(RateLimited):
        await account.provider.rent(offer, MACHINE, label="ours")
    assert await account.provider.list_offers(ON_DEMAND, MACHINE) == [offer]


# --- refused searches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "wait_s"), [({"x_ratelimit_reset": str(NOW + 7200)}, 7200.0), ({}, DAY - NOW % DAY)]
)
async def test_no_search_is_sent_before_the_daily_quota_is_full_again(headers: dict[str, str], wait_s: float) -> None:
    spent = json_answer(429, {"success": False, "error": "search_quota_exceeded"}, **headers)
    account = Account(search=[spent, offers(offer_row())])
    with pytest.raises(RateLimited) as refused:
        await account.provider.list_offers(ON_DEMAND, MACHINE)
    assert refused.value.retry_after_s == pytest.approx(wait_s)
    account.time += wait_s - 60
    with pytest.raises(RateLimited, match=re.escape("full again in 1m")) as held:
        await account.provider.list_offers(SPOT, MACHINE)
    assert held.value.retry_after_s == pytest.approx(60.0)
    assert len(account.asked) == 1
    account.time += 61
    assert await account.provider.list_offers(ON_DEMAND, MACHINE)


@pytest.mark.parametrize("headers", [{"x_ratelimit_reset": str(NOW - NOW % DAY + DAY)}, {}])
async def test_a_clock_that_is_ahead_at_midnight_costs_no_day_of_searches(headers: dict[str, str]) -> None:
    spent = json_answer(429, {"success": False, "error": "search_quota_exceeded"}, **headers)
    account = Account(search=[spent, offers(offer_row())])
    account.time += DAY - NOW % DAY + 3.0
    with pytest.raises(RateLimited) as refused:
        await account.provider.list_offers(ON_DEMAND, MACHINE)
    assert refused.value.retry_after_s == 900.0
    account.time += 900
    assert await account.provider.list_offers(ON_DEMAND, MACHINE)


async def test_a_search_too_soon_holds_up_no_other() -> None:
    account = Account(search=[json_answer(429, None, retry_after="30"), offers(offer_row())])
    with pytest.raises(RateLimited):
        await account.provider.list_offers(ON_DEMAND, MACHINE)
    assert await account.provider.list_offers(ON_DEMAND, MACHINE)


@pytest.mark.parametrize("body", [{}, {"offers": None}, {"offers": {"id": 1}}, {"offers": [7]}])
async def test_an_answer_without_its_rows_is_an_error_and_not_an_empty_market(body: dict[str, Any]) -> None:
    with pytest.raises(Transient):
        await Account(search=json_answer(200, body)).provider.list_offers(ON_DEMAND, MACHINE)


async def test_a_row_without_an_id_hides_no_other() -> None:
    account = Account(search=offers(offer_row(id=None), offer_row()))
    (offer,) = await account.provider.list_offers(ON_DEMAND, MACHINE)
    assert offer.offer_id == "41207733"
