"""REST v2: requests to answers."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from autoscaler.emulate.runpod.account import Account
from autoscaler.emulate.runpod.bills import Bills
from autoscaler.emulate.runpod.bodies import ACT, CREATE, UPDATE, UpdatePod, read_body
from autoscaler.emulate.runpod.catalogue import GpuType
from autoscaler.emulate.runpod.keys import Caller
from autoscaler.emulate.runpod.orders import order_of
from autoscaler.emulate.runpod.quirks import Quirk
from autoscaler.emulate.runpod.refusals import HOST_FULL, Refusal
from autoscaler.emulate.runpod.words import ACTIONS, gpu_words, pod_words, stock_words
from providers.http import Answer, Request, json_answer
from providers.mock import Fault, Operation

_MOST_PER_PAGE, _SHORT_PAGE = 1000, 2

Query = Mapping[str, str]
Handler = Callable[[Request, float], Answer]


class Rest:
    """RunPod's REST API, version 2, as far as pods go."""

    def __init__(self, account: Account, quirks: Collection[Quirk]) -> None:
        self._account = account
        self._quirks = quirks
        self._bills = Bills(account)

    def answer(self, request: Request, now: float, caller: Caller) -> Answer:
        """The answer to one request.

        Raises:
            Refusal, Silence, Dropped: it is refused, or a fault strikes.
        """
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        caller.require(parts[2] if parts[:2] == ["v2", "pods"] and len(parts) > 2 else None)
        methods = self._methods(parts)
        if not methods:
            raise Refusal(404, "page not found")
        if request.method not in methods:
            return problem(Refusal(405, "method not allowed"), allow=", ".join(methods))
        return methods[request.method](request, now)

    def _methods(self, parts: list[str]) -> Mapping[str, Handler]:
        """What can be done at a path; nothing where there is none."""
        match parts:
            case ["v2", "pods"]:
                return {"GET": self._list, "POST": self._create}
            case ["v2", "pods", pod_id]:
                return {
                    "GET": lambda _, now: json_answer(200, pod_words(self._account.find(pod_id), now)),
                    "PATCH": lambda request, now: self._update(request, now, pod_id),
                    "DELETE": lambda _, now: self._terminate(now, pod_id),
                }
            case ["v2", "pods", pod_id, "action"]:
                return {"POST": lambda request, now: self._act(request, now, pod_id)}
            case ["v2", "catalog", "gpus"]:
                return {"GET": self._gpus}
            case ["v2", "catalog", "gpus", gpu]:
                return {"GET": lambda request, now: self._gpu(request, now, gpu)}
            case ["v2", "catalog", "datacenters"]:
                return {"GET": self._data_centers}
            case ["v2", "billing", "pods"]:
                return {"GET": lambda request, now: json_answer(200, self._bills.words(request.query, now))}
            case _:
                return {}

    # Pods

    def _list(self, request: Request, now: float) -> Answer:
        pods, struck = self._account.listed(now)
        if Quirk.NO_PAGINATION in self._quirks:
            return json_answer(200, {"pods": [pod_words(pod, now) for pod in pods]})
        limit = _whole(request.query, "limit", _MOST_PER_PAGE, most=_MOST_PER_PAGE)
        if "cursor" in request.query:
            before = _read_cursor(request.query["cursor"])
            pods = [pod for pod in pods if pod.serial < before]
        if Quirk.SHORT_PAGES in self._quirks:
            limit = min(limit, _SHORT_PAGE)
        if Fault.LISTS_HALF in struck:
            limit = min(limit, max(1, len(pods) // 2))
        page, more = pods[:limit], len(pods) > limit
        pagination = {"nextCursor": _cursor(page[-1].serial) if more else None, "hasNextPage": more}
        return json_answer(200, {"pods": [pod_words(pod, now) for pod in page], "pagination": pagination})

    def _create(self, request: Request, now: float) -> Answer:
        pod = self._account.create(now, order_of(read_body(CREATE, request.body)))
        words = pod_words(pod, now)
        if Quirk.EXAMPLE_SHAPES in self._quirks:
            words |= {"actions": ["start", "terminate"], "runtime": {}, "template": "9x4m2p7v"}
        return json_answer(201, words)

    def _update(self, request: Request, now: float, pod_id: str) -> Answer:
        change = read_body(UPDATE, request.body)
        pod = self._account.find(pod_id)
        if change != UpdatePod(name=change.name, locked=change.locked):
            raise Refusal(400, "this emulator changes nothing of a pod but its name and locked")
        pod.name = pod.name if change.name is None else change.name
        pod.locked = pod.locked if change.locked is None else change.locked
        return json_answer(200, pod_words(pod, now))

    def _act(self, request: Request, now: float, pod_id: str) -> Answer:
        action = read_body(ACT, request.body).action
        pod = self._account.find(pod_id)
        if action not in ACTIONS[pod.status(now)]:
            raise Refusal(409, f"cannot {action} a pod that is {pod.status(now)}")
        match action:
            case "terminate":
                return self._terminate(now, pod_id)
            case "stop":
                self._account.stop(now, pod_id)
            case "start":
                return self._start(now, pod_id)
            case "restart":
                pod.started_at, pod.ports_known = now, False
        return json_answer(200, pod_words(pod, now))

    def _start(self, now: float, pod_id: str) -> Answer:
        try:
            pod = self._account.start(now, pod_id)
        except Refusal as refusal:
            if refusal.detail == HOST_FULL and Quirk.HOST_FULL_500 in self._quirks:
                return json_answer(500, {"error": f"start pod: {HOST_FULL}", "status": 500})
            raise
        return json_answer(200, pod_words(pod, now))

    def _terminate(self, now: float, pod_id: str) -> Answer:
        self._account.terminate(now, pod_id)
        return Answer(status=204)

    # Catalogue

    def _gpus(self, request: Request, now: float) -> Answer:
        rows = self._kinds(self._account.catalogue.gpus, request.query, now)
        return json_answer(200, {"gpus": rows})

    def _gpu(self, request: Request, now: float, gpu: str) -> Answer:
        kind = self._account.catalogue.find(gpu)
        if kind is None:
            raise Refusal(404, "gpu type not found")
        return json_answer(200, self._kinds((kind,), request.query, now)[0])

    def _kinds(self, kinds: Collection[GpuType], query: Query, now: float) -> list[dict[str, Any]]:
        catalogue = self._account.catalogue
        included = _words(query, "include", {"AVAILABILITY"})
        products = _words(query, "product", {"POD", "CLUSTER", "SERVERLESS"})
        if included and not products:
            raise Refusal(400, "product is required with include=AVAILABILITY")
        clouds = _words(query, "cloud", {"SECURE", "COMMUNITY"}) or ["SECURE"]
        count = _whole(query, "count", 1)
        struck = self._account.strike(Operation.OFFERS, now)
        return [
            gpu_words(kind, catalogue, now, self._quirks)
            | (stock_words(kind, catalogue, now, struck, cloud=clouds[0], count=count) if included else {})
            for kind in kinds
        ]

    def _data_centers(self, request: Request, now: float) -> Answer:
        catalogue = self._account.catalogue
        included = _words(request.query, "include", {"GPU_AVAILABILITY", "CPU_AVAILABILITY"})
        regions = _words(request.query, "regions", set(_REGIONS.values()) | {"UNKNOWN"})
        struck = self._account.strike(Operation.OFFERS, now)
        rows = []
        for center in catalogue.data_centers:
            row: dict[str, Any] = {
                "id": center,
                "name": center,
                "region": _REGIONS.get(center[:2], "UNKNOWN"),
                "networkVolumeTypes": [],
                "compliance": [],
                "globalNetwork": False,
            }
            if "GPU_AVAILABILITY" in included:
                row["gpuAvailability"] = [
                    {
                        "id": kind.id,
                        "name": kind.name,
                        "availability": catalogue.level(now, kind.id, "SECURE", struck, data_center=center),
                    }
                    for kind in catalogue.gpus
                ]
            if "CPU_AVAILABILITY" in included:
                row["cpuAvailability"] = []
            if not regions or row["region"] in regions:
                rows.append(row)
        return json_answer(200, {"dataCenters": rows})


_REGIONS = {
    "US": "NORTH_AMERICA",
    "CA": "NORTH_AMERICA",
    "EU": "EUROPE",
    "AP": "ASIA",
    "OC": "OCEANIA",
}


def problem(refusal: Refusal, **headers: str) -> Answer:
    """A refusal as problem+json."""
    words: dict[str, Any] = {
        "title": HTTPStatus(refusal.status).phrase,
        "status": refusal.status,
        "detail": refusal.detail,
    }
    if refusal.errors:
        words["errors"] = list(refusal.errors)
    if refusal.retry_after_s is not None:
        headers["retry_after"] = str(refusal.retry_after_s)
    return json_answer(refusal.status, words, **(headers | {"content_type": "application/problem+json"}))


def _words(query: Query, name: str, known: Collection[str]) -> list[str]:
    """The words of a comma-separated parameter.

    Raises:
        Refusal: one of them is not known.
    """
    words = [word for word in query.get(name, "").split(",") if word]
    if unknown := [word for word in words if word not in known]:
        raise Refusal(422, "request parameters failed validation", errors=(f"{name}: unknown value '{unknown[0]}'",))
    return words


def _whole(query: Query, name: str, default: int, *, most: int = 10**9) -> int:
    """A whole number from 1 on.

    Raises:
        Refusal: the parameter is none.
    """
    text = query.get(name, str(default))
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not 1 <= int(text) <= most:
        raise Refusal(422, "request parameters failed validation", errors=(f"{name}: '{text}' is out of range",))
    return int(text)


def _cursor(serial: int) -> str:
    return base64.urlsafe_b64encode(f"before:{serial}".encode()).decode()


def _read_cursor(text: str) -> int:
    """The place a cursor stands for.

    Raises:
        Refusal: it is none of ours.
    """
    try:
        word, _, serial = base64.b64decode(text, altchars=b"-_", validate=True).decode("ascii").partition(":")
        if word == "before":
            return int(serial)
    except (binascii.Error, ValueError):
        pass
    raise Refusal(422, "request parameters failed validation", errors=("cursor: not a cursor of this listing",))
