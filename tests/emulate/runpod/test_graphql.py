"""GraphQL: what REST v2 lacks, and how it refuses."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from autoscaler.core.errors import SettingsError
from autoscaler.core.market import Status
from providers.mock import Fault, Operation, Step
from tests.emulate.runpod.desk import GPU, HOUR, ORDER, START, Desk

SPOT = """mutation ($input: PodRentInterruptableInput!) {
  podRentInterruptable(input: $input) { id costPerHr env machineId desiredStatus podType machine { podHostId } }
}"""
ON_DEMAND = """mutation ($input: PodFindAndDeployOnDemandInput!) {
  podFindAndDeployOnDemand(input: $input) { id costPerHr desiredStatus }
}"""
POD = """query ($input: PodFilter!) {
  pod(input: $input) { id desiredStatus lastStatusChange uptimeSeconds costPerHr runtime { uptimeInSeconds } }
}"""
RENT = {"name": "w1", "imageName": "img", "gpuTypeId": GPU, "containerDiskInGb": 72, "volumeInGb": 72}


def message(answer: dict[str, Any]) -> str:
    (error,) = answer["errors"]
    return str(error["message"])


async def pod(desk: Desk) -> Any:
    return (await desk.graph(POD, input={"podId": "m1"}))["data"]["pod"]


async def test_a_spot_pod_is_billed_at_its_bid_and_its_disks() -> None:
    desk = Desk()
    answer = await desk.graph(SPOT, input={**RENT, "bidPerGpu": 0.50, "env": [{"key": "A", "value": 'b "c"'}]})
    made = answer["data"]["podRentInterruptable"]
    assert (made["id"], made["costPerHr"], made["env"]) == ("m1", 0.5, ['A=b "c"'])
    assert made["podType"] == "INTERRUPTABLE"
    desk.now += 2 * HOUR
    assert desk.bill("m1") == pytest.approx(2 * (0.50 + 0.02))
    assert (await desk.pod("m1"))["cost"] == 0.5


async def test_a_bid_below_the_price_finds_no_instance_in_the_words_of_spot() -> None:
    answer = await Desk().graph(SPOT, input={**RENT, "bidPerGpu": 0.01})
    assert answer["data"] == {"podRentInterruptable": None}
    assert message(answer) == (
        "There are no longer any instances available with the request specifications. Please try again later."
    )


async def test_an_outbid_pod_says_so_and_is_started_again_by_a_bid_that_wins() -> None:
    desk = Desk(scenario=(Step(fault=Fault.OUTBID, at=100.0),), outbid_returns=0.0)
    await desk.graph(SPOT, input={**RENT, "bidPerGpu": 0.40})
    desk.now += 110
    shown = await pod(desk)
    assert shown["desiredStatus"] == "EXITED"
    assert str(shown["lastStatusChange"]).startswith("Outbid: ")
    resume = "mutation ($input: PodBidResumeInput!) { podBidResume(input: $input) { id desiredStatus costPerHr } }"
    low, full = [
        await desk.graph(resume, input={"podId": "m1", "gpuCount": 1, "bidPerGpu": bid}) for bid in (0.01, 0.60)
    ]
    assert message(low).endswith("Please try again later.")
    assert message(full) == "There are not enough free GPUs on the host machine to start this pod."
    desk.now += HOUR
    won = await desk.graph(resume, input={"podId": "m1", "gpuCount": 1, "bidPerGpu": 0.60})
    assert won["data"]["podBidResume"] == {"id": "m1", "desiredStatus": "RUNNING", "costPerHr": 0.6}


async def test_a_pod_ends_at_the_moments_that_were_ordered_with_it_though_nobody_asks_again() -> None:
    desk = Desk()
    ends = {"stopAfter": "2027-01-15T09:00:00Z", "terminateAfter": "2027-01-15T11:00:00+00:00"}
    made = await desk.graph(ON_DEMAND, input={**RENT, **ends})
    price = made["data"]["podFindAndDeployOnDemand"]["costPerHr"]
    desk.now = START + 90 * 60
    assert desk.machine("m1").status is Status.STOPPED
    assert str((await pod(desk))["lastStatusChange"]).startswith("Exited by Runpod: ")
    desk.now = START + 100 * HOUR
    assert not desk.market.machines
    # Started at 08:00: an hour running with 144 GB at 0.10, two hours stopped with 72 GB at 0.20.
    assert desk.bill("m1") == pytest.approx(price + 0.02 + 2 * 0.02)


async def test_a_stop_that_was_ordered_strikes_also_after_a_start() -> None:
    desk = Desk()
    await desk.graph(ON_DEMAND, input={**RENT, "stopAfter": "2027-01-15T09:00:00Z"})
    desk.now += 60
    await desk.act("m1", "stop")
    desk.now += 60
    await desk.act("m1", "start")
    desk.now = START + HOUR + 1
    assert desk.machine("m1").status is Status.STOPPED


async def test_a_stop_that_was_ordered_strikes_also_while_the_host_is_away() -> None:
    desk = Desk(scenario=(Step(fault=Fault.HOST_OFFLINE, at=3500.0),))  # for ten minutes
    await desk.graph(ON_DEMAND, input={**RENT, "stopAfter": "2027-01-15T09:00:00Z"})
    desk.now = START + 3550
    assert (await pod(desk))["desiredStatus"] == "RUNNING"
    desk.now = START + 2 * HOUR
    assert desk.machine("m1").status is Status.STOPPED


async def test_what_is_wanted_of_a_pod_is_told_from_the_rent_on_and_not_what_it_does() -> None:
    desk = Desk(scenario=(Step(fault=Fault.CRASH_LOOP),))
    await desk.graph(ON_DEMAND, input=RENT)
    assert ((await pod(desk))["desiredStatus"], (await pod(desk))["runtime"]) == ("RUNNING", None)
    desk.now += 60
    assert ((await pod(desk))["desiredStatus"], (await pod(desk))["runtime"]) == ("RUNNING", None)
    assert desk.machine("m1").status is Status.FAILED
    await desk.graph('mutation { podStop(input: {podId: "m1"}) { id } }')
    assert (await pod(desk))["desiredStatus"] == "EXITED"
    assert str((await pod(desk))["lastStatusChange"]).startswith("Exited by user: ")


async def test_a_terminated_pod_that_is_still_shown_says_exited() -> None:
    desk = Desk(scenario=(Step(fault=Fault.LINGERS),))
    await desk.create_running()
    assert (await desk.graph('mutation { podTerminate(input: {podId: "m1"}) }'))["data"] == {"podTerminate": None}
    shown = await pod(desk)
    assert shown["desiredStatus"] == "EXITED"
    assert str(shown["lastStatusChange"]).startswith("Terminated by user: ")


async def test_the_balance_falls_by_what_pods_cost_and_the_spend_is_what_they_cost_now() -> None:
    desk = Desk()
    await desk.create_running()
    (account,) = [(await desk.graph("{ myself { clientBalance currentSpendPerHr pods { id } } }"))["data"]["myself"]]
    assert account["clientBalance"] == pytest.approx(100.0 - desk.bill("m1"))
    assert account["currentSpendPerHr"] == desk.machine("m1").burn_usd_per_hour
    assert account["pods"] == [{"id": "m1"}]


async def test_an_account_that_never_runs_out_shows_a_balance_too() -> None:
    account = (await Desk(balance_usd=None).graph("{ myself { clientBalance } }"))["data"]["myself"]
    assert account["clientBalance"] == 1_000_000.0


async def test_gpu_types_need_no_key_and_all_else_does() -> None:
    desk = Desk()
    query = "{ gpuTypes { id lowestPrice(input: {gpuCount: 1, secureCloud: false}) { stockStatus minimumBidPrice } } }"
    first, second = (await desk.graph(query, key=""))["data"]["gpuTypes"]
    assert first["lowestPrice"] == {"stockStatus": None, "minimumBidPrice": None}
    assert second["lowestPrice"]["stockStatus"] == "Low"
    assert (await desk.ask("POST", "/graphql", {"query": "{ myself { id } }"}, key="")).status == 401
    answer = await desk.ask("POST", "/graphql", {"query": "{ myself { id } }"}, key="", api_key="rpa_t")
    assert answer.status == 200


async def test_a_pods_own_key_stops_that_pod_and_no_other() -> None:
    desk = Desk()
    await desk.create()
    await desk.create()
    key = desk.machine("m1").env["RUNPOD_API_KEY"]
    stop = "mutation ($id: String!) { podStop(input: {podId: $id}) { id } }"
    assert "does not grant access" in message(await desk.graph(stop, key=key, id="m2"))
    assert "does not grant access" in message(await desk.graph("{ myself { id } }", key=key))
    assert (await desk.graph(stop, key=key, id="m1"))["data"] == {"podStop": {"id": "m1"}}
    desk.now += 60
    assert [machine.status for machine in desk.market.machines.values()] == [Status.STOPPED, Status.RUNNING]


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.RATE_LIMITED, 429), (Fault.AUTH_FAILED, 401), (Fault.UNAVAILABLE, 503)]
)
async def test_a_refusal_of_the_line_is_an_http_status(fault: Fault, status: int) -> None:
    desk = Desk(scenario=(Step(fault=fault, call=Operation.BALANCE),))
    assert (await desk.ask("POST", "/graphql", {"query": "{ myself { clientBalance } }"})).status == status


async def test_a_rent_whose_answer_is_lost_is_an_internal_error_and_a_pod() -> None:
    desk = Desk(scenario=(Step(fault=Fault.ANSWER_LOST, call=Operation.RENT),))
    answer = await desk.graph(ON_DEMAND, input=RENT)
    assert message(answer) == "Something went wrong. Please try again later or contact support."
    assert answer["errors"][0]["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}
    assert list(desk.market.machines) == ["m1"]


@pytest.mark.parametrize("place", [{"dataCenterId": "US-KS-2"}, {"countryCode": "US"}])
async def test_a_place_that_is_asked_for_is_kept_to(place: dict[str, str]) -> None:
    desk = Desk()
    for _ in range(4):
        assert "errors" not in await desk.graph(ON_DEMAND, input={**RENT, **place})
    assert {machine.region for machine in desk.market.machines.values()} == {"US-KS-2"}
    assert "no longer any instances" in message(await desk.graph(ON_DEMAND, input={**RENT, **place}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"networkVolumeId": "nv1"}, "network volume nv1 not found"),
        ({"templateId": "t"}, "template not found"),
        ({"ports": "22/tcp, all"}, "invalid port all"),
        ({"volumeInGb": -1}, "invalid disk size"),
        ({"gpuCount": 2}, "no longer any instances"),
        ({"terminateAfter": "soon"}, "terminateAfter: expected a time"),
    ],
)
async def test_a_rent_that_cannot_be_is_refused_in_words_under_200(change: dict[str, object], words: str) -> None:
    desk = Desk()
    assert words in message(await desk.graph(ON_DEMAND, input={**RENT, **change}))
    assert not desk.market.machines


@pytest.mark.parametrize("body", [None, [], {"query": 1}, {"query": "{ x }", "variables": []}])
async def test_a_body_that_is_no_query_is_a_400(body: object) -> None:
    assert (await Desk().ask("POST", "/graphql", body)).status == 400


def test_without_graphql_core_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("emulator", "graph"):
        monkeypatch.delitem(sys.modules, f"autoscaler.emulate.runpod.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "graphql", None)
    with pytest.raises(SettingsError, match=r"pip install 'gpu-autoscaler\[emulate\]'"):
        Desk()


async def test_both_apis_speak_of_the_same_pods() -> None:
    desk = Desk()
    await desk.graph(ON_DEMAND, input=RENT)
    await desk.ask("POST", "/v2/pods", ORDER)
    assert await desk.listed() == ["m2", "m1"]
    assert (await desk.graph("{ myself { pods { id } } }"))["data"]["myself"]["pods"] == [{"id": "m2"}, {"id": "m1"}]
