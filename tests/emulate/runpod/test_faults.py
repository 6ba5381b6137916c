"""The market's faults in RunPod's HTTP: what the client is told, and what is true."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autoscaler.core.market import Status
from autoscaler.emulate import Dropped
from providers.mock import Fault, Operation, Step
from tests.emulate.runpod.desk import HOUR, ORDER, Desk, detail

NO_INSTANCES = (
    "There are no longer any instances available with the requested specifications. Please refresh and try again."
)
HOST_FULL = "There are not enough free GPUs on the host machine to start this pod."
WENT_WRONG = "Something went wrong. Please try again later or contact support."


def struck(fault: Fault, call: Operation | None = None, **step: Any) -> Desk:
    """A desk at which a fault strikes once."""
    return Desk(scenario=(Step(fault=fault, call=call, **step),))


@pytest.mark.parametrize(
    ("fault", "status", "words", "made"),
    [
        (Fault.OFFER_GONE, 400, NO_INSTANCES, 0),
        (Fault.FUNDS_REFUSED, 402, "insufficient_credit", 0),
        (Fault.AUTH_FAILED, 401, "invalid or missing API key", 0),
        (Fault.UNAVAILABLE, 503, "temporarily unavailable", 0),
        (Fault.RATE_LIMITED, 429, "rate limit exceeded for the minute window", 0),
        (Fault.RATE_LIMITED_SILENT, 429, "too many requests", 0),
        (Fault.ANSWER_LOST, 500, WENT_WRONG, 1),
        (Fault.PARTIAL_LAUNCH, 500, WENT_WRONG, 1),
        (Fault.REFUSED_YET_MADE, 400, WENT_WRONG, 1),
    ],
)
async def test_a_create_that_a_fault_strikes_is_refused_whether_or_not_a_pod_was_made(
    fault: Fault, status: int, words: str, made: int
) -> None:
    desk = struck(fault, Operation.RENT)
    answer = await desk.ask("POST", "/v2/pods", ORDER)
    assert answer.status == status
    assert words in detail(answer)
    assert ("retry-after" in answer.headers) == (fault is Fault.RATE_LIMITED)
    pods = (await desk.get("/v2/pods"))["pods"]
    assert [pod["name"] for pod in pods] == ["w1"] * made
    assert len(desk.market.machines) == made


@pytest.mark.parametrize(("fault", "made"), [(Fault.HANGS, 0), (Fault.ANSWER_HANGS, 1)])
async def test_a_create_may_never_be_answered(fault: Fault, made: int) -> None:
    desk = struck(fault, Operation.RENT)
    asked = asyncio.create_task(desk.ask("POST", "/v2/pods", ORDER))
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251 - lets the task run; no time goes by
    assert not asked.done()
    asked.cancel()
    assert len(desk.market.machines) == made


async def test_a_request_that_is_lost_on_its_way_breaks_the_connection() -> None:
    desk = struck(Fault.REQUEST_LOST, Operation.RENT)
    with pytest.raises(Dropped):
        await desk.ask("POST", "/v2/pods", ORDER)
    assert not desk.market.machines


async def test_a_pod_that_is_listed_late_is_found_by_its_id() -> None:
    desk = struck(Fault.LISTED_LATE)
    await desk.create()
    assert await desk.listed() == []
    assert (await desk.pod("m1"))["name"] == "w1"
    desk.now += 60
    assert await desk.listed() == ["m1"]


async def test_a_pod_that_lingers_is_listed_as_terminated_and_can_no_longer_be_used() -> None:
    desk = struck(Fault.LINGERS)
    await desk.create_running()
    await desk.ask("DELETE", "/v2/pods/m1")
    (pod,) = (await desk.get("/v2/pods"))["pods"]
    assert (pod["status"], pod["actions"], pod["cost"]) == ("TERMINATED", [], 0.0)
    assert (await desk.act("m1", "start")).status == 409
    billed = desk.bill("m1")
    desk.now += HOUR
    assert await desk.listed() == []
    assert desk.bill("m1") == billed


async def test_half_a_listing_says_that_there_is_more() -> None:
    desk = struck(Fault.LISTS_HALF)
    for _ in range(4):
        await desk.create()
    page = await desk.get("/v2/pods")
    assert [pod["id"] for pod in page["pods"]] == ["m4", "m3"]
    rest = await desk.get("/v2/pods", cursor=page["pagination"]["nextCursor"])
    assert [pod["id"] for pod in rest["pods"]] == ["m2", "m1"]


async def test_a_listing_may_fail() -> None:
    assert (await struck(Fault.LISTING_FAILS).ask("GET", "/v2/pods")).status == 503


async def test_the_catalogue_may_find_no_stock() -> None:
    rows = (await struck(Fault.NO_OFFERS).get("/v2/catalog/gpus", include="AVAILABILITY", product="POD"))["gpus"]
    assert {row["availability"] for row in rows} == {"NONE"}


async def test_a_pod_may_cost_more_than_the_catalogue_said() -> None:
    desk = struck(Fault.DEARER)
    price = (await desk.get("/v2/catalog/gpus"))["gpus"][0]["price"]["secure"]
    assert (await desk.create())["cost"] > price * 1.2


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.BOOT_HANGS, "STARTING"), (Fault.CRASH_LOOP, "ERROR"), (Fault.SLOW_PULL, "STARTING")]
)
async def test_a_boot_may_fail_or_never_end_and_is_billed(fault: Fault, status: str) -> None:
    desk = struck(fault)
    await desk.create_running()
    pod = await desk.pod("m1")
    assert (pod["status"], pod["runtime"]) == (status, None)
    assert pod["cost"] > 0.5
    assert desk.bill("m1") > 0.01


async def test_a_start_may_come_back_without_a_gpu() -> None:
    desk = struck(Fault.ZERO_GPU)
    await desk.create_stopped()
    pod = (await desk.act("m1", "start")).json()
    assert pod["gpu"]["count"] == 0
    desk.now += 60
    assert ((await desk.pod("m1"))["status"], desk.machine("m1").gpu_count) == ("RUNNING", 0)


@pytest.mark.parametrize("fault", [Fault.RESUME_REFUSED, Fault.RESUME_NEVER, Fault.RESUME_QUEUED])
async def test_a_start_is_refused_where_the_host_is_full(fault: Fault) -> None:
    desk = struck(fault)
    await desk.create_stopped()
    answer = await desk.act("m1", "start")
    assert (answer.status, detail(answer)) == (400, HOST_FULL)
    assert (await desk.pod("m1"))["status"] == "EXITED"
    desk.now += 2 * HOUR
    later = (await desk.pod("m1"))["status"]
    assert later == ("RUNNING" if fault is Fault.RESUME_QUEUED else "EXITED")


async def test_a_stop_may_be_answered_and_not_done() -> None:
    desk = struck(Fault.STOP_IGNORED)
    await desk.create_running()
    assert (await desk.act("m1", "stop")).status == 200
    desk.now += HOUR
    assert (await desk.pod("m1"))["status"] == "RUNNING"


async def test_a_release_may_be_answered_and_not_done() -> None:
    desk = struck(Fault.RELEASE_IGNORED)
    await desk.create_running()
    assert (await desk.ask("DELETE", "/v2/pods/m1")).status == 204
    assert await desk.listed() == ["m1"]


async def test_a_pod_whose_host_is_away_seems_to_run_without_runtime_and_costs_nothing() -> None:
    desk = struck(Fault.HOST_OFFLINE, at=100.0)
    await desk.create_running()
    desk.now += 60
    pod = await desk.pod("m1")
    assert (pod["status"], pod["runtime"], pod["cost"]) == ("RUNNING", None, 0.0)
    assert desk.machine("m1").status is Status.OFFLINE


async def test_a_pod_may_vanish() -> None:
    desk = struck(Fault.VANISHES, at=100.0)
    await desk.create_running()
    desk.now += 60
    assert await desk.listed() == []
    assert (await desk.ask("GET", "/v2/pods/m1")).status == 404


async def test_an_empty_account_terminates_all_pods() -> None:
    desk = struck(Fault.BALANCE_SPENT, at=100.0)
    await desk.create_running()
    await desk.create_stopped()
    desk.now += 100
    assert await desk.listed() == []
    assert (await desk.ask("POST", "/v2/pods", ORDER)).status == 402
