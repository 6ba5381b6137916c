"""RunPod's adapter on a clock that a test moves by hand: over the emulator, and over written answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.core.errors import UnclearOutcome
from autoscaler.core.market import Offer
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.core.units import DurationRange, Secret
from autoscaler.emulate.loopback import Loopback
from autoscaler.emulate.runpod import Emulation, Quirk, make
from providers.http import Answer, Request, json_answer
from providers.mock import Market, MockSettings, Stock
from providers.runpod import RunpodProvider, RunpodSettings
from tests.support.bench import START, BaseBench, Means
from tests.support.market import CALM

KEY = "rpa_a-key-of-the-account"
MACHINE = MachineSpec(image="ghcr.io/acme/worker:1.0", gpus=("RTX 4090",), ready="http :8188/ready")
SECURE = Placement(provider="runpod", cloud="secure", max_usd_per_hour=2.0)
SPOT = replace(SECURE, buy="spot")
LABEL = "autoscaler.fleet.images.token00001"

MARKET = replace(
    CALM,
    stock=(
        Stock(gpu="NVIDIA GeForce RTX 4090", region="EU-RO-1", on_demand=0.69, spot=0.35),
        Stock(gpu="NVIDIA GeForce RTX 4090", region="US-KS-2", on_demand=0.69, spot=0.35, hosts=3),
        Stock(gpu="NVIDIA GeForce RTX 4090", region="CA", on_demand=0.39, spot=0.20, hosts=2),
        Stock(gpu="NVIDIA L40S", region="US-KS-2", on_demand=0.86, spot=0.50),
    ),
    price_swing=0.0,
    setup=DurationRange(300.0, 300.0),
    resume=DurationRange(60.0, 60.0),
    stop=DurationRange(5.0, 5.0),
    foreign=("somebody's notebook", LABEL.replace("fleet", "other")),
    balance_usd=100.0,
)
"""A market in which nothing goes wrong and every duration is known."""


class Bench(BaseBench):
    """An account at an emulated RunPod, and its time."""

    placement = SECURE
    machine = MACHINE

    def __init__(self, market: MockSettings = MARKET, *quirks: Quirk, **settings: Any) -> None:
        super().__init__()
        emulation = Emulation(market=market, quirks=quirks)
        self._emulator = make(emulation, now=lambda: self.now, rng=random.Random(1))
        means = Means(lambda: self.now, lambda service: Loopback(self._emulator, service))
        self.provider = RunpodProvider("runpod", RunpodSettings(api_key=Secret(KEY), **settings), means)

    @property
    def market(self) -> Market:
        return self._emulator.market

    async def rent(self, placement: Placement | None = None, label: str = LABEL) -> str:
        """Rent the cheapest offer; unless told otherwise all machines go by one label."""
        return await super().rent(placement, label)


Reply = Answer | Callable[[Request], Answer] | None
"""None breaks the connection off."""


@dataclass(slots=True)
class Script:
    """A RunPod that answers what was written, in order, and keeps what it was asked."""

    replies: list[Reply]
    asked: list[Request] = field(default_factory=list)

    async def send(self, request: Request) -> Answer:
        """The next answer; see :class:`providers.http.Http`."""
        self.asked.append(request)
        reply = self.replies.pop(0)
        if reply is None:
            raise UnclearOutcome("no answer: the connection was reset")
        return reply(request) if callable(reply) else reply

    async def close(self) -> None:
        """Nothing is held open."""

    @property
    def lines(self) -> list[str]:
        """What was asked: method and path, with the query."""
        return [" ".join([each.method, each.path, *(f"{k}={v}" for k, v in each.query.items())]) for each in self.asked]


def scripted(*replies: Reply, **settings: Any) -> tuple[RunpodProvider, Script]:
    """The adapter over written answers."""
    script = Script(list(replies))
    own = RunpodSettings(api_key=Secret(KEY), **settings)
    return RunpodProvider("runpod", own, Means(lambda: START, lambda _: script)), script


def pod(pod_id: str = "pod1", **changed: Any) -> dict[str, Any]:
    """A pod as the specification of REST v2 shows one."""
    return {
        "id": pod_id,
        "name": LABEL,
        "image": "ghcr.io/acme/worker:1.0",
        "args": "",
        "disk": 50,
        "ports": ["8188/tcp"],
        "env": {},
        "registry": None,
        "status": "RUNNING",
        "actions": ["stop", "restart", "terminate"],
        "mounts": {"persistent": {"size": 40, "path": "/workspace"}},
        "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1},
        "cloud": "SECURE",
        "dataCenterId": "EU-RO-1",
        "template": None,
        "cost": 0.69,
        "locked": False,
        "globalNetworking": {"enabled": False},
        "runtime": None,
        "createdAt": "2027-01-15T08:00:00Z",
        "startedAt": None,
    } | changed


def pods(*rows: dict[str, Any], cursor: str | None = None) -> Answer:
    """A page of the listing."""
    pages = {"nextCursor": cursor, "hasNextPage": cursor is not None}
    return json_answer(200, {"pods": list(rows), "pagination": pages})


def problem(status: int, detail: str, *errors: str, **headers: str) -> Answer:
    """A refusal of REST v2."""
    body: dict[str, Any] = {"title": "x", "status": status, "detail": detail}
    return json_answer(status, body | ({"errors": list(errors)} if errors else {}), **headers)


def html(status: int) -> Answer:
    """What a gateway says in the API's place."""
    page = b"<html><head><title>Error</title></head></html>"
    return Answer(status=status, headers={"content-type": "text/html"}, body=page)


def data(**fields: Any) -> Answer:
    """An answer of GraphQL."""
    return json_answer(200, {"data": fields})


def errors(*messages: str, code: str = "", status: int = 200, made: dict[str, Any] | None = None) -> Answer:
    """A refusal of GraphQL."""
    extra: dict[str, Any] = {"extensions": {"code": code}} if code else {}
    return json_answer(status, {"data": made, "errors": [{"message": message} | extra for message in messages]})


def gpu(gpu_id: str = "NVIDIA GeForce RTX 4090", name: str = "RTX 4090", **changed: Any) -> dict[str, Any]:
    """A GPU type of the catalogue."""
    centres = {"EU-RO-1": "HIGH", "US-KS-2": "LOW"}
    return {
        "id": gpu_id,
        "name": name,
        "secure": True,
        "community": True,
        "price": {"secure": 0.69, "community": 0.39},
        "maxCount": {"secure": 8, "community": 4},
        "availability": "HIGH",
        "dataCenters": [{"id": each, "name": each, "availability": level} for each, level in centres.items()],
    } | changed


def gpus(*rows: dict[str, Any]) -> Answer:
    """The catalogue."""
    return json_answer(200, {"gpus": list(rows)})


def offer(offer_id: str = "secure/EU-RO-1/NVIDIA GeForce RTX 4090", **changed: Any) -> Offer:
    """An offer as the adapter makes it for `MACHINE`: 40 and 50 GB of disk cost 0.0125 USD per hour."""
    plain: dict[str, Any] = {
        "provider": "runpod",
        "offer_id": offer_id,
        "gpu": "RTX 4090",
        "region": "EU-RO-1",
        "host": "",
        "buy": "on_demand",
        "usd_per_hour": 0.7025,
        "disk_usd_per_hour": 40 * 0.20 / 720,
    }
    return Offer(**(plain | changed))
