"""Operators' orders over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.core.errors import StoreUnavailable
from autoscaler.core.orders import Order, OrderKind
from tests.support.reports import NOW, machine, report
from tests.support.served import WITH_TOKEN, Daemon, served

PATH = "/api/v1/orders"


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    async with served() as made:
        made.headers = WITH_TOKEN
        made.board.ticked(report(machine(provider_id="p0")))
        yield made


async def give(daemon: Daemon, **order: Any) -> tuple[int, Any]:
    return await daemon.json(PATH, "POST", json={"by": "ann", **order})


async def test_an_order_stands_in_the_journal_with_who_and_why_and_takes_effect_at_once(daemon: Daemon) -> None:
    status, answer = await give(daemon, kind="floor", subject="images", count=2, for_s=3600, why="a demo at noon")
    assert (status, answer["name"], answer["warnings"]) == (201, "floor:images", [])
    assert answer["text"] == "floor 2 images by ann, for 1h: a demo at noon"
    assert [order.text for order in await daemon.store.orders()] == [answer["text"]]
    assert [entry.text for entry in await daemon.store.journal(9)] == [f"order given: {answer['text']}"]
    assert daemon.woken == 1


async def test_what_stands_is_listed_to_anybody_and_what_is_over_is_not(daemon: Daemon) -> None:
    await give(daemon, kind="pause")
    await daemon.store.give(Order(kind=OrderKind.EVACUATE, subject="mock", by="bob", at=NOW - 60, until=NOW - 1))
    daemon.headers = {}
    status, answer = await daemon.json(PATH)
    assert (status, [order["name"] for order in answer["orders"]]) == (200, ["pause"])


async def test_an_order_is_withdrawn_by_its_name_with_who_and_why(daemon: Daemon) -> None:
    await give(daemon, kind="pause", subject="images")
    response, _ = await daemon.ask(f"{PATH}/pause:images?by=bob&why=all+is+well", "DELETE")
    assert response.status == 204
    assert await daemon.store.orders() == ()
    [entry, _] = await daemon.store.journal(9)
    assert entry.text == "order withdrawn by bob (all is well): pause images by ann"
    assert daemon.woken == 2


async def test_the_location_of_an_order_is_where_it_is_withdrawn_even_with_a_slash_in_its_name(daemon: Daemon) -> None:
    response, _ = await daemon.ask(PATH, "POST", json={"by": "ann", "kind": "release", "subject": "mock/p0"})
    location = response.headers["Location"]
    assert (response.status, location) == (201, f"{PATH}/release:mock%2Fp0")
    response, _ = await daemon.ask(f"{location}?by=ann", "DELETE")
    assert response.status == 204


async def test_an_order_that_does_not_stand_cannot_be_withdrawn(daemon: Daemon) -> None:
    status, answer = await daemon.json(f"{PATH}/pause?by=ann", "DELETE")
    assert (status, answer) == (404, {"error": "no order of this name stands; /api/v1/orders lists those that do"})
    assert daemon.woken == 0


async def test_all_that_is_wrong_with_an_order_is_told_at_once(daemon: Daemon) -> None:
    status, answer = await give(daemon, kind="floor", subject="imagse", lose_jobs=True, pool="images")
    assert status == 400
    assert answer["problems"] == [
        "count: missing; say how many machines the floor is",
        "lose_jobs: only a release may lose jobs, not a floor",
        "pool: only a machine to adopt is put into a pool; a floor names its pool as subject",
        "there is no pool 'imagse'; pools: images",
    ]


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"kind": "stop"}, "kind: 'stop' given; input should be 'pause', 'floor'"),
        ({"kind": "pause", "count": "2"}, "count: '2' given; input should be a valid integer"),
        ({"kind": "pause", "forever": True}, "forever: there is no such field"),
        ({"kind": "pause", "by": " "}, "by: ' ' given; say who it is"),
        ({"kind": "pause", "by": "a\nb"}, "by: 'a\\nb' given; it has a control character or a line break"),
        ({"kind": "pause", "why": "x" * 201}, f"why: '{'x' * 118}… given; string should have at most 200 characters"),
        ({"kind": "pause", "for_s": 0}, "for_s: 0 given; input should be greater than 0"),
        ({"kind": "drain", "subject": "m9"}, "there is no machine 'm9'"),
    ],
)
async def test_a_field_without_sense_is_named_with_what_was_expected(
    daemon: Daemon, sent: dict[str, Any], problem: str
) -> None:
    status, answer = await give(daemon, **sent)
    assert status == 400
    assert [line for line in answer["problems"] if line.startswith(problem)], answer
    assert await daemon.store.orders() == ()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"kind":"pause","by":"a","for_s":NaN}', b'"\\ud800"'])
async def test_what_is_no_order_is_refused(daemon: Daemon, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    status, answer = await daemon.json(PATH, "POST", data=body, headers=headers)
    assert (status, len(answer["problems"])) in {(400, 1), (400, 2)}


async def test_a_body_must_be_json_and_short(daemon: Daemon) -> None:
    status, answer = await daemon.json(PATH, "POST", data={"kind": "pause", "by": "ann"})
    assert (status, answer) == (415, {"error": "expected Content-Type: application/json"})
    status, answer = await give(daemon, kind="pause", why="x" * 70_000)
    assert (status, answer) == (413, {"error": "the body is longer than 65536 bytes"})


async def test_while_the_store_is_away_nothing_is_done_and_it_is_said(daemon: Daemon) -> None:
    daemon.store.error = StoreUnavailable("Redis did not answer in time")
    asked = [give(daemon, kind="pause"), daemon.json(f"{PATH}/pause?by=ann", "DELETE"), daemon.json(PATH)]
    for each in asked:
        assert await each == (503, {"error": "the store cannot be used: Redis did not answer in time"})
    assert daemon.woken == 0


async def test_a_daemon_that_does_not_lead_takes_orders_about_all_machines(daemon: Daemon) -> None:
    daemon.board.ticked(report(leads=False, pools={}, instances={}, listings={}))
    daemon.store.state.instances["m2"] = replace(machine("m2"), provider_id="p2")
    assert (await give(daemon, kind="drain", subject="m2"))[0] == 201
    assert (await give(daemon, kind="release", subject="mock/p2"))[0] == 201
    assert (await give(daemon, kind="drain", subject="m1"))[0] == 400


async def test_what_whoever_gives_an_order_should_know_is_told(daemon: Daemon) -> None:
    _, answer = await give(daemon, kind="evacuate", subject="mock")
    [warning] = answer["warnings"]
    assert warning.startswith("images may rent nowhere else")


async def test_what_nobody_takes_care_of_is_shown_by_the_newest_listings(daemon: Daemon) -> None:
    daemon.board.ticked(report(machine("m1", provider_id="p0"), listings=report(machine("m1"), machine("m2")).listings))
    _, found = await daemon.json("/api/v1/strays")
    [stray] = found["strays"]
    assert (stray["provider_id"], stray["pool"], stray["why"]) == ("p1", "images", "no record names it")
    assert found["machines"] == 2


async def test_where_nothing_is_known_of_strays_that_is_not_told_as_if_there_were_none(daemon: Daemon) -> None:
    daemon.board.failed("Redis is away", NOW)
    _, found = await daemon.json("/api/v1/strays")
    assert found["unlisted"] == dict.fromkeys(daemon.config.providers, "the newest tick failed: Redis is away")
    daemon.board.ticked(report(leads=False, pools={}, instances={}, listings={}))
    _, found = await daemon.json("/api/v1/strays")
    assert all("this daemon stands by" in why for why in found["unlisted"].values())
    assert found["unlisted"].keys() == daemon.config.providers.keys()
