"""Each quirk of RunPod's own: without the switch it is not there, with it it is."""

from __future__ import annotations

import pytest

from autoscaler.core.market import Status
from autoscaler.emulate.runpod import Quirk
from providers.mock import Fault, Operation, Step
from tests.emulate.runpod.desk import HOUR, Desk

HOST_FULL = "There are not enough free GPUs on the host machine to start this pod."
RENT_SPOT = """mutation { podRentInterruptable(
  input: {name: "a", imageName: "b", gpuTypeId: "NVIDIA GeForce RTX 4090", bidPerGpu: 0.5}
) { id } }"""
RUNTIME = '{ pod(input: {podId: "m1"}) { desiredStatus runtime { uptimeInSeconds } } }'


async def test_no_pagination() -> None:
    for quirks in ((), (Quirk.NO_PAGINATION,)):
        desk = Desk(*quirks)
        for _ in range(3):
            await desk.create()
        listing = await desk.get("/v2/pods", limit="1")
        assert ("pagination" in listing, len(listing["pods"])) == ((False, 3) if quirks else (True, 1))


async def test_short_pages() -> None:
    desk = Desk(Quirk.SHORT_PAGES)
    for _ in range(3):
        await desk.create()
    page = await desk.get("/v2/pods", limit="1000")
    assert ([pod["id"] for pod in page["pods"]], page["pagination"]["hasNextPage"]) == (["m3", "m2"], True)
    rest = await desk.get("/v2/pods", limit="1000", cursor=page["pagination"]["nextCursor"])
    assert [pod["id"] for pod in rest["pods"]] == ["m1"]


async def test_never_lists() -> None:
    desk = Desk(Quirk.NEVER_LISTS)
    ghost = await desk.create()
    assert ghost["status"] == "PROVISIONING"
    real = await desk.create()
    desk.now += HOUR
    assert await desk.listed() == [real["id"]]
    assert (await desk.ask("GET", f"/v2/pods/{ghost['id']}")).status == 404
    assert ghost["id"] not in desk.market.billed_usd(desk.now)


async def test_no_rate_limit_headers() -> None:
    assert "ratelimit" in (await Desk().ask("GET", "/v2/pods")).headers
    headers = (await Desk(Quirk.NO_RATE_LIMIT_HEADERS).ask("GET", "/v2/pods")).headers
    assert not {"ratelimit", "ratelimit-policy"} & set(headers)


@pytest.mark.parametrize(
    ("fault", "status", "html"),
    [(Fault.RATE_LIMITED, 429, True), (Fault.ANSWER_LOST, 500, True), (Fault.OFFER_GONE, 400, False)],
)
async def test_html_errors(fault: Fault, status: int, html: bool) -> None:
    desk = Desk(Quirk.HTML_ERRORS, scenario=(Step(fault=fault, call=Operation.RENT),))
    answer = await desk.ask("POST", "/v2/pods", {"name": "a", "image": "b", "disk": 1, "gpu": {"id": RTX}})
    assert (answer.status, answer.headers["content-type"] == "text/html") == (status, html)
    assert "retry-after" not in answer.headers


RTX = "NVIDIA GeForce RTX 4090"


async def test_host_full_500() -> None:
    desk = Desk(Quirk.HOST_FULL_500, scenario=(Step(fault=Fault.RESUME_REFUSED),))
    await desk.create_stopped()
    answer = await desk.act("m1", "start")
    assert answer.status == 500
    assert answer.json() == {"error": f"start pod: {HOST_FULL}", "status": 500}


async def test_example_shapes() -> None:
    pod = await Desk(Quirk.EXAMPLE_SHAPES).create()
    assert (pod["status"], pod["actions"], pod["runtime"]) == ("PROVISIONING", ["start", "terminate"], {})
    assert pod["template"]
    pod = await Desk().create()
    assert (pod["actions"], pod["runtime"], pod["template"]) == (["stop", "terminate"], None, None)


