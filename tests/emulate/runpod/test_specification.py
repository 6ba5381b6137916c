"""The emulator against RunPod's own specification of REST v2, as published in August 2026.

Its schemas judge answers, and creates as well: what they refuse is refused, and what they let pass is no 422.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from autoscaler.emulate.runpod import Quirk
from providers.http import Answer
from providers.mock import Fault
from tests.emulate.base_desk import KEY
from tests.emulate.runpod.desk import GPU, ORDER, Desk
from tests.support.environments import require_specs

KNOWN: Mapping[str, str] = {
    "$.gpu.count: 0 is less than the minimum of 1": "a start may come back without a GPU: RunPod's page on zero GPUs",
    "$: 'title' is a required property": "REST v1's shape of errors, seen on live accounts (quirk host_full_500)",
    "$: 'detail' is a required property": "the same",
    "content-type application/json": "the same",
}
"""Where answers leave the specification on purpose, and why RunPod's do."""

NEWER = {"templateId", "cmd", "entrypoint", "startSsh", "startJupyter"}
NEWER_OF_GPU = {"allowedCudaVersions", "minCudaVersion", "minRamPerGpu", "minVcpuCountPerGpu"}
"""Fields that came after this copy of the specification was made; later pages and the new SDK have them."""


@cache
def spec() -> Mapping[str, Any]:
    document: Mapping[str, Any] = yaml.safe_load(require_specs("runpod-v2.yaml").read_text(encoding="utf-8"))
    return document


@pytest.fixture(autouse=True)
def _specification() -> None:
    spec()


def problems(schema: Mapping[str, Any], value: Any) -> list[str]:
    whole = {"components": spec()["components"], **schema}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def template(path: str) -> str:
    """The path of the specification that a path is one of."""
    parts = path.split("/")
    for known in spec()["paths"]:
        names = known.split("/")
        if len(names) == len(parts) and all(a == b or a.startswith("{") for a, b in zip(names, parts, strict=True)):
            return str(known)
    raise AssertionError(f"{path} is not in the specification")


def breaches(method: str, path: str, answer: Answer) -> list[str]:
    """What the specification has against an answer."""
    responses = spec()["paths"][template(path)][method.lower()]["responses"]
    response = responses.get(str(answer.status)) or responses["default"]
    if "$ref" in response:
        response = spec()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    found = [f"no {name} header" for name in response.get("headers", ()) if name.lower() not in answer.headers]
    if "content" not in response:
        return found + (["a body"] if answer.body else [])
    ((content_type, content),) = response["content"].items()
    if answer.headers["content-type"] != content_type:
        found.append(f"content-type {answer.headers['content-type']}")
    return found + problems(content["schema"], answer.json())


class Judge(Desk):
    """A desk that holds every answer to the specification."""

    def __init__(self, *quirks: Quirk, **market: Any) -> None:
        super().__init__(*quirks, **market)
        self.breaches: list[str] = []

    async def ask(self, method: str, path: str, body: Any = None, *, key: str = KEY, **query: str) -> Answer:
        answer = await super().ask(method, path, body, key=key, **query)
        if path != "/graphql":
            self.breaches += breaches(method, path, answer)
        return answer


async def whole_life(desk: Desk) -> None:
    await desk.ask("GET", "/v2/pods", key="")
    pod_id = await desk.create_running(ports=["22/tcp", "80/http"], mounts={"persistent": {"size": 20, "path": "/w"}})
    await desk.create(cloud="COMMUNITY", gpu={"id": "NVIDIA RTX A5000"})
    for _ in range(3):
        await desk.pod(pod_id)
    await desk.listed()
    await desk.ask("PATCH", f"/v2/pods/{pod_id}", {"name": "other"})
    for action in ("restart", "start", "stop"):
        await desk.act(pod_id, action)
    desk.now += 10
    await desk.pod(pod_id)
    await desk.act(pod_id, "start")
    desk.now += 60
    await desk.pod(pod_id)
    await desk.ask("DELETE", f"/v2/pods/{pod_id}")
    await desk.ask("DELETE", f"/v2/pods/{pod_id}")


async def catalogue(desk: Desk) -> None:
    await desk.get("/v2/catalog/gpus")
    await desk.get("/v2/catalog/gpus", include="AVAILABILITY", product="POD", cloud="COMMUNITY", count="2")
    await desk.ask("GET", "/v2/catalog/gpus", include="AVAILABILITY")
    await desk.get(f"/v2/catalog/gpus/{GPU.replace(' ', '%20')}", include="AVAILABILITY", product="POD")
    await desk.ask("GET", "/v2/catalog/gpus/none")
    await desk.get("/v2/catalog/datacenters", include="GPU_AVAILABILITY,CPU_AVAILABILITY", regions="EUROPE")


async def bills(desk: Desk) -> None:
    await desk.create_running()
    for size in ("hour", "day", "week", "month", "year"):
        await desk.get("/v2/billing/pods", bucketSize=size, lastN="3")
    await desk.ask("GET", "/v2/billing/pods", bucketSize="decade")


async def refusals(desk: Desk) -> None:
    for body in (
        {},
        {**ORDER, "bogus": 1},
        {**ORDER, "cpu": {"id": "cpu3c", "vcpuCount": 2}},
        {**ORDER, "gpu": {"id": "X"}},
    ):
        await desk.ask("POST", "/v2/pods", body)
    statuses = {(await desk.ask("GET", "/v2/pods/none")).status for _ in range(240)}
    assert statuses == {404, 429}


STORIES: list[Callable[[Desk], Awaitable[None]]] = [whole_life, catalogue, bills, refusals]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_answers_are_as_specified(story: Callable[[Desk], Awaitable[None]]) -> None:
    desk = Judge()
    await story(desk)
    assert desk.breaches == []


