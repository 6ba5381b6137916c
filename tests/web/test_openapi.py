"""The OpenAPI document tells the truth: what is answered, all of it, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import fields
from typing import Any

import jsonschema
import pytest
import schemathesis

from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.journal import Entry, Kind, command_entry
from autoscaler.core.orders import Order, OrderKind
from autoscaler.store.codec import order_fields
from autoscaler.web.forms import OrderForm
from autoscaler.web.orders import NewOrder
from tests.support.reports import DEMAND, NOW, RENT, machine, pool_report, report
from tests.support.served import WITH_TOKEN, Daemon, a_config, served

PAUSE = {"kind": "pause", "by": "ann"}
ORDERS = "/api/v1/orders"


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    async with served() as made:
        full = machine("m1", provider_id="p0", tier="free", gpu="RTX 4090")
        made.board.ticked(report(full, machine("m2"), pools={"images": pool_report(full, demand=DEMAND)}))
        made.note(command_entry(RENT, NOW), Entry(at=NOW, kind=Kind.ALARM, text="look"))
        yield made


@pytest.fixture
async def document(daemon: Daemon) -> dict[str, Any]:
    status, document = await daemon.json("/api/v1/openapi.json")
    assert status == 200
    return dict(document)


def closed(schema: Any) -> Any:
    """A schema under which an object has no field that is not told of."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: closed(part) for key, part in schema.items()}
    return {"additionalProperties": False, **parts} if "properties" in parts else parts


def check(document: Mapping[str, Any], path: str, method: str, status: int, answer: Any) -> None:
    """Hold an answer to what the document says of it."""
    [content] = document["paths"][path][method]["responses"][str(status)]["content"].values()
    schema = closed({**content["schema"], "components": document["components"]})
    jsonschema.Draft202012Validator(schema).validate(answer)


def test_the_document_is_one_and_a_fault_in_it_would_be_seen(document: dict[str, Any]) -> None:
    schemathesis.openapi.from_dict(document).validate()
    del document["paths"]["/healthz"]["get"]["responses"]["200"]["description"]
    with pytest.raises(Exception, match="description"):
        schemathesis.openapi.from_dict(document).validate()


async def test_every_route_is_in_it_and_what_changes_something_takes_the_token(
    daemon: Daemon, document: dict[str, Any]
) -> None:
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    _, index = await daemon.ask("/api/v1")
    assert {tuple(line.split()[:2]) for line in index.splitlines()} == told
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            guarded = operation.get("security") == [{"token": []}]
            assert guarded == (method != "get")
            async with daemon.client.request(method, daemon.url + re.sub(r"{\w+}", "x", path)) as response:
                assert (response.status == 401) == guarded, path
                described = operation["responses"][str(response.status)]
                assert response.content_type in described.get("content", {response.content_type}), path


ASKED = [
    ("/api/v1/status", ""),
    ("/api/v1/plan", ""),
    ("/api/v1/instances", ""),
    ("/api/v1/strays", ""),
    ("/api/v1/orders", ""),
    ("/api/v1/timeline", ""),
    ("/api/v1/timeline", "?hours=25&x=1"),
    ("/api/v1/journal", ""),
    ("/api/v1/journal", "?count=0&x=1"),
    ("/api/v1/admission", ""),
    ("/api/v1/admission", "?tier=pro"),
    ("/api/v1/admission", "?tier=free"),
    ("/api/v1/admission", "?tier=gold"),
    ("/healthz", ""),
    ("/readyz", ""),
]


@pytest.mark.parametrize("state", ["well", "store away", "before the first tick", "another name"])
async def test_each_answer_is_as_described_and_no_field_is_kept_from_the_document(
    daemon: Daemon, document: dict[str, Any], state: str
) -> None:
    if state == "well":
        await daemon.json(ORDERS, "POST", json=PAUSE, headers=WITH_TOKEN)
    elif state == "store away":
        daemon.store.error = StoreUnavailable("Redis did not answer in time")
        daemon.board.failed("Redis did not answer in time", NOW)
    elif state == "before the first tick":
        daemon.board.report = None
    headers = {"Host": "evil.example"} if state == "another name" else {}
    for path, query in ASKED:
        status, answer = await daemon.json(path + query, headers=headers)
        check(document, path, "get", status, without_version(answer))


def without_version(answer: Any) -> Any:
    """Journal entries without the version of their stored form, which is no business of who reads them."""
    for entry in answer.get("entries", ()):
        entry.pop("v")
    return answer


async def test_answers_to_orders_are_as_described(daemon: Daemon, document: dict[str, Any]) -> None:
    sent: list[dict[str, Any]] = [
        {"json": PAUSE},
        {"json": {"kind": "floor", "by": "ann", "more": 1}},
        {"json": {**PAUSE, "why": "x" * 70_000}},
        {"data": b"x"},
        {"json": PAUSE, "headers": {"Authorization": "Bearer no"}},
    ]
    seen = []
    for request in sent:
        request["headers"] = {**WITH_TOKEN, **request.get("headers", {})}
        status, answer = await daemon.json(ORDERS, "POST", **request)
        check(document, ORDERS, "post", status, answer)
        seen.append(status)
    assert seen == [201, 400, 413, 415, 401]
    daemon.config = a_config(token=None)
    status, answer = await daemon.json(f"{ORDERS}/pause?by=ann", "DELETE")
    check(document, f"{ORDERS}/{{name}}", "delete", status, answer)
    assert status == 403


def test_every_field_of_an_order_is_shown_and_can_be_given_where_a_person_decides_it() -> None:
    order = Order(kind=OrderKind.PAUSE, by="ann", at=NOW)
    assert set(order_fields(order)) == set(OrderForm.__annotations__)
    decided = set(OrderForm.__annotations__) - {"name", "text", "at", "until"}
    assert {each.name for each in fields(NewOrder)} == decided


async def test_the_document_is_small_enough_to_be_read(daemon: Daemon, document: dict[str, Any]) -> None:
    assert len(json.dumps(document)) < 100_000
