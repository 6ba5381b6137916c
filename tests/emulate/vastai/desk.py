"""An emulated Vast.ai on a clock that a test moves by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from autoscaler.core.units import DurationRange
from autoscaler.emulate.vastai import Emulation, Quirk, make
from providers.http import Answer
from providers.mock import Fault, Step, Stock
from tests.emulate.base_desk import BaseDesk
from tests.support.market import CALM

HOUR = 3600.0
START = 1_795_000_000.0
GPU = "RTX 4090"
MARKET = replace(
    CALM,
    stock=(
        Stock(gpu=GPU, region="US", on_demand=0.60, spot=0.30, hosts=2),
        Stock(gpu=GPU, region="DE", on_demand=0.60, spot=0.30, hosts=1),
        Stock(gpu="RTX 3090", region="US", on_demand=0.30, spot=0.15, hosts=2),
    ),
    price_swing=0.0,
    setup=DurationRange(60.0, 60.0),
    resume=DurationRange(30.0, 30.0),
    balance_usd=100.0,
)
"""A market in which nothing goes wrong and every duration is known."""

ORDER: dict[str, Any] = {"image": "ghcr.io/acme/worker:1.4", "disk": 40.0, "label": "w1", "cancel_unavail": True}


class Desk(BaseDesk):
    """An account at an emulated Vast.ai, and its time."""

    def __init__(self, *quirks: Quirk, **market: Any) -> None:
        super().__init__(make, Emulation(market=replace(MARKET, **market), quirks=quirks), start=START)

    async def offers(self, **query: Any) -> list[dict[str, Any]]:
        """What a search finds, cheapest first."""
        body = {"order": [["dph_total", "asc"]], "allocated_storage": 40.0, **query}
        answer = await self.ask("POST", "/api/v0/bundles/", body)
        assert answer.status == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["offers"]
        return found

    async def create(self, **order: Any) -> Answer:
        """The answer to an order of the cheapest RTX 4090."""
        (offer, *_) = await self.offers(gpu_name={"eq": GPU}, type="bid" if order.get("price") else "on-demand")
        return await self.ask("PUT", f"/api/v0/asks/{offer['id']}/", {**ORDER, **order})

    async def rent(self, **order: Any) -> int:
        """A new instance's id."""
        answer = await self.create(**order)
        assert answer.status == 200, answer.text
        made: int = answer.json()["new_contract"]
        return made

    async def running(self, **order: Any) -> int:
        """The id of a new instance that is up."""
        instance_id = await self.rent(**order)
        self.now += 61.0
        return instance_id

    async def stopped(self, **order: Any) -> int:
        """The id of an instance that was up and is stopped."""
        instance_id = await self.running(**order)
        await self.put(instance_id, state="stopped")
        self.now += 11.0
        return instance_id

    async def put(self, instance_id: int, **body: Any) -> Answer:
        """The answer to a change of state or label."""
        return await self.ask("PUT", f"/api/v0/instances/{instance_id}/", body)

    async def destroy(self, instance_id: int) -> Answer:
        """The answer to a destroy."""
        return await self.ask("DELETE", f"/api/v0/instances/{instance_id}/", {})

    async def row(self, instance_id: int) -> dict[str, Any]:
        """An instance as it is shown."""
        answer = await self.ask("GET", f"/api/v0/instances/{instance_id}/", owner="me")
        assert answer.status == 200, answer.text
        shown: dict[str, Any] = answer.json()["instances"]
        return shown

    async def page(self, **query: str) -> Answer:
        """One page of the listing."""
        return await self.ask("GET", "/api/v1/instances/", **query)

    async def listed(self) -> list[int]:
        """The ids on all pages of the listing."""
        ids, query = [], {"limit": "25"}
        while True:
            page = (await self.page(**query)).json()
            ids += [row["id"] for row in page["instances"]]
            if page["next_token"] is None:
                return ids
            query["after_token"] = page["next_token"]

    async def charges(self, since: float, until: float) -> dict[str, dict[str, Any]]:
        """What was billed in a time, by `instance-ID`."""
        days = json.dumps({"day": {"gte": since, "lte": until}, "type": {"in": ["instance"]}})
        answer = await self.ask("GET", "/api/v0/charges/", select_filters=days, format="table")
        assert answer.status == 200, answer.text
        return {row["source"]: row for row in answer.json()["results"]}


def step(fault: Fault, **when: Any) -> tuple[Step, ...]:
    """A scenario of one step."""
    return (Step(fault=fault, **when),)
