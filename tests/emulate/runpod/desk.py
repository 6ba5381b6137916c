"""An emulated RunPod on a clock that a test moves by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from autoscaler.core.units import DurationRange
from autoscaler.emulate.runpod import Emulation, Quirk, make
from providers.http import Answer
from providers.mock import Stock
from tests.emulate.base_desk import KEY, BaseDesk
from tests.support.market import CALM

HOUR = 3600.0
START = 1_800_000_000.0
GPU = "NVIDIA GeForce RTX 4090"
MARKET = replace(
    CALM,
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
    balance_usd=100.0,
)
"""A market in which nothing goes wrong and every duration is known."""

ORDER: dict[str, Any] = {"name": "w1", "image": "ghcr.io/acme/worker:1.4", "gpu": {"id": GPU}, "disk": 40}


class Desk(BaseDesk):
    """An account at an emulated RunPod, and its time."""

    def __init__(self, *quirks: Quirk, **market: Any) -> None:
        super().__init__(make, Emulation(market=replace(MARKET, **market), quirks=quirks), start=START)

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

    async def graph(self, query: str, *, key: str = KEY, **variables: Any) -> Any:
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
