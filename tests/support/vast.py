"""Vast.ai for tests: rows as it sends them, an account that answers as it is told to, and one that is emulated."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from autoscaler.core.market import Remote
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.core.units import Secret
from autoscaler.emulate.loopback import Loopback
from autoscaler.emulate.vastai import Emulation, Quirk, make
from providers.http import Answer, Http, Request, Service, json_answer
from providers.mock import Fault, Market, MockSettings, Operation, Step, Stock
from providers.vastai import KIND, VastProvider, VastSettings
from tests.support.bench import START, BaseBench, Means
from tests.support.market import CALM

NOW = START
DAY = 86400.0
KEY = "k3y-0f-the-account"
TOKEN = "t0ken-0f-the-registry"
SETTINGS = VastSettings(api_key=Secret(KEY), image_login=Secret(f"-u bob -p {TOKEN} ghcr.io"))
MACHINE = MachineSpec(image="ghcr.io/acme/worker:1.0", gpus=("RTX 4090", "RTX 3090"), disk_gb=40.0)
ON_DEMAND = Placement(provider="vastai", max_usd_per_hour=2.0)
SPOT = replace(ON_DEMAND, buy="spot")
MARKET = replace(CALM, foreign=("somebody's notebook", "autoscaler.other.pool.token"))


def offer_row(**changes: Any) -> dict[str, Any]:
    """An offer as the search gives it: 0.32 USD/h, or 0.20 by bids, and a disk of 0.15 USD per GB and month."""
    row: dict[str, Any] = {
        "id": 41207733,
        "machine_id": 51877,
        "gpu_name": "RTX 4090",
        "num_gpus": 1,
        "dph_base": 0.32,
        "dph_total": 0.32 + 0.15 * 40 / 720,
        "min_bid": 0.20,
        "storage_cost": 0.15,
        "inet_down": 912.6,
        "inet_down_cost": 0.003,
        "cuda_max_good": 12.8,
        "reliability": 0.9967,
        "reliability2": 0.9967,
        "verification": "verified",
        "rentable": True,
        "rented": False,
        "external": None,
        "disk_space": 812.4,
        "direct_port_count": 250,
        "geolocation": "Iowa, US",
        "duration": 90 * DAY,
    }
    return row | changes


def instance_row(**changes: Any) -> dict[str, Any]:
    """A machine as the listing shows it: running on demand, for 0.32 USD/h and a disk of 0.008."""
    row: dict[str, Any] = {
        "id": 50911234,
        "label": "autoscaler.acme.images.aaaa",
        "actual_status": "running",
        "intended_status": "running",
        "cur_state": "running",
        "next_state": "running",
        "status_msg": "success, running acme/worker",
        "machine_id": 51877,
        "is_bid": False,
        "min_bid": 0.193,
        "dph_base": 0.32,
        "dph_total": 0.328,
        "storage_total_cost": 0.008,
        "num_gpus": 1,
        "gpu_name": "RTX 4090",
        "public_ipaddr": "203.0.113.9",
        "ports": {"8188/tcp": [{"HostIp": "0.0.0.0", "HostPort": "41233"}]},
        "end_date": NOW + 30 * DAY,
        "geolocation": "Iowa, US",
        "extra_env": [["-p 8188:8188", "1"], ["MODE", "fast"]],
    }
    return row | changes


def listing(*rows: dict[str, Any], **changes: Any) -> Answer:
    """A listing on one page."""
    body = {"success": True, "total_instances": len(rows), "next_token": None, "instances": list(rows)}
    return json_answer(200, body | changes)


def striking(*steps: Step) -> MockSettings:
    """A market in which these faults strike and no others."""
    return replace(MARKET, scenario=steps)


def once(fault: Fault, call: Operation | None = None) -> MockSettings:
    """A market in which a fault strikes the first call that it can strike, or the first of one kind."""
    return striking(Step(fault=fault, call=call) if call else Step(fault=fault))


def with_hosts(count: int) -> MockSettings:
    """A market of so many hosts of one kind, with two GPUs each."""
    return replace(MARKET, stock=(Stock(gpu="RTX 4090", region="US", on_demand=0.4, spot=0.2, hosts=count),))


Say = Callable[[Request], Answer]


class Account:
    """An account whose answers a test writes, by endpoint; it remembers what it was asked, and time stands still."""

    def __init__(self, **answers: Answer | list[Answer] | Say) -> None:
        """An answer is always the same, a list is given once and in order, and a function makes each."""
        self.time = NOW
        self.asked: list[Request] = []
        self.answers: dict[str, Answer | list[Answer] | Say] = dict(answers)
        self.answers.setdefault("increases", json_answer(200, {"pending_price_increases": []}))
        self.provider = VastProvider("vastai", SETTINGS, self, lambda: self.time)

    async def send(self, request: Request) -> Answer:
        self.asked.append(request)
        said = self.answers[request.endpoint]
        if isinstance(said, list):
            return said.pop(0)
        return said if isinstance(said, Answer) else said(request)

    async def close(self) -> None:
        """Nothing is held open."""

    def bodies(self, endpoint: str) -> list[Any]:
        """What was sent to an endpoint."""
        return [request.json() for request in self.asked if request.endpoint == endpoint]

    async def listed(self) -> Remote:
        """The one machine there is."""
        (remote,) = (await self.provider.list_machines()).machines
        return remote


class Bench(BaseBench):
    """An account at an emulated Vast.ai, and its time."""

    placement = ON_DEMAND
    machine = MACHINE

    def __init__(
        self,
        market: MockSettings = MARKET,
        *quirks: Quirk,
        around: Callable[[Http, Service], Http] = lambda http, _: http,
    ) -> None:
        super().__init__()
        self.sent: list[Request] = []
        self.refused = 0
        self._around = around
        self._emulator = make(Emulation(market=market, quirks=quirks), now=lambda: self.now, rng=random.Random(7))
        self.provider = KIND.make("vastai", SETTINGS, Means(lambda: self.now, self._http))

    @property
    def market(self) -> Market:
        return self._emulator.market

    def _http(self, service: Service) -> Http:
        self._line = Loopback(self._emulator, service)
        return self._around(self, service)

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        answer = await self._line.send(request)
        self.refused += answer.status == 429
        return answer

    async def close(self) -> None:
        """Nothing is held open."""

    async def listed(self) -> dict[str, Remote]:
        """Our machines as the listing shows them, by provider id."""
        shown = await super().listed()
        return {name: remote for name, remote in shown.items() if remote.label not in self.market.settings.foreign}

    def creates(self) -> int:
        """How often a machine was ordered."""
        return sum(request.endpoint == "create" for request in self.sent)
