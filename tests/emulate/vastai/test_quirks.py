"""One test for each quirk: what it does, and what is true meanwhile."""

from __future__ import annotations

import sys

import pytest

from autoscaler.core.market import Status
from autoscaler.core.units import DurationRange
from autoscaler.emulate.vastai import Quirk
from providers.mock import Fault, Operation
from tests.emulate.vastai.desk import GPU, HOUR, ORDER, START, Desk, step


def test_every_quirk_has_a_test_of_its_name() -> None:
    tests = dir(sys.modules[__name__])
    assert [quirk for quirk in Quirk if not any(name.startswith(f"test_{quirk}_") for name in tests)] == []


async def test_ignores_bounds_but_not_the_gpus_name() -> None:
    offers = await Desk(Quirk.IGNORES_BOUNDS).offers(gpu_name={"eq": GPU}, dph_total={"lte": 0.01}, num_gpus={"eq": 8})
    assert len(offers) == 6


async def test_search_quota_spent_tells_when_the_day_ends() -> None:
    answer = await Desk(Quirk.SEARCH_QUOTA_SPENT).ask("POST", "/api/v0/bundles/", {})
    assert (answer.status, answer.json()["error"]) == (429, "search_quota_exceeded")
    reset = int(answer.headers["x-ratelimit-reset"])
    assert reset % 86400 == 0
    assert START < reset <= START + 86400


async def test_ask_gone_is_400_and_names_no_such_ask() -> None:
    answer = await Desk(Quirk.ASK_GONE_IS_400, scenario=step(Fault.OFFER_GONE)).create()
    assert (answer.status, answer.json()["error"], "no_such_ask" in answer.text) == (400, "invalid_args", True)


async def test_create_says_failed_and_yet_an_instance_runs() -> None:
    desk = Desk(Quirk.CREATE_SAYS_FAILED)
    answer = await desk.create()
    assert (answer.status, answer.json()["success"]) == (200, False)
    assert desk.machine(answer.json()["new_contract"]).on_gpu


async def test_create_has_no_id_and_yet_an_instance_runs() -> None:
    desk = Desk(Quirk.CREATE_HAS_NO_ID)
    answer = await desk.create()
    assert (answer.status, "new_contract" in answer.json()) == (200, False)
    assert len(desk.market.machines) == 1


async def test_wrong_machine_is_seen_in_the_listing_alone() -> None:
    desk = Desk(Quirk.WRONG_MACHINE)
    (offer, *_) = await desk.offers(gpu_name={"eq": GPU})
    row = await desk.row(await desk.rent())
    assert row["machine_id"] != offer["machine_id"]


async def test_gone_is_404_for_reads() -> None:
    answer = await Desk(Quirk.GONE_IS_404).ask("GET", "/api/v0/instances/5/")
    assert (answer.status, answer.json()["error"]) == (404, "no_such_instance")


async def test_start_looks_queued_for_half_a_minute_and_is_under_way() -> None:
    desk = Desk(Quirk.START_LOOKS_QUEUED, resume=DurationRange(60.0, 60.0))
    instance_id = await desk.stopped()
    await desk.put(instance_id, state="running")
    row = await desk.row(instance_id)
    assert (row["actual_status"], row["intended_status"], row["cur_state"]) == ("exited", "running", "stopped")
    desk.now += 30
    row = await desk.row(instance_id)
    assert (row["actual_status"], row["cur_state"]) == ("loading", "running")


async def test_exited_lingers_until_a_started_instance_runs() -> None:
    desk = Desk(Quirk.EXITED_LINGERS)
    instance_id = await desk.stopped()
    await desk.put(instance_id, state="running")
    row = await desk.row(instance_id)
    assert (row["actual_status"], row["intended_status"], row["cur_state"]) == ("exited", "running", "running")
    desk.now += 31.0
    assert (await desk.row(instance_id))["actual_status"] == "running"


async def test_frozen_instances_bill_their_gpu() -> None:
    desk = Desk(Quirk.FROZEN)
    instance_id = await desk.running()
    row = await desk.row(instance_id)
    assert row["actual_status"] == "frozen"
    assert row["instance"]["totalHour"] == row["dph_total"]


async def shown_running(quirk: Quirk) -> str:
    """The status of an instance that truly runs."""
    desk = Desk(quirk)
    instance_id = await desk.running()
    row = await desk.row(instance_id)
    assert (row["cur_state"], "ports" in row) == ("running", False)
    assert desk.machine(instance_id).status is Status.RUNNING
    return str(row["actual_status"])


async def test_status_unknown_while_the_host_sends_no_heartbeat() -> None:
    assert await shown_running(Quirk.STATUS_UNKNOWN) == "unknown"


async def test_status_new_to_every_document() -> None:
    assert await shown_running(Quirk.STATUS_NEW) == "hibernating"


async def test_container_exited_while_its_contract_runs() -> None:
    assert await shown_running(Quirk.CONTAINER_EXITED) == "exited"


async def test_outbid_still_intended_looks_like_a_queued_start() -> None:
    desk = Desk(Quirk.OUTBID_STILL_INTENDED, scenario=step(Fault.OUTBID, at=100.0), outbid_returns=0.0)
    instance_id = await desk.rent(price=0.5)
    desk.now += 120.0
    row = await desk.row(instance_id)
    assert (row["actual_status"], row["intended_status"], row["cur_state"]) == ("exited", "running", "stopped")


