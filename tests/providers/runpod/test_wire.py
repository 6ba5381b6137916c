"""RunPod's JSON as values: pods, their costs, requests, bills."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.errors import Rejected, Transient
from autoscaler.core.market import Status
from autoscaler.core.spec import MachineSpec
from providers.http import Answer, json_answer
from providers.runpod.wire import TERMS
from tests.support.bench import START
from tests.support.runpod import LABEL, MACHINE, html, offer, pod, pods, scripted

DISKS = 90 * 0.10 / 720
STOPPED_DISK = 40 * 0.20 / 720


def terms(**changed: Any) -> dict[str, str]:
    """The environment of a pod of ours."""
    plain = {"buy": "on_demand", "gpu": "RTX 4090", "gpu_usd_per_hour": 0.69, "ends_at": None}
    return {TERMS: json.dumps(plain | changed)}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PROVISIONING", Status.STARTING),
        ("STARTING", Status.STARTING),
        ("RUNNING", Status.RUNNING),
        ("EXITED", Status.STOPPED),
        ("ERROR", Status.FAILED),
        ("DEAD", Status.UNKNOWN),
        ("running", Status.UNKNOWN),
    ],
)
async def test_each_status_word_has_a_meaning_and_an_unknown_one_means_unknown(word: str, status: Status) -> None:
    provider, _ = scripted(pods(pod(status=word)))
    (remote,) = (await provider.list_machines()).machines
    assert remote.status is status
    assert remote.detail == (word if status in (Status.UNKNOWN, Status.FAILED) else "")


async def test_a_deleted_pod_that_is_still_shown_is_no_machine() -> None:
    provider, _ = scripted(pods(pod("a", status="TERMINATED"), pod("b")))
    assert [remote.provider_id for remote in (await provider.list_machines()).machines] == ["b"]


@pytest.mark.parametrize(
    ("changed", "running", "now"),
    [
        # The price told is the GPU's.
        ({"env": terms(), "cost": 0.69}, 0.69 + DISKS, 0.69 + DISKS),
        # It holds the disks, or a rounding: nobody must be released for that.
        ({"env": terms(), "cost": 0.70}, 0.69 + DISKS, 0.69 + DISKS),
        # It is another price than was agreed.
        ({"env": terms(), "cost": 0.86}, 0.86 + DISKS, 0.86 + DISKS),
        # A spot machine costs less than its bid.
        ({"env": terms(buy="spot"), "cost": 0.40}, 0.69 + DISKS, 0.40 + DISKS),
        # Not priced yet: what was agreed is the upper bound.
        ({"env": terms(), "cost": 0.0, "status": "PROVISIONING"}, 0.69 + DISKS, 0.69 + DISKS),
        # Stopped, it says 0; its volume is billed twice over, and the price while running survives.
        ({"env": terms(), "cost": 0.0, "status": "EXITED"}, 0.69 + DISKS, STOPPED_DISK),
        ({"env": terms(), "cost": 0.0, "status": "ERROR"}, 0.69 + DISKS, STOPPED_DISK),
        ({"env": terms(), "cost": 0.69, "status": "ERROR"}, 0.69 + DISKS, 0.69 + DISKS),
        # Not ours, or its terms were lost: only what is told, and nothing tells the price of a stopped one.
        ({"env": {}, "cost": 0.69}, 0.69 + DISKS, 0.69 + DISKS),
        ({"env": {TERMS: "nonsense"}, "cost": 0.0, "status": "EXITED"}, 0.0, STOPPED_DISK),
        ({"env": {}, "cost": 0.0, "status": "PROVISIONING"}, 0.0, DISKS),
        ({"env": terms(gpu_usd_per_hour="dear"), "cost": 0.69}, 0.69 + DISKS, 0.69 + DISKS),
    ],
)
async def test_a_pod_costs_what_was_agreed_and_what_its_disks_cost(
    changed: dict[str, Any], running: float, now: float
) -> None:
    provider, _ = scripted(pods(pod(**changed)))
    (remote,) = (await provider.list_machines()).machines
    assert remote.usd_per_hour == pytest.approx(running)
    assert remote.burn_usd_per_hour == pytest.approx(now)
    assert remote.disk_usd_per_hour == pytest.approx(STOPPED_DISK)


async def test_a_pod_carries_its_terms_and_a_foreign_one_shows_what_there_is() -> None:
    provider, _ = scripted(pods(pod("a", env=terms(buy="spot", ends_at=START)), pod("b", name=None, env=None)))
    ours, foreign = (await provider.list_machines()).machines
    assert (ours.label, ours.buy, ours.gpu, ours.ends_at) == (LABEL, "spot", "RTX 4090", START)
    assert (foreign.label, foreign.buy, foreign.gpu) == ("", "on_demand", "NVIDIA GeForce RTX 4090")
    assert (foreign.region, foreign.ends_at) == ("EU-RO-1", None)


HTTP = {"private": 8888, "public": 60001, "type": "http", "ip": "100.65.0.20"}
TCP = {"private": 8188, "public": 10341, "type": "tcp", "ip": "203.0.113.20"}


@pytest.mark.parametrize(
    ("changed", "address"),
    [
        ({"runtime": {"ports": [HTTP, TCP]}}, "203.0.113.20:10341"),
        ({"runtime": {"ports": [HTTP]}}, None),
        ({"runtime": {"ports": [TCP | {"ip": None}]}}, None),
        ({"runtime": {"ports": None}}, None),
        ({"runtime": {}}, None),
        ({"runtime": None}, None),
        ({"runtime": {"ports": [TCP]}, "status": "EXITED"}, None),  # it is stale then
    ],
)
async def test_the_address_is_the_public_side_of_the_tcp_port(changed: dict[str, Any], address: str | None) -> None:
    provider, _ = scripted(pods(pod(**changed)))
    (remote,) = (await provider.list_machines()).machines
    assert remote.address == address


async def test_a_listing_is_every_page_each_pod_once() -> None:
    answers = [pods(pod("a"), pod("b"), cursor="c1"), pods(pod("b"), cursor="c2"), pods(), pods(pod("z"))]
    answers[2] = pods(cursor="c3")  # a page may be empty, and not the last
    provider, script = scripted(*answers)
    listing = await provider.list_machines()
    assert [remote.provider_id for remote in listing.machines] == ["a", "b", "z"]
    assert script.lines == ["GET /v2/pods", *(f"GET /v2/pods cursor={each}" for each in ("c1", "c2", "c3"))]


async def test_a_listing_without_pages_is_whole() -> None:
    provider, script = scripted(json_answer(200, {"pods": [pod("a"), pod("b")]}))
    assert len((await provider.list_machines()).machines) == 2
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "answers",
    [
        [pods(pod("a"), cursor="c1"), html(502)],
        [pods(pod("a"), cursor="c1"), json_answer(200, {})],
        [json_answer(200, {"pods": [], "pagination": {"hasNextPage": True, "nextCursor": None}})],
        [pods(pod("a"), cursor="c1"), pods(pod("b"), cursor="c1")],
        [pods(pod("a"), {key: value for key, value in pod("b").items() if key != "id"})],
        [pods(pod("a"), pod("b", id=None))],
        [pods(pod("a"), {key: value for key, value in pod("b").items() if key != "name"})],
        [pods(pod("a"), "b")],  # type: ignore[arg-type]
    ],
)
async def test_a_listing_that_is_not_whole_is_an_error(answers: list[Answer]) -> None:
    provider, _ = scripted(*answers)
    with pytest.raises(Transient):
        await provider.list_machines()


STRANGE: list[dict[str, Any]] = [
    {"name": None},
    {"name": 7},
    {"status": None},
    {"gpu": None},
    {"gpu": []},
    {"gpu": {"id": 7, "count": None}},
    {"gpu": {"count": "two"}},
    {"cost": "free"},
    {"cost": float("nan")},
    {"cost": float("inf")},
    {"cost": -0.5},
    {"disk": "50"},
    {"mounts": []},
    {"mounts": {"persistent": {"size": None}}},
    {"env": ["K=V"]},
    {"env": None},
    {"env": terms(gpu=7)},
    {"env": terms(gpu_usd_per_hour=-1.0)},
    {"env": terms(gpu_usd_per_hour=float("nan"))},
    {"env": terms(ends_at=float("inf"))},
    {"dataCenterId": 7},
    {"runtime": "up"},
    {"runtime": {"ports": 8188}},
    {"runtime": {"ports": ["8188/tcp"]}},
]


@pytest.mark.parametrize("strange", STRANGE, ids=str)
async def test_one_strange_row_hides_no_other_and_every_fact_has_its_form(strange: dict[str, Any]) -> None:
    provider, _ = scripted(pods(pod("strange", **strange), pod("ours", env=terms())))

    odd, ours = (await provider.list_machines()).machines

    assert (ours.provider_id, ours.status) == ("ours", Status.RUNNING)
    assert ours.usd_per_hour == pytest.approx(0.69 + DISKS)
    assert odd.provider_id == "strange"
    assert all(isinstance(text, str) for text in (odd.label, odd.gpu, odd.region, odd.detail))
    assert all(0.0 <= usd < 10.0 for usd in (odd.usd_per_hour, odd.burn_usd_per_hour, odd.disk_usd_per_hour))
    assert (odd.gpu_count, odd.buy, odd.address, odd.ends_at) == (1, "on_demand", None, None)


async def test_pages_that_lead_in_a_circle_are_left_where_it_closes() -> None:
    circle = [pods(pod("a"), cursor="c1"), pods(pod("b"), cursor="c2"), pods(pod("a"), cursor="c1")]
    provider, script = scripted(*circle, *circle)
    with pytest.raises(Transient, match="circle"):
        await provider.list_machines()
    assert len(script.asked) == 3


async def test_a_create_says_no_more_than_the_closed_body_allows() -> None:
    provider, script = scripted(json_answer(201, pod("new")))
    machine = replace(MACHINE, env={"MODE": "fast"}, args=("--model", "it's one"))

    assert await provider.rent(offer(), machine, label=LABEL) == "new"

    (request,) = script.asked
    body = request.json()
    stamp = json.loads(body["env"].pop(TERMS))
    assert stamp == {"buy": "on_demand", "gpu": "RTX 4090", "gpu_usd_per_hour": 0.69, "ends_at": None}
    assert body == {
        "name": LABEL,
        "image": "ghcr.io/acme/worker:1.0",
        "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1},
        "cloud": "SECURE",
        "dataCenterIds": ["EU-RO-1"],
        "disk": 50,
        "mounts": {"persistent": {"size": 40, "path": "/workspace"}},
        "env": {"MODE": "fast"},
        "ports": ["8188/tcp"],
        "args": '{"cmd": ["--model", "it\'s one"]}',
    }


async def test_a_create_leaves_out_what_is_not_wanted_and_says_what_is_set() -> None:
    provider, script = scripted(json_answer(201, pod()), registry="reg1", volume_path="/data", container_disk_gb=20)
    anywhere = offer("community//NVIDIA GeForce RTX 4090")

    await provider.rent(anywhere, MachineSpec(image="i", gpus=("RTX 4090",), disk_gb=2.5), label="x")

    body = script.asked[0].json()
    assert not {"dataCenterIds", "ports", "args"} & body.keys()
    assert (body["cloud"], body["registry"], body["disk"]) == ("COMMUNITY", "reg1", 20)
    assert body["mounts"] == {"persistent": {"size": 10, "path": "/data"}}


async def test_what_is_put_into_the_environment_arrives_as_it_was() -> None:
    env = {"ODD": 'he said "x" \\ {not: graphql} $input \n ü'}
    provider, script = scripted(json_answer(201, pod()))
    await provider.rent(offer(), replace(MACHINE, env=env), label="x")
    assert script.asked[0].json()["env"]["ODD"] == env["ODD"]


@pytest.mark.parametrize("placement", ["on_demand", "spot"])
@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({f"V{number}": "x" for number in range(50)}, "takes 50 environment variables, and with ours there are 51"),
        ({"BIG": "x" * 102_400}, "takes a request of 102400 bytes"),
    ],
)
async def test_what_runpod_would_refuse_for_its_size_is_refused_before_it_is_sent(
    env: dict[str, str], problem: str, placement: str
) -> None:
    provider, script = scripted()
    with pytest.raises(Rejected, match=problem):
        await provider.rent(offer(buy=placement), replace(MACHINE, env=env), label="x")
    assert script.asked == []


async def test_as_many_variables_as_runpod_takes_are_sent() -> None:
    provider, script = scripted(json_answer(201, pod()))
    await provider.rent(offer(), replace(MACHINE, env={f"V{number}": "x" for number in range(49)}), label="x")
    assert len(script.asked[0].json()["env"]) == 50


async def test_a_days_bill_is_that_days_alone_summed_by_pod() -> None:
    def record(pod_id: str, start: str, usd: float) -> dict[str, Any]:
        return {"podId": pod_id, "startTime": start, "totalAmount": usd, "gpuAmount": usd, "diskAmount": 0.0}

    records = [
        record("a", "2026-11-21T00:00:00Z", 1.25),
        record("a", "2026-11-21T12:00:00Z", 0.25),
        record("b", "2026-11-21T00:00:00Z", 2.0),
        record("a", "2026-11-20T00:00:00Z", 9.0),
    ]
    provider, script = scripted(json_answer(200, {"records": records, "metadata": {}}))

    assert await provider.billed_usd("2026-11-21") == {"a": 1.5, "b": 2.0}
    asked = "startTime=2026-11-21T00:00:00Z endTime=2026-11-22T00:00:00Z bucketSize=day"
    assert script.lines == [f"GET /v2/billing/pods {asked}"]
