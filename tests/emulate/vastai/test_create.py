"""Accepting an offer: what is made, at what price, and what is made though the answer says no."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.market import Status
from providers.mock import Fault
from tests.emulate.vastai.desk import GPU, ORDER, Desk, step


async def test_without_a_price_it_is_on_demand_even_if_the_offer_was_searched_for_as_a_bid() -> None:
    desk = Desk()
    (offer, *_) = await desk.offers(type="bid", gpu_name={"eq": GPU})
    made = (await desk.ask("PUT", f"/api/v0/asks/{offer['id']}/", {**ORDER, "price": None})).json()
    row = await desk.row(made["new_contract"])
    assert not row["is_bid"]
    assert row["dph_base"] > offer["dph_base"]


async def test_with_a_price_it_is_interruptible_and_costs_the_bid() -> None:
    desk = Desk()
    row = await desk.row(await desk.rent(price=0.41))
    assert (row["is_bid"], row["dph_base"]) == (True, 0.41)
    assert row["dph_total"] == pytest.approx(0.41 + row["storage_total_cost"])


async def test_a_bid_below_the_floor_is_a_400_that_names_a_stopped_instance_that_bills_its_disk() -> None:
    desk = Desk()
    answer = await desk.create(price=0.01)
    assert (answer.status, answer.json()["error"]) == (400, "invalid_price")
    made = desk.machine(answer.json()["new_contract"])
    assert made.status is Status.STOPPED
    assert made.burn_usd_per_hour == made.disk_usd_per_hour > 0


async def test_an_offer_is_good_for_one_instance() -> None:
    desk = Desk()
    (offer, *_) = await desk.offers()
    path = f"/api/v0/asks/{offer['id']}/"
    assert (await desk.ask("PUT", path, ORDER)).status == 200
    again = await desk.ask("PUT", path, ORDER)
    assert (again.status, "no_such_ask" in again.text) == (410, True)
    assert len(desk.market.machines) == 1


async def test_an_offer_taken_meanwhile_is_refused_when_unavailable_ones_are_to_be_cancelled() -> None:
    desk = Desk(scenario=step(Fault.OFFER_GONE))
    answer = await desk.create(cancel_unavail=True)
    assert (answer.status, answer.json()["error"]) == (410, "no_such_ask")
    assert not desk.market.machines


async def test_an_offer_taken_meanwhile_leaves_a_stopped_instance_when_they_are_not() -> None:
    desk = Desk(scenario=step(Fault.OFFER_GONE))
    answer = await desk.create(cancel_unavail=False)
    assert answer.json()["success"] is True
    assert desk.machine(answer.json()["new_contract"]).status is Status.STOPPED


async def test_by_default_on_demand_is_cancelled_and_a_bid_is_not() -> None:
    for price, status, made in ((None, 410, 0), (0.5, 200, 1)):
        desk = Desk(scenario=step(Fault.OFFER_GONE))
        answer = await desk.create(cancel_unavail=None, price=price)
        assert (answer.status, len(desk.market.machines)) == (status, made)


async def test_an_instance_may_be_made_without_being_started() -> None:
    desk = Desk()
    assert desk.machine(await desk.rent(target_state="stopped")).status is Status.STOPPED


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"image": None}, "invalid_args"),
        ({"disk": 4}, "invalid_args"),
        ({"disk": "large"}, "invalid_args"),
        ({"label": "x" * 257}, "invalid_args"),
        ({"onstart": "x" * 5000}, "invalid_args"),
        ({"env": {"A": "x" * 32768}}, "invalid_args"),
        ({"price": 0}, "invalid_price"),
        ({"price": 1000}, "invalid_price"),
        ({"price": "cheap"}, "invalid_price"),
    ],
)
async def test_a_wrong_order_is_a_400_and_makes_nothing(wrong: dict[str, Any], error: str) -> None:
    desk = Desk()
    (offer, *_) = await desk.offers()
    answer = await desk.ask("PUT", f"/api/v0/asks/{offer['id']}/", {**ORDER, **wrong})
    assert (answer.status, answer.json()["error"]) == (400, error)
    assert not desk.market.machines


async def test_the_environment_is_an_object_and_a_text_of_flags_is_ignored() -> None:
    desk = Desk()
    row = await desk.row(await desk.rent(env={"A": "b", "-p 8000:8000": "1"}))
    assert row["extra_env"] == [["A", "b"], ["-p 8000:8000", "1"]]
    assert (await desk.row(await desk.rent(env="-e A=b")))["extra_env"] == []


async def test_a_container_knows_its_id_and_a_key_that_can_end_it() -> None:
    desk = Desk()
    answer = (await desk.create(env={"A": "b"})).json()
    own = desk.machine(answer["new_contract"]).env
    assert own == {
        "A": "b",
        "CONTAINER_ID": str(answer["new_contract"]),
        "CONTAINER_API_KEY": answer["instance_api_key"],
    }


async def test_an_instances_key_stops_and_destroys_that_instance_and_nothing_else() -> None:
    desk = Desk()
    mine = (await desk.create()).json()
    other, key = await desk.rent(), mine["instance_api_key"]
    path = f"/api/v0/instances/{mine['new_contract']}/"
    refused = [
        await desk.ask("DELETE", f"/api/v0/instances/{other}/", {}, key=key),
        await desk.ask("PUT", f"/api/v0/instances/{other}/", {"state": "stopped"}, key=key),
        await desk.ask("PUT", path, {"label": "x"}, key=key),
        await desk.ask("GET", "/api/v1/instances/", key=key),
        await desk.ask("POST", "/api/v0/bundles/", {}, key=key),
        await desk.ask("GET", "/api/v0/users/current/", key=key),
    ]
    assert [answer.status for answer in refused] == [403] * len(refused)
    assert (await desk.ask("PUT", path, {"state": "stopped"}, key=key)).status == 200
    assert (await desk.ask("PUT", path, {"state": "running"}, key=key)).status == 200
    assert (await desk.ask("DELETE", path, {}, key=key)).status == 200
    assert list(desk.market.machines) == [str(other)]


async def test_bulk_creates_make_one_instance_for_each_offer() -> None:
    desk = Desk()
    ids = [offer["id"] for offer in (await desk.offers())[:2]]
    answer = await desk.ask("POST", "/api/v0/asks/bulk/", {**ORDER, "ids": ids})
    assert sorted(str(made["new_contract"]) for made in answer.json()["results"]) == sorted(desk.market.machines)


async def test_a_launch_rents_the_first_offer_of_its_search() -> None:
    desk = Desk()
    query = {"gpu_name": {"eq": "RTX 3090"}, "order": [["dph_total", "asc"]]}
    answer = await desk.ask("PUT", "/api/v0/launch_instance/", {**ORDER, "q": query})
    assert desk.machine(answer.json()["new_contract"]).gpu == "RTX 3090"
