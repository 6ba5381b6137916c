"""The search: filters, prices, the cap on rows, chunks of one machine."""

from __future__ import annotations

from typing import Any

import pytest

from providers.mock import Fault, Stock
from tests.emulate.vastai.desk import GPU, Desk, step


async def test_an_offers_price_is_the_gpu_and_the_disk_that_was_asked_for() -> None:
    for offer in await Desk().offers(allocated_storage=100.0):
        assert offer["dph_total"] == pytest.approx(offer["dph_base"] + offer["storage_total_cost"])
        assert offer["storage_total_cost"] == pytest.approx(offer["storage_cost"] * 100.0 / 720.0, rel=1e-4)


async def test_a_search_for_bids_has_the_least_bid_as_its_price() -> None:
    for offer in await Desk().offers(type="bid"):
        assert offer["is_bid"]
        assert offer["dph_base"] == offer["min_bid"] < 0.4


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"gpu_name": {"eq": GPU}}, 6),
        ({"gpu_name": {"in": [GPU, "RTX 3090"]}}, 10),
        ({"gpu_name": {"eq": "RTX_4090"}}, 0),
        ({"geolocation": {"in": ["DE"]}}, 2),
        ({"geolocation": {"notin": ["DE"]}}, 8),
        ({"num_gpus": {"eq": "1"}}, 10),
        ({"num_gpus": {"gte": 2}}, 0),
        ({"gpu_ram": {"gte": 24570}}, 4),
        ({"dph_total": {"lt": "0.5"}}, 4),
        ({"verified": {"eq": True}, "external": {"eq": False}, "rentable": {"eq": True}, "rented": {"eq": False}}, 10),
        ({"reliability": {"gte": 0.5}}, 10),
        ({"reliability2": {"gt": 0.9999}}, 0),
        ({"limit": 3}, 3),
        ({"type": "reserved"}, 0),
    ],
)
async def test_a_search_keeps_to_its_bounds(query: dict[str, Any], count: int) -> None:
    assert len(await Desk().offers(**query)) == count


@pytest.mark.parametrize(
    "query",
    [
        {"gpu_name": {"like": "RTX"}},
        {"no_such_field": {"eq": 1}},
        {"dph_total": 0.5},
        {"gpu_name": {"in": "RTX 4090"}},
        {"type": "weekly"},
        {"limit": "many"},
        {"order": [1]},
    ],
)
async def test_a_search_that_cannot_be_understood_is_a_400(query: dict[str, Any]) -> None:
    answer = await Desk().ask("POST", "/api/v0/bundles/", query)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_request")


async def test_one_search_gives_64_rows_at_most() -> None:
    desk = Desk(stock=(Stock(gpu=GPU, region="US", on_demand=0.6, spot=0.3, hosts=40),))
    assert len(await desk.offers(limit=1000)) == 64


async def test_filtering_on_id_matches_nothing_and_on_ask_contract_id_one() -> None:
    desk = Desk()
    (offer, *_) = await desk.offers()
    assert await desk.offers(id={"eq": offer["id"]}) == []
    (found,) = await desk.offers(ask_contract_id={"eq": offer["id"]})
    assert found["id"] == offer["id"]


async def test_each_free_gpu_of_a_machine_is_an_offer_with_its_machine_id() -> None:
    desk = Desk()
    offers = await desk.offers()
    machines = [offer["machine_id"] for offer in offers]
    assert len({offer["id"] for offer in offers}) == len(offers) == 2 * len(set(machines))


async def test_an_offer_that_was_taken_never_comes_back_under_its_id() -> None:
    desk = Desk()
    before = {offer["id"] for offer in await desk.offers()}
    instance_id = await desk.rent()
    left = {offer["id"] for offer in await desk.offers()}
    assert len(before - left) == 1
    await desk.destroy(instance_id)
    after = {offer["id"] for offer in await desk.offers()}
    assert len(after) == len(before)
    assert not (before - left) & after


async def test_the_least_bid_of_a_machine_that_one_occupies_is_ones_own() -> None:
    desk = Desk()
    instance_id = await desk.rent(price=0.4567)
    machine_id = (await desk.row(instance_id))["machine_id"]
    (sibling,) = await desk.offers(type="bid", machine_id={"eq": machine_id})
    assert sibling["min_bid"] == 0.457
    assert (await desk.row(instance_id))["min_bid"] == 0.457


async def test_the_newer_search_wraps_the_same_query() -> None:
    desk = Desk()
    body = {"select_cols": ["id", "dph_total"], "q": {"gpu_name": {"eq": GPU}}}
    offers = (await desk.ask("PUT", "/api/v0/search/asks/", body)).json()["offers"]
    assert len(offers) == 6
    assert set(offers[0]) == {"id", "dph_total"}


async def test_without_an_order_the_best_score_comes_first() -> None:
    desk = Desk()
    offers = (await desk.ask("POST", "/api/v0/bundles/", {})).json()["offers"]
    assert [offer["score"] for offer in offers] == sorted((offer["score"] for offer in offers), reverse=True)


async def test_a_dry_market_is_an_empty_list_and_no_error() -> None:
    assert await Desk(scenario=step(Fault.NO_OFFERS)).offers() == []


async def test_the_catalogue_names_gpus_as_searches_do() -> None:
    types = (await Desk().ask("GET", "/api/v0/gpu_types/", key="")).json()["gpu_types"]
    assert {"canonical_name": GPU, "gpu_ram_mb": 24564} in types