async def test_unsold_prices() -> None:
    for quirks, priced in (((), False), ((Quirk.UNSOLD_PRICES,), True)):
        gpu = (await Desk(*quirks).get("/v2/catalog/gpus"))["gpus"][0]
        assert not gpu["community"]
        assert (gpu["price"]["community"] > 0) is priced


async def test_exits_at_once() -> None:
    desk = Desk(Quirk.EXITS_AT_ONCE)
    await desk.create()
    desk.now += 3
    assert (await desk.pod("m1"))["status"] == "PROVISIONING"
    desk.now += 2
    assert (await desk.pod("m1"))["status"] == "EXITED"
    desk.now += HOUR
    assert desk.bill("m1") == pytest.approx(4 * desk.machine("m1").usd_per_hour / HOUR)


async def test_exits_later() -> None:
    desk = Desk(Quirk.EXITS_LATER)
    await desk.create_running()
    assert (await desk.pod("m1"))["status"] == "RUNNING"
    desk.now += HOUR
    assert (await desk.pod("m1"))["status"] == "EXITED"
    assert desk.bill("m1") == pytest.approx(600 * desk.machine("m1").usd_per_hour / HOUR)
    change = (await desk.graph('{ pod(input: {podId: "m1"}) { lastStatusChange } }'))["data"]["pod"]
    assert change["lastStatusChange"].startswith("Exited by Runpod: ")
    await desk.act("m1", "start")
    desk.now += HOUR
    assert (await desk.pod("m1"))["status"] == "RUNNING"


async def test_broke_stops() -> None:
    desk = Desk(Quirk.BROKE_STOPS, scenario=(Step(fault=Fault.BALANCE_SPENT, at=100.0),))
    await desk.create_running()
    desk.now += 100
    assert (await desk.pod("m1"))["status"] == "EXITED"
    assert (await desk.act("m1", "start")).status == 402


async def test_graphql_gone() -> None:
    desk = Desk(Quirk.GRAPHQL_GONE)
    answer = await desk.ask("POST", "/graphql", {"query": "{ myself { id } }"})
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html")
    await desk.create()


async def test_spot_gone() -> None:
    assert "errors" not in await Desk().graph(RENT_SPOT)
    desk = Desk(Quirk.SPOT_GONE)
    message = (await desk.graph(RENT_SPOT))["errors"][0]["message"]
    assert message.startswith('Cannot query field "podRentInterruptable" on type "Mutation".')
    assert "errors" not in await desk.graph("{ myself { clientBalance } }")


async def test_balance_gone() -> None:
    desk = Desk(Quirk.BALANCE_GONE)
    message = (await desk.graph("{ myself { clientBalance } }"))["errors"][0]["message"]
    assert message.startswith('Cannot query field "clientBalance" on type "User".')
    assert "errors" not in await desk.graph(RENT_SPOT)


async def test_no_runtime() -> None:
    for quirks in ((), (Quirk.NO_RUNTIME,)):
        desk = Desk(*quirks)
        await desk.create_running()
        pod = (await desk.graph(RUNTIME))["data"]["pod"]
        assert (pod["runtime"] is None) is bool(quirks)
        assert desk.machine("m1").status is Status.RUNNING


async def test_stale_runtime() -> None:
    desk = Desk(Quirk.STALE_RUNTIME)
    await desk.create_stopped()
    first = (await desk.graph(RUNTIME))["data"]["pod"]
    desk.now += 60
    second = (await desk.graph(RUNTIME))["data"]["pod"]
    assert first["desiredStatus"] == second["desiredStatus"] == "EXITED"
    assert second["runtime"]["uptimeInSeconds"] == first["runtime"]["uptimeInSeconds"] + 60
    desk.now += HOUR
    assert (await desk.graph(RUNTIME))["data"]["pod"]["runtime"] is None


def test_every_quirk_has_a_test_of_its_name() -> None:
    assert [quirk for quirk in Quirk if f"test_{quirk}" not in globals()] == []