async def test_padded_address_has_to_be_stripped() -> None:
    desk = Desk(Quirk.PADDED_ADDRESS)
    address = (await desk.row(await desk.running()))["public_ipaddr"]
    assert address != address.strip()


async def test_rows_without_id_are_in_the_listing() -> None:
    desk = Desk(Quirk.ROWS_WITHOUT_ID)
    await desk.rent()
    (row,) = (await desk.page()).json()["instances"]
    assert "id" not in row


async def test_nulls_are_where_they_may_be() -> None:
    desk = Desk(Quirk.NULLS)
    row = await desk.row(await desk.rent())
    assert [row[name] for name in ("cpu_cores", "geolocation", "status_msg")] == [None] * 3


async def test_short_contracts_end_for_good_when_their_offer_said() -> None:
    desk = Desk(Quirk.SHORT_CONTRACTS)
    (offer, *_) = await desk.offers(duration={"lte": 2 * HOUR})
    assert offer["end_date"] == desk.now + HOUR
    answer = await desk.ask("PUT", f"/api/v0/asks/{offer['id']}/", {"image": "i"})
    instance_id = answer.json()["new_contract"]
    desk.now += 1800.0
    assert (await desk.row(instance_id))["end_date"] == offer["end_date"]
    desk.now += 1801.0
    assert (await desk.row(instance_id))["cur_state"] == "stopped"
    answer = await desk.put(instance_id, state="running")
    assert (answer.status, answer.json()["success"]) == (200, False)
    desk.now += HOUR
    assert desk.machine(instance_id).status is Status.STOPPED


async def test_short_contracts_bill_the_gpu_up_to_their_end_whenever_one_looks() -> None:
    desk = Desk(Quirk.SHORT_CONTRACTS)
    (offer, *_) = await desk.offers(duration={"lte": 2 * HOUR})
    answer = await desk.ask("PUT", f"/api/v0/asks/{offer['id']}/", ORDER)
    desk.now += 10 * HOUR
    await desk.page()
    billed = offer["dph_base"] * (HOUR - 60.0) / HOUR + 10 * offer["storage_total_cost"]
    assert desk.bill(answer.json()["new_contract"]) == pytest.approx(billed)


async def test_price_increase_pending_is_raised_by_accepting_alone() -> None:
    desk = Desk(Quirk.PRICE_INCREASE_PENDING)
    accepted, rejected = await desk.rent(), await desk.rent()
    before = (await desk.row(accepted))["dph_base"]
    path = "/api/v0/instances/{}-price-increase/"
    asked = await desk.ask("GET", "/api/v0/instances/pending-price-increases/")
    rows = {row["contract_id"]: row for row in asked.json()["pending_price_increases"]}
    assert set(rows) == {accepted, rejected}
    assert rows[accepted]["old_gpu_costpersec"] == pytest.approx(before / 3600)
    assert rows[accepted]["new_gpu_costpersec"] == pytest.approx(1.1 * before / 3600)
    for word, instance_id in (("accept", accepted), ("reject", rejected)):
        body = {"pending_price_increase_id": rows[instance_id]["pending_price_increase_id"]}
        assert (await desk.ask("PUT", path.format(word), {**body, "force": True})).status == 400
        assert (await desk.ask("PUT", path.format(word), body)).json() == {"success": True}
        stale = await desk.ask("PUT", path.format(word), body)
        assert (stale.status, stale.json()["error"]) == (404, "no_pending_price_increase")
    assert (await desk.row(accepted))["dph_base"] == pytest.approx(1.1 * before)
    assert (await desk.row(rejected))["dph_base"] == pytest.approx(before)


async def test_minimum_intervals_refuse_the_second_of_two_quick_requests() -> None:
    desk = Desk(Quirk.MINIMUM_INTERVALS)
    assert (await desk.page()).status == 200
    desk.now += 0.9
    refused = await desk.page()
    assert (refused.status, refused.text) == (429, "API requests too frequent: endpoint threshold=1.0")
    desk.now += 0.2
    assert (await desk.page()).status == 200
    assert (await desk.page()).status == 429
    assert (await desk.ask("GET", "/api/v0/instances/5/")).status == 200  # another endpoint


async def test_minimum_intervals_allow_ten_searches_a_minute() -> None:
    desk = Desk(Quirk.MINIMUM_INTERVALS)
    statuses = [(await desk.ask("POST", "/api/v0/bundles/", {})).status for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    desk.now += 60.0
    assert (await desk.ask("POST", "/api/v0/bundles/", {})).status == 200


async def test_retry_after_in_body_and_not_in_a_header() -> None:
    answer = await Desk(Quirk.RETRY_AFTER_IN_BODY, scenario=step(Fault.RATE_LIMITED, call=Operation.LIST)).page()
    assert (answer.status, answer.json()["retry_after"], "retry-after" in answer.headers) == (429, 30, False)


async def test_gateway_times_out_after_the_instance_was_made() -> None:
    desk = Desk(Quirk.GATEWAY_TIMES_OUT, scenario=step(Fault.ANSWER_LOST, call=Operation.RENT))
    answer = await desk.create()
    assert (answer.status, answer.headers["content-type"]) == (504, "text/html")
    assert len(desk.market.machines) == 1


async def test_not_json_is_a_web_page_under_200() -> None:
    answer = await Desk(Quirk.NOT_JSON).page()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html")


async def test_oversized_is_beyond_what_anybody_should_read() -> None:
    assert len((await Desk(Quirk.OVERSIZED).page()).body) > 8_000_000
