"""The market's faults in Vast.ai's HTTP, and what truly happened."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autoscaler.core.market import Status
from autoscaler.emulate import Dropped
from providers.mock import Fault, Operation
from tests.emulate.vastai.desk import Desk, step


async def test_a_429_may_say_when_to_come_back() -> None:
    answer = await Desk(scenario=step(Fault.RATE_LIMITED, call=Operation.RENT)).create()
    assert (answer.status, answer.headers["retry-after"]) == (429, "30")


async def test_a_429_may_be_plain_text_without_a_word_on_when_to_come_back() -> None:
    answer = await Desk(scenario=step(Fault.RATE_LIMITED_SILENT, call=Operation.LIST)).page()
    assert (answer.status, answer.headers["content-type"]) == (429, "text/plain")
    assert answer.text.startswith("API requests too frequent")
    assert "retry-after" not in answer.headers


async def test_a_bad_key_is_401_and_404_in_the_search() -> None:
    desk = Desk(faults={Fault.AUTH_FAILED: 1.0})
    assert (await desk.page()).status == 401
    assert (await desk.ask("POST", "/api/v0/bundles/", {})).status == 404


async def test_maintenance_is_a_503_with_a_web_page() -> None:
    answer = await Desk(scenario=step(Fault.UNAVAILABLE, call=Operation.RENT)).create()
    assert (answer.status, answer.headers["content-type"]) == (503, "text/html")


@pytest.mark.parametrize(("fault", "made"), [(Fault.REQUEST_LOST, 0), (Fault.ANSWER_LOST, 1)])
async def test_a_create_whose_connection_breaks_may_or_may_not_have_made_an_instance(fault: Fault, made: int) -> None:
    desk = Desk(scenario=step(fault, call=Operation.RENT))
    with pytest.raises(Dropped):
        await desk.create()
    assert len(desk.market.machines) == made


@pytest.mark.parametrize(("fault", "made"), [(Fault.HANGS, 0), (Fault.ANSWER_HANGS, 1)])
async def test_a_create_that_is_never_answered_may_or_may_not_have_made_an_instance(fault: Fault, made: int) -> None:
    desk = Desk(scenario=step(fault, call=Operation.RENT))
    asking = asyncio.ensure_future(desk.create())
    for _ in range(20):
        await asyncio.get_running_loop().run_in_executor(None, int)
    assert not asking.done()
    assert len(desk.market.machines) == made
    asking.cancel()


@pytest.mark.parametrize(
    ("fault", "word"), [(Fault.FUNDS_REFUSED, "spend_rate_limit"), (Fault.BALANCE_SPENT, "insufficient_credit")]
)
async def test_money_refuses_a_create_with_a_word_of_its_own(fault: Fault, word: str) -> None:
    answer = await Desk(scenario=step(fault)).create()
    assert (answer.status, answer.json()["error"]) == (400, word)


async def test_an_error_may_name_an_instance_that_was_made_and_bills_its_disk() -> None:
    desk = Desk(scenario=step(Fault.PARTIAL_LAUNCH))
    answer = await desk.create()
    assert answer.status == 400
    assert desk.machine(answer.json()["new_contract"]).status is Status.STOPPED


async def test_a_400_without_a_body_may_have_made_an_instance_that_runs() -> None:
    desk = Desk(scenario=step(Fault.REFUSED_YET_MADE))
    answer = await desk.create()
    assert (answer.status, answer.body) == (400, b"")
    (made,) = desk.market.machines.values()
    assert made.on_gpu


async def test_a_bid_may_be_made_on_demand_and_only_the_listing_tells() -> None:
    desk = Desk(scenario=step(Fault.DEARER))
    answer = await desk.create(price=0.4)
    assert set(answer.json()) == {"success", "new_contract", "instance_api_key"}
    row = await desk.row(answer.json()["new_contract"])
    assert (row["is_bid"], row["dph_base"] > 0.5) == (False, True)


async def test_on_demand_may_cost_more_than_was_offered_and_only_the_listing_tells() -> None:
    desk = Desk(scenario=step(Fault.DEARER))
    (offer, *_) = await desk.offers(gpu_name={"eq": "RTX 4090"})
    assert (await desk.row(await desk.rent()))["dph_total"] == pytest.approx(1.25 * offer["dph_total"])


@pytest.mark.parametrize("fault", [Fault.RESUME_REFUSED, Fault.RESUME_QUEUED, Fault.RESUME_NEVER])
async def test_a_refused_start_is_a_pending_order_under_200(fault: Fault) -> None:
    desk = Desk(scenario=step(fault))
    instance_id = await desk.stopped()
    answer = await desk.put(instance_id, state="running")
    assert (answer.status, answer.json()["success"]) == (200, False)
    assert desk.machine(instance_id).status is Status.QUEUED


async def test_a_stop_may_be_ignored_under_200() -> None:
    desk = Desk(scenario=step(Fault.STOP_IGNORED))
    instance_id = await desk.running()
    answer = await desk.put(instance_id, state="stopped")
    assert (answer.status, answer.json()["success"]) == (200, False)
    desk.now += 3600.0
    assert desk.machine(instance_id).bills_gpu


async def test_a_destroy_may_be_ignored_under_200() -> None:
    desk = Desk(scenario=step(Fault.RELEASE_IGNORED))
    instance_id = await desk.running()
    answer = await desk.destroy(instance_id)
    assert (answer.status, answer.json()["success"]) == (200, False)
    assert desk.machine(instance_id).bills_gpu


async def test_an_instance_may_vanish_unasked() -> None:
    desk = Desk(scenario=step(Fault.VANISHES, at=100.0))
    instance_id = await desk.running()
    desk.now += 60.0
    assert await desk.row(instance_id) is None
    assert await desk.listed() == []


async def test_nobody_is_let_in_without_a_key_but_to_the_search() -> None:
    desk = Desk()
    assert (await desk.ask("POST", "/api/v0/bundles/", {}, key="")).status == 200
    answer = await desk.ask("GET", "/api/v1/instances/", key="")
    assert (answer.status, answer.json()["error"]) == (401, "auth_error")


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/api/v0/teapots/", 404, "unknown_path"),
        ("POST", "/api/v0/asks/5/", 405, "method_not_allowed"),
        ("POST", "/api/v0/endptjobs/", 501, "not_emulated"),
        ("PUT", "/api/v0/instances/request_logs/5/", 404, "no_such_instance"),
    ],
)
async def test_what_is_not_there_says_so(method: str, path: str, status: int, error: str) -> None:
    answer = await Desk().ask(method, path, {})
    assert (answer.status, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"'])
async def test_a_body_that_is_no_object_is_a_400(body: bytes) -> None:
    from providers.http import Request

    request = Request(method="POST", path="/api/v0/bundles/", body=body, headers={"authorization": "Bearer k"})
    assert (await Desk().emulator.handle(request)).status == 400


async def test_every_answer_in_json_has_the_bare_content_type_that_the_client_insists_on() -> None:
    desk = Desk()
    answers: list[Any] = [await desk.create(), await desk.page(), await desk.ask("POST", "/api/v0/bundles/", {})]
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
