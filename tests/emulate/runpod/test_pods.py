"""REST v2 by its rules: what is refused, how pods live, who may do what, and how often."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.market import Status
from providers.mock import Stock
from tests.emulate.runpod.desk import GPU, HOUR, ORDER, Desk, detail

NO_INSTANCES = (
    "There are no longer any instances available with the requested specifications. Please refresh and try again."
)
PERSISTENT = {"persistent": {"size": 20, "path": "/w"}}
NETWORK = {"network": [{"volumeId": "nv1", "path": "/n"}]}


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"gpu": {"id": GPU}, "cpu": {"id": "cpu3c", "vcpuCount": 2}}, 400, "exactly one of gpu or cpu is required"),
        ({"gpu": None}, 400, "exactly one of gpu or cpu is required"),
        ({"gpu": None, "cpu": {"id": "cpu3c", "vcpuCount": 2}}, 400, NO_INSTANCES),
        ({"gpu": None, "cpu": {"id": "cpu3c", "vcpuCount": 6}}, 400, "vcpuCount must be a power of two"),
        ({"gpu": None, "cpu": {"id": "c", "vcpuCount": 2}, "mounts": PERSISTENT}, 400, "mounts.persistent is invalid"),
        ({"disk": None}, 400, "a template id or pod configuration parameters are required"),
        ({"image": None}, 400, "image is required without a template"),
        ({"templateId": "t"}, 404, "template not found"),
        ({"mounts": PERSISTENT | NETWORK}, 400, "mutually exclusive"),
        ({"mounts": NETWORK}, 400, "network volume nv1 not found"),
        ({"registry": "r"}, 400, "container registry auth not found"),
        ({"ports": ["22"]}, 400, "invalid port 22"),
        ({"gpu": {"id": GPU, "minCudaVersion": "12.1", "allowedCudaVersions": ["12.8"]}}, 400, "mutually exclusive"),
        ({"gpu": {"id": GPU, "count": 2}}, 400, NO_INSTANCES),
        ({"gpu": {"id": "NVIDIA of another year"}}, 400, NO_INSTANCES),
        ({"dataCenterIds": ["EU-SE-1"]}, 400, NO_INSTANCES),
        ({"cloud": "COMMUNITY"}, 400, NO_INSTANCES),
        ({"env": {"A": "x" * 102_400}}, 413, "request body exceeds 102400 bytes"),
    ],
)
async def test_a_create_that_breaks_a_rule_is_refused_and_makes_nothing(
    changes: dict[str, Any], status: int, words: str
) -> None:
    desk = Desk()
    body = {name: value for name, value in {**ORDER, **changes}.items() if value is not None}
    answer = await desk.ask("POST", "/v2/pods", body)
    assert answer.status == status
    assert words in detail(answer)
    assert not desk.market.machines


async def test_a_field_that_is_not_known_is_named() -> None:
    answer = await Desk().ask("POST", "/v2/pods", {**ORDER, "spot": True, "gpu": {"id": GPU, "bid": 1}})
    assert answer.status == 422
    assert set(answer.json()["errors"]) == {
        "$: additional properties 'spot' not allowed",
        "$/gpu: additional properties 'bid' not allowed",
    }


async def test_a_pod_is_made_in_the_data_centres_asked_for_and_nowhere_else() -> None:
    desk = Desk()
    made = [await desk.create(dataCenterIds=["US-KS-2"]) for _ in range(4)]  # two hosts with two GPUs each
    assert {pod["dataCenterId"] for pod in made} == {"US-KS-2"}
    assert detail(await desk.ask("POST", "/v2/pods", {**ORDER, "dataCenterIds": ["US-KS-2"]})) == NO_INSTANCES
    assert (await desk.create())["dataCenterId"] == "EU-RO-1"


async def test_a_community_pod_has_a_host_in_a_country_and_no_data_centre() -> None:
    pod = await Desk().create(gpu={"id": "NVIDIA RTX A5000"}, cloud="COMMUNITY")
    assert (pod["cloud"], pod["dataCenterId"]) == ("COMMUNITY", None)


async def test_names_need_not_differ() -> None:
    desk = Desk()
    first, second = await desk.create(), await desk.create()
    assert first["name"] == second["name"]
    assert await desk.listed() == [second["id"], first["id"]]


async def test_a_pod_walks_from_provisioning_to_running_and_its_ports_are_known_one_look_later() -> None:
    desk = Desk()
    pod = await desk.create(ports=["8888/http", "22/tcp"])
    assert (pod["status"], pod["runtime"], pod["startedAt"]) == ("PROVISIONING", None, None)
    desk.now += 10
    pod = await desk.pod("m1")
    assert (pod["status"], pod["runtime"]) == ("STARTING", None)
    desk.now += 30
    pod = await desk.pod("m1")
    assert (pod["status"], pod["runtime"]["uptime"], pod["runtime"]["ports"]) == ("RUNNING", 10, [])
    http, tcp = (await desk.pod("m1"))["runtime"]["ports"]
    assert (http["private"], http["ip"].split(".")[0]) == (8888, "100")
    assert (tcp["private"], tcp["ip"]) == (22, "203.0.113.20")


async def test_a_stopped_pod_starts_again_with_another_public_port() -> None:
    desk = Desk()
    await desk.create_running(ports=["22/tcp"])
    await desk.pod("m1")
    before = (await desk.pod("m1"))["runtime"]["ports"][0]["public"]
    await desk.act("m1", "stop")
    desk.now += 10
    assert (await desk.act("m1", "start")).json()["status"] == "PROVISIONING"
    desk.now += 60
    await desk.pod("m1")
    assert (await desk.pod("m1"))["runtime"]["ports"][0]["public"] != before


@pytest.mark.parametrize(
    ("state", "legal"),
    [
        ("PROVISIONING", {"stop", "terminate"}),
        ("STARTING", {"stop", "terminate"}),
        ("RUNNING", {"stop", "restart", "terminate"}),
        ("EXITED", {"start", "terminate"}),
        ("ERROR", {"start", "terminate"}),
    ],
)
@pytest.mark.parametrize("action", ["start", "stop", "restart", "terminate"])
async def test_only_the_actions_of_its_state_can_be_done_with_a_pod(state: str, legal: set[str], action: str) -> None:
    desk = Desk()
    await desk.create()
    desk.now += {"PROVISIONING": 0, "STARTING": 10}.get(state, 60)
    desk.emulator.market.settle(desk.now)
    if state == "EXITED":
        desk.market.halt(desk.machine("m1"), "stopped by user")
    if state == "ERROR":
        desk.market.become(desk.machine("m1"), Status.FAILED)
    pod = await desk.pod("m1")
    assert (pod["status"], set(pod["actions"])) == (state, legal)
    answer = await desk.act("m1", action)
    wanted = (204 if action == "terminate" else 200) if action in legal else 409
    assert answer.status == wanted


async def test_a_start_of_a_failed_pod_starts_it() -> None:
    desk = Desk()
    await desk.create_running()
    desk.market.become(desk.machine("m1"), Status.FAILED)
    await desk.act("m1", "start")
    desk.now += 60
    assert (await desk.pod("m1"))["status"] == "RUNNING"


async def test_a_terminated_pod_is_gone_and_says_nothing_on_its_way() -> None:
    desk = Desk()
    pod_id = await desk.create_running()
    answer = await desk.ask("DELETE", f"/v2/pods/{pod_id}")
    assert (answer.status, answer.body) == (204, b"")
    assert detail(await desk.ask("GET", f"/v2/pods/{pod_id}")) == "pod not found"
    assert (await desk.ask("DELETE", f"/v2/pods/{pod_id}")).status == 404
    assert await desk.listed() == []
    assert not desk.market.machines


async def test_a_locked_pod_is_not_stopped() -> None:
    desk = Desk()
    await desk.create_running()
    answer = await desk.ask("PATCH", "/v2/pods/m1", {"name": "other", "locked": True})
    assert (answer.json()["name"], answer.json()["locked"]) == ("other", True)
    assert detail(await desk.act("m1", "stop")) == "pod is locked"
    desk.now += 60
    assert desk.machine("m1").status is Status.RUNNING


async def test_pages_follow_each_other_to_the_end_newest_first_while_pods_come_and_go() -> None:
    desk = Desk()
    for _ in range(5):
        await desk.create()
    page = await desk.get("/v2/pods", limit="2", desiredStatus="EXITED", name="nobody")
    assert [pod["id"] for pod in page["pods"]] == ["m5", "m4"]
    await desk.create()
    await desk.ask("DELETE", "/v2/pods/m4")
    cursor = page["pagination"]["nextCursor"]
    page = await desk.get("/v2/pods", limit="2", cursor=cursor)
    assert ([pod["id"] for pod in page["pods"]], page["pagination"]["hasNextPage"]) == (["m3", "m2"], True)
    page = await desk.get("/v2/pods", limit="2", cursor=page["pagination"]["nextCursor"])
    assert [pod["id"] for pod in page["pods"]] == ["m1"]
    assert page["pagination"] == {"nextCursor": None, "hasNextPage": False}


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"cursor": "x"}, {"cursor": "YWZ0ZXI6MQ=="}]
)
async def test_a_bad_limit_or_a_foreign_cursor_is_a_422(query: dict[str, str]) -> None:
    assert (await Desk().ask("GET", "/v2/pods", **query)).status == 422


async def test_stock_is_shown_where_it_is_asked_for_with_a_product() -> None:
    desk = Desk()
    assert detail(await desk.ask("GET", "/v2/catalog/gpus", include="AVAILABILITY")).startswith("product is required")
    plain = (await desk.get("/v2/catalog/gpus"))["gpus"]
    assert "availability" not in plain[0]
    for _ in range(4):
        await desk.create(dataCenterIds=["US-KS-2"])
    rows = (await desk.get("/v2/catalog/gpus", include="AVAILABILITY", product="POD"))["gpus"]
    assert [row["id"] for row in rows] == [GPU, "NVIDIA RTX A5000"]
    levels = {center["id"]: center["availability"] for center in rows[0]["dataCenters"]}
    assert levels == {"EU-RO-1": "MEDIUM", "US-KS-2": "NONE"}
    assert (rows[0]["secure"], rows[0]["community"], rows[1]["community"]) == (True, False, True)
    centers = (await desk.get("/v2/catalog/datacenters", include="GPU_AVAILABILITY"))["dataCenters"]
    by_center = {row["id"]: {gpu["id"]: gpu["availability"] for gpu in row["gpuAvailability"]} for row in centers}
    assert by_center["US-KS-2"] == {GPU: "NONE", "NVIDIA RTX A5000": "NONE"}


async def test_a_type_costs_the_same_wherever_its_host_stands() -> None:
    desk = Desk(stock=(Stock(gpu=GPU, region="EU-RO-1", on_demand=0.69, spot=0.35, hosts=9),))
    price = (await desk.get("/v2/catalog/gpus"))["gpus"][0]["price"]["secure"]
    assert {(await desk.create())["cost"] for _ in range(9)} == {price}


async def test_every_answer_counts_against_the_quota_but_those_to_strangers() -> None:
    desk = Desk()
    stranger = await desk.ask("GET", "/v2/pods", key="")
    assert stranger.status == 401
    assert "ratelimit" not in stranger.headers
    assert stranger.headers["x-request-id"]
    for left in (239, 238):
        answer = await desk.ask("GET", "/v2/pods/none")
        assert answer.headers["ratelimit"].startswith(f'"minute";r={left};t=60, "hour";r=')
        assert answer.headers["ratelimit-policy"].startswith('"minute";q=240;w=60, "hour";q=')


async def test_beyond_the_quota_a_request_is_refused_until_the_window_ends() -> None:
    desk = Desk()
    desk.now += 15
    for _ in range(240):
        await desk.ask("GET", "/v2/pods/none")
    refused = await desk.ask("POST", "/v2/pods", ORDER)
    assert detail(refused) == "rate limit exceeded for the minute window"
    assert (refused.status, refused.headers["retry-after"]) == (429, "45")
    assert not desk.market.machines
    desk.now += 45
    await desk.create()


async def test_a_pods_own_key_reaches_that_pod_and_no_other() -> None:
    desk = Desk()
    await desk.create(env={"A": "b"})
    await desk.create()
    env = desk.machine("m1").env
    assert (env["A"], env["RUNPOD_POD_ID"]) == ("b", "m1")
    key = env["RUNPOD_API_KEY"]
    assert key not in str(await desk.pod("m1"))
    for method, path in (("GET", "/v2/pods"), ("POST", "/v2/pods"), ("DELETE", "/v2/pods/m2")):
        assert (await desk.ask(method, path, key=key)).status == 403
    assert (await desk.ask("POST", "/v2/pods/m1/action", {"action": "stop"}, key=key)).status == 200
    assert (await desk.ask("DELETE", "/v2/pods/m1", key=key)).status == 204
    assert set(desk.market.machines) == {"m2"}
    assert (await desk.ask("GET", "/v2/pods/m1", key=key)).status == 401


async def test_pods_of_others_are_listed_like_any() -> None:
    desk = Desk(foreign=("notebook",))
    (pod,) = (await desk.get("/v2/pods"))["pods"]
    assert (pod["name"], pod["status"]) == ("notebook", "RUNNING")


async def test_an_unknown_path_and_a_wrong_method_are_told_apart() -> None:
    desk = Desk()
    assert detail(await desk.ask("GET", "/v2/serverless")) == "page not found"
    answer = await desk.ask("PUT", "/v2/pods")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")


async def test_a_pod_needs_the_money_for_an_hour() -> None:
    desk = Desk(balance_usd=0.50)
    answer = await desk.ask("POST", "/v2/pods", ORDER)
    assert answer.status == 402
    assert "You need at least $" in detail(answer)
    assert not desk.market.machines


async def test_at_a_balance_of_zero_pods_are_terminated_at_that_very_moment() -> None:
    desk = Desk(balance_usd=2.0)
    await desk.create_running(mounts=PERSISTENT)
    desk.now += 100 * HOUR
    assert await desk.listed() == []
    assert desk.bill("m1") == pytest.approx(2.0)