async def test_known_breaches_are_all_there_are() -> None:
    desk = Judge(Quirk.HOST_FULL_500, faults={Fault.ZERO_GPU: 1.0, Fault.RESUME_REFUSED: 0.0})
    await whole_life(desk)
    stopped = await desk.create_stopped()
    desk.market.hosts[desk.machine(stopped).host].taken_until = desk.now + 60
    await desk.act(stopped, "start")
    assert set(desk.breaches) == set(KNOWN)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(0.1, 0.9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def nearly(whole: Mapping[str, Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object that is as it should be but for one field: another value, anything at all, missing, or unknown."""
    names = st.sampled_from([*fields, "bogus"])
    other = st.one_of(*(st.tuples(st.just(name), values) for name, values in fields.items()))
    changed = (other | st.tuples(names, anything)).map(lambda change: {**whole, change[0]: change[1]})
    return changed | names.map(lambda name: {key: value for key, value in whole.items() if key != name})


texts = st.text(max_size=5)
persistent = nearly({"size": 10, "path": "/w"}, size=st.integers(8, 12), path=texts)
network = st.lists(nearly({"volumeId": "v", "path": "/n"}, volumeId=texts), max_size=2)
mounts = nearly({}, persistent=persistent, network=network)
bodies = nearly(
    ORDER,
    name=texts,
    image=texts,
    gpu=nearly({"id": GPU, "count": 1}, id=st.sampled_from([GPU, "X"]), count=st.integers(-1, 3)),
    cpu=nearly({"id": "cpu3c", "vcpuCount": 2}, id=texts, vcpuCount=st.integers(0, 9)),
    cloud=st.sampled_from(["SECURE", "COMMUNITY", "ALL"]),
    dataCenterIds=st.lists(st.sampled_from(["EU-RO-1", "X"]), max_size=2),
    disk=st.integers(-1, 3),
    mounts=mounts,
    ports=st.lists(st.sampled_from(["22/tcp", "80/http", "x"]), max_size=2),
    env=st.dictionaries(texts, texts, max_size=2),
    args=texts,
    registry=st.none() | texts,
    globalNetworking=st.booleans(),
)


def judged(ask: Callable[[Judge], Coroutine[Any, Any, Answer]]) -> Answer:
    desk = Judge()
    answer = asyncio.run(ask(desk))
    assert answer.status < 500
    assert desk.breaches == []
    return answer


@given(body=bodies | anything)
@settings(max_examples=200)
def test_a_create_is_a_422_exactly_where_its_body_is_not_as_specified(body: Any) -> None:
    answer = judged(lambda desk: desk.ask("POST", "/v2/pods", body))
    # Without an image: since then it may come from a template, so that it is a rule's 400.
    judged_body = {"image": "", **body} if isinstance(body, dict) else body
    wrong = problems({"$ref": "#/components/schemas/CreatePodRequest"}, judged_body)
    assert (answer.status == 422) == bool(wrong), (answer.text, wrong)


@given(body=nearly({}, name=texts, locked=st.booleans(), image=texts, mounts=mounts, env=anything) | anything)
@settings(max_examples=60)
def test_an_update_is_a_422_exactly_where_its_body_is_not_as_specified(body: Any) -> None:
    async def ask(desk: Judge) -> Answer:
        await desk.create()
        return await desk.ask("PATCH", "/v2/pods/m1", body)

    wrong = problems({"$ref": "#/components/schemas/UpdatePodRequest"}, body)
    assert (judged(ask).status == 422) == bool(wrong)


words: st.SearchStrategy[str] = st.text(max_size=6) | st.sampled_from(
    [
        "AVAILABILITY",
        "GPU_AVAILABILITY",
        "POD",
        "SECURE",
        "EUROPE",
        "1",
        "0",
        "-1",
        "day",
        "2026-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59-05:00",
        "2026-01-01",
        "YmVm",
    ]
)
names = st.sampled_from(
    [
        "include",
        "product",
        "cloud",
        "count",
        "regions",
        "limit",
        "cursor",
        "bucketSize",
        "lastN",
        "startTime",
        "endTime",
        "podId",
        "x",
    ]
)


@given(
    path=st.sampled_from(
        [
            "/v2/pods",
            "/v2/pods/m1",
            "/v2/catalog/gpus",
            "/v2/catalog/gpus/x",
            "/v2/catalog/datacenters",
            "/v2/billing/pods",
        ]
    ),
    query=st.dictionaries(names, words, max_size=4),
)
@settings(max_examples=200)
def test_no_query_gets_an_answer_outside_the_specification(path: str, query: dict[str, str]) -> None:
    judged(lambda desk: desk.ask("GET", path, **query))


@pytest.mark.parametrize("field", sorted(NEWER | NEWER_OF_GPU))
async def test_fields_newer_than_the_specification_are_known(field: str) -> None:
    values: dict[str, Any] = {
        "cmd": ["a"],
        "entrypoint": ["a"],
        "startSsh": True,
        "startJupyter": True,
        "templateId": "t",
        "allowedCudaVersions": ["12.8"],
        "minCudaVersion": "12.1",
        "minRamPerGpu": 16,
        "minVcpuCountPerGpu": 4,
    }
    extra = {field: values[field]}
    body = {**ORDER, "gpu": {"id": GPU, **extra}} if field in NEWER_OF_GPU else {**ORDER, **extra}
    assert problems({"$ref": "#/components/schemas/CreatePodRequest"}, body)
    answer = await Desk().ask("POST", "/v2/pods", body)
    assert answer.status == (404 if field == "templateId" else 201)
