"""What is billed in each state, what the charges say of it, and what an empty account means."""

from __future__ import annotations

import json

import pytest

from providers.mock import Fault
from tests.emulate.vastai.desk import HOUR, START, Desk, step


async def test_loading_bills_the_disk_alone_and_running_the_gpu_too() -> None:
    desk = Desk()
    instance_id = await desk.rent()
    row = await desk.row(instance_id)
    assert row["instance"]["totalHour"] == row["storage_total_cost"]
    desk.now += 60.0
    assert desk.bill(instance_id) == pytest.approx(row["storage_total_cost"] / 60)
    desk.now += HOUR
    running = await desk.row(instance_id)
    assert running["instance"]["totalHour"] == running["dph_total"]
    assert desk.bill(instance_id) == pytest.approx(row["storage_total_cost"] / 60 + row["dph_total"])


async def test_a_stopped_instance_bills_its_disk() -> None:
    desk = Desk()
    instance_id = await desk.stopped()
    before = desk.bill(instance_id)
    desk.now += HOUR
    assert desk.bill(instance_id) - before == pytest.approx((await desk.row(instance_id))["storage_total_cost"])


async def test_an_instance_whose_host_is_offline_bills_nothing() -> None:
    desk = Desk(scenario=step(Fault.HOST_OFFLINE, at=100.0))
    instance_id = await desk.running()
    desk.now += 60.0
    before = desk.bill(instance_id)
    desk.now += 300.0
    assert desk.bill(instance_id) == before


async def test_charges_tell_gpu_and_disk_by_instance_and_label_also_of_what_is_gone() -> None:
    desk = Desk()
    instance_id = await desk.running(label="w1")
    desk.now += HOUR
    row = await desk.row(instance_id)
    await desk.destroy(instance_id)
    desk.now += HOUR
    charged = (await desk.charges(START, desk.now))[f"instance-{instance_id}"]
    assert charged["metadata"] == {"label": "w1"}
    amounts = {item["type"]: item["amount"] for item in charged["items"]}
    assert amounts["gpu"] == pytest.approx(row["dph_base"] * 3601 / 3600, abs=1e-5)
    assert amounts["disk"] == pytest.approx(row["storage_total_cost"] * 3661 / 3600, abs=1e-5)
    assert charged["amount"] == pytest.approx(desk.bill(instance_id), abs=1e-3)


async def test_charges_are_of_the_time_that_was_asked_for() -> None:
    desk = Desk()
    instance_id = await desk.running()
    desk.now += 10 * HOUR
    row = await desk.row(instance_id)
    charged = await desk.charges(START + HOUR, START + 3 * HOUR)
    assert charged[f"instance-{instance_id}"]["amount"] == pytest.approx(2 * row["dph_total"], abs=1e-3)
    assert await desk.charges(START - 5 * HOUR, START) == {}


async def test_charges_come_in_pages() -> None:
    desk = Desk()
    made = [await desk.rent() for _ in range(5)]
    desk.now += HOUR
    found, query = [], {"select_filters": json.dumps({"day": {"gte": START, "lte": desk.now}}), "limit": "2"}
    while True:
        page = (await desk.ask("GET", "/api/v0/charges/", **query)).json()
        assert (page["total"], page["count"]) == (5, len(page["results"]))
        found += [row["source"] for row in page["results"]]
        if page["next_token"] is None:
            break
        query["after_token"] = page["next_token"]
    assert sorted(found) == [f"instance-{instance_id}" for instance_id in made]


@pytest.mark.parametrize("filters", ["{}", '{"day": {"gte": 1}}', '{"day": {"gte": "a", "lte": 2}}'])
async def test_charges_without_a_range_of_days_are_a_400(filters: str) -> None:
    assert (await Desk().ask("GET", "/api/v0/charges/", select_filters=filters)).status == 400


async def test_credit_falls_with_what_is_billed() -> None:
    desk = Desk(balance_usd=10.0)
    instance_id = await desk.running()
    desk.now += HOUR
    user = (await desk.ask("GET", "/api/v0/users/current/")).json()
    assert user["credit"] == pytest.approx(10.0 - desk.bill(instance_id), abs=1e-5)


async def test_on_an_empty_account_all_is_stopped_disks_bill_on_and_nothing_is_made() -> None:
    desk = Desk(balance_usd=1.0)
    instance_id = await desk.running()
    desk.now += 5 * HOUR
    assert (await desk.row(instance_id))["actual_status"] == "exited"
    answer = await desk.create()
    assert (answer.status, answer.json()["error"]) == (400, "insufficient_credit")
    answer = await desk.put(instance_id, state="running")
    assert (answer.status, answer.json()["error"]) == (400, "insufficient_credit")
    assert (await desk.ask("GET", "/api/v0/users/current/")).json()["credit"] < 0


async def test_a_bid_can_be_changed_and_is_what_is_billed_from_then_on() -> None:
    desk = Desk()
    instance_id = await desk.running(price=0.4)
    path = f"/api/v0/instances/bid_price/{instance_id}/"
    assert (await desk.ask("PUT", path, {"client_id": "me", "price": 0.9})).json() == {"success": True}
    before = desk.bill(instance_id)
    desk.now += HOUR
    row = await desk.row(instance_id)
    assert (row["dph_base"], row["min_bid"]) == (pytest.approx(0.9), 0.9)
    assert desk.bill(instance_id) - before == pytest.approx(row["dph_total"])


async def test_a_bid_without_a_price_is_set_by_the_server() -> None:
    desk = Desk()
    instance_id = await desk.running(price=0.9)
    await desk.ask("PUT", f"/api/v0/instances/bid_price/{instance_id}/", {"client_id": "me", "price": None})
    assert (await desk.row(instance_id))["dph_base"] < 0.4


@pytest.mark.parametrize("price", [0, 33, "cheap"])
async def test_a_bid_out_of_range_is_a_400(price: object) -> None:
    desk = Desk()
    instance_id = await desk.rent(price=0.5)
    answer = await desk.ask("PUT", f"/api/v0/instances/bid_price/{instance_id}/", {"client_id": "me", "price": price})
    assert (answer.status, answer.json()["error"]) == (400, "invalid_args")


async def test_there_is_no_bid_on_what_is_rented_on_demand() -> None:
    desk = Desk()
    instance_id = await desk.rent()
    answer = await desk.ask("PUT", f"/api/v0/instances/bid_price/{instance_id}/", {"client_id": "me", "price": 0.5})
    assert answer.status == 400
