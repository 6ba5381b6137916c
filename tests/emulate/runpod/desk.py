"""An emulated RunPod on a clock that a test moves by hand."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

from autoscaler.core.units import DurationRange
from autoscaler.emulate.runpod import Emulation, Quirk, make
from providers.http import Answer, json_request
from providers.mock import Fault, Market, MockSettings, Stock
from providers.mock.machine import Machine

HOUR = 3600.0
START = 1_800_000_000.0
GPU = "NVIDIA GeForce RTX 4090"
CALM = MockSettings(
    stock=(
        Stock(gpu=GPU, region="EU-RO-1", on_demand=0.69, spot=0.35, hosts=2),
        Stock(gpu=GPU, region="US-KS-2", on_demand=0.69, spot=0.35, hosts=2),
        Stock(gpu="NVIDIA RTX A5000", region="EU-RO-1", on_demand=0.27, spot=0.16, hosts=1, gpus_per_host=1),
        Stock(gpu="NVIDIA RTX A5000", region="CA", on_demand=0.22, spot=0.12, hosts=1),
    ),
    price_swing=0.0,
    setup=DurationRange(30.0, 30.0),
    resume=DurationRange(20.0, 20.0),
    stop=DurationRange(4.0, 4.0),
    let_to_others=DurationRange(HOUR, HOUR),
    offline=DurationRange(600.0, 600.0),
    listing_lag=DurationRange(60.0, 60.0),
    faults={Fault.RESUME_REFUSED: 0.0, Fault.OUTBID: 0.0},
    balance_usd=100.0,
)
"""A market in which nothing goes wrong and every duration is known."""

ORDER: dict[str, Any] = {"name": "w1", "image": "ghcr.io/acme/worker:1.4", "gpu": {"id": GPU}, "disk": 40}


class Desk:
    """One emulated account and its time."""

    def __init__(self, *quirks: Quirk, **market: Any) -> None:
        self.now = START
        settings = Emulation(market=replace(CALM, **market), quirks=quirks)
        self.emulator = make(settings, now=lambda: self.now, rng=random.Random(7))

    @property
    def market(self) -> Market:
        """The truth."""
        return self.emulator.market

    def machine(self, pod_id: str) -> Machine:
        """The truth about one pod."""
        return self.market.machines[pod_id]

    def bill(self, pod_id: str) -> float:
        """What a pod truly cost."""
        return self.market.billed_usd(self.now)[pod_id]

    async def ask(self, method: str, path: str, body: Any = None, *, key: str | None = "rpa_t", **query: str) -> Answer:
        """Send one request."""
        request = json_request(method, path, body, **query)
        bearer = {} if key is None else {"authorization": f"Bearer {key}"}
        return await self.emulator.handle(replace(request, headers={**request.headers, **bearer}))

    async def get(self, path: str, **query: str) -> Any:
        """What a GET gives."""
        answer = await self.ask("GET", path, **query)
        assert answer.status == 200, answer.text
        return answer.json()

    async def create(self, **fields: Any) -> dict[str, Any]:
        """Make a pod; fields are added to a plain order."""
        answer = await self.ask("POST", "/v2/pods", {**ORDER, **fields})
        assert answer.status == 201, answer.text
        pod: dict[str, Any] = answer.json()
        return pod

    async def create_running(self, **fields: Any) -> str:
        """Make a pod and wait until it runs; gives its id."""
        pod = await self.create(**fields)
        self.now += 60
        return str(pod["id"])

    async def create_stopped(self, **fields: Any) -> str:
        """Make a pod, run it for a while, stop it; gives its id."""
        pod_id = await self.create_running(**fields)
        await self.act(pod_id, "stop")
        self.now += 10
        return pod_id

    async def act(self, pod_id: str, action: str) -> Answer:
        """Do something with a pod."""
        return await self.ask("POST", f"/v2/pods/{pod_id}/action", {"action": action})

    async def pod(self, pod_id: str) -> Any:
        """A pod as REST shows it."""
        return await self.get(f"/v2/pods/{pod_id}")

    async def listed(self) -> list[str]:
        """The ids of the pods that REST lists, newest first."""
        return [pod["id"] for pod in (await self.get("/v2/pods"))["pods"]]

    async def graph(self, query: str, *, key: str | None = "rpa_t", **variables: Any) -> Any:
        """Ask GraphQL; gives the whole answer."""
        answer = await self.ask("POST", "/graphql", {"query": query, "variables": variables}, key=key)
        assert answer.status == 200, answer.text
        return answer.json()


def detail(answer: Answer) -> str:
    """The words of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert problem["status"] == answer.status
    return str(problem["detail"])
