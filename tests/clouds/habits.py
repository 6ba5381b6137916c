"""Habits of clients that lack a rule: what they do not say, do not see in an answer, or send once more."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from autoscaler.core.errors import UnclearOutcome
from autoscaler.core.instance import make_label, parse_label
from providers.http import Answer, Http, Request, json_answer
from providers.pace import Paced
from tests.support.build import FLEET
from tests.support.cloud import Line

Habit = Callable[[Http, Request], Awaitable[Answer]]
Change = Callable[[Any], None]
"""Of a body of JSON, in place."""


class _Behind:
    """A way to a vendor with a habit before it."""

    def __init__(self, http: Http, habit: Habit) -> None:
        self._http = http
        self._habit = habit

    async def send(self, request: Request) -> Answer:
        return await self._habit(self._http, request)

    async def close(self) -> None:
        await self._http.close()


def behind(habit: Habit) -> Line:
    return lambda http, service, clock: _Behind(Paced(http, service, clock), habit)


def says(endpoint: str, change: Change) -> Line:
    """A client whose orders are other than ours."""

    async def habit(http: Http, request: Request) -> Answer:
        return await http.send(_saying(request, change) if request.endpoint == endpoint else request)

    return behind(habit)


def sees(endpoints: str, change: Change) -> Line:
    """A client that makes something else of what it is answered with."""

    async def habit(http: Http, request: Request) -> Answer:
        answer = await http.send(request)
        return _seen(answer, change) if request.endpoint in endpoints.split() else answer

    return behind(habit)


def _saying(request: Request, change: Change) -> Request:
    body = request.json()
    change(body)
    return replace(request, body=json.dumps(body).encode())


def _seen(answer: Answer, change: Change) -> Answer:
    try:
        body = answer.json()
    except ValueError:
        return answer
    change(body)
    return replace(answer, body=json.dumps(body).encode())


def each(rows: str, change: Change) -> Change:
    """A change of every row of an answer that is a list of them, or of the one that it is."""

    def change_all(body: Any) -> None:
        for row in body.get(rows, [body]):
            change(row)

    return change_all


async def sends_again(http: Http, request: Request) -> Answer:
    """Vast.ai's own client 1.9.1 does so after a lost connection, 502, 503 and 504, whatever was asked."""
    try:
        answer = await http.send(request)
    except UnclearOutcome:
        return await http.send(request)
    return await http.send(request) if answer.status >= 500 else answer


async def sends_refused_again(http: Http, request: Request) -> Answer:
    answer = await http.send(request)
    return await http.send(request) if 400 <= answer.status < 500 and request.endpoint == "create" else answer


async def takes_5xx_for_a_no(http: Http, request: Request) -> Answer:
    answer = await http.send(request)
    return replace(answer, status=400, body=_NO) if answer.status >= 500 else answer


async def takes_a_no_under_200_for_a_refusal(http: Http, request: Request) -> Answer:
    answer = await http.send(request)
    no = request.endpoint == "create" and b'"success": false' in answer.body
    return replace(answer, status=400) if no else answer


async def takes_silence_for_a_no(http: Http, request: Request) -> Answer:
    answer = await http.send(request)
    silent = not answer.body or b"Something went wrong" in answer.body
    return replace(answer, body=_NO) if request.endpoint == "create" and answer.status == 400 and silent else answer


async def takes_no_listing_for_an_empty_one(http: Http, request: Request) -> Answer:
    answer = await http.send(request)
    return json_answer(200, _EMPTY) if answer.status >= 400 and request.endpoint in ("list", "pods") else answer


async def names_it_afterwards(http: Http, request: Request) -> Answer:
    if request.endpoint != "create":
        return await http.send(request)
    label = request.json()["label"]
    answer = await http.send(_saying(request, lambda body: body.pop("label")))
    path = f"/api/v0/instances/{answer.json()['new_contract']}/"
    await http.send(replace(request, path=path, endpoint="state", body=json.dumps({"label": label}).encode()))
    return answer


async def accepts_every_price(http: Http, request: Request) -> Answer:
    answer = await http.send(request)
    if request.endpoint == "increases":
        for row in answer.json()["pending_price_increases"]:
            body = json.dumps({"pending_price_increase_id": row["pending_price_increase_id"]}).encode()
            path = "/api/v0/instances/accept-price-increase/"
            await http.send(Request(method="PUT", path=path, endpoint="accept", body=body))
    return answer


async def pastes_values(http: Http, request: Request) -> Answer:
    """RunPod's own client 1.12 does so."""
    if request.endpoint != "graphql":
        return await http.send(request)
    asked = request.json()
    text = re.sub(r"^(\w+) \([^)]*\)", r"\1", asked["query"])  # without variables
    for name, value in asked["variables"].items():
        text = text.replace(f"${name}", _pasted(value))
    return await http.send(replace(request, body=json.dumps({"query": text}).encode()))


def _pasted(value: Any) -> str:
    if isinstance(value, dict):
        fields = [f"{key}: {_pasted(one)}" for key, one in value.items() if key != "cloudType"]  # an enum: any will do
        return "{" + ", ".join(fields) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_pasted, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else json.dumps(value)


_EMPTY = {"instances": [], "total_instances": 0, "next_token": None, "pods": []}
_NO = b'{"success": false, "error": "invalid_args", "detail": "the request is wrong"}'


def named(body: Any) -> None:
    """Everything as if it were of our fleet."""
    for field, rows in (("label", body.get("instances", ())), ("name", body.get("pods", ()))):
        for row in rows:
            token = "".join(filter(str.isalnum, str(row["id"]).lower()))
            row[field] = make_label(FLEET, "images", token)


def first_page(body: Any) -> None:
    """For all there is."""
    if "instances" in body:
        body |= {"next_token": None, "total_instances": len(body["instances"])}
    elif "pods" in body:
        body["pagination"] = {"hasNextPage": False, "nextCursor": None}


_WORDS = ("loading", "running", "stopped", "exited", None, "created")


def _ours(body: Any) -> list[Any]:
    """The rows that such a client reads: it is fine until it has rented something."""
    return [row for row in body["instances"] if parse_label(row["label"], FLEET)]


def chokes_on_a_new_word(body: Any) -> None:
    if any(row["actual_status"] not in _WORDS for row in _ours(body)):
        body.clear()


def chokes_on_null(body: Any) -> None:
    if any(row["geolocation"] is None for row in _ours(body)):
        body.clear()


def with_half_the_disk(row: Any) -> None:
    """Which costs as much as the whole would while the pod runs."""
    if row["status"] == "EXITED":
        row["mounts"]["persistent"]["size"] //= 2


def as_wanted_up(row: Any) -> None:
    if row["status"] in ("PROVISIONING", "STARTING"):
        row["status"] = "RUNNING"


def as_starting(row: Any) -> None:
    if row["status"] == "ERROR":
        row["status"] = "STARTING"


def as_wanted(row: Any) -> None:
    """An offer, without a look at what it is."""
    row |= {"dph_total": 0.4, "dph_base": 0.39}
