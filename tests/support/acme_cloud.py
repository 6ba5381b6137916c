"""Acme Cloud, the made-up cloud of the example provider, as a server over a mock market."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from autoscaler.core.errors import InsufficientFunds, NoCapacity, NotFound
from autoscaler.core.market import Offer, Remote, Status
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.emulate.base import Dropped
from providers.http import Answer, Request, json_answer
from providers.mock import Fault, Market, MockSettings, Operation, disk_usd_per_hour

KEY = "acme-0123456789abcdef"
_STATES = {Status.STARTING: "creating", Status.RUNNING: "up", Status.STOPPED: "halted", Status.FAILED: "broken"}
_REFUSALS = {NoCapacity: 409, NotFound: 404, InsufficientFunds: 402}


class AcmeCloud:
    """Answers as the cloud would; `now` gives epoch seconds."""

    def __init__(self, settings: MockSettings, now: Callable[[], float]) -> None:
        self.market = Market("acme", settings, settings.scenario, random.Random(7))
        self._now = now

    async def handle(self, request: Request) -> Answer:
        """The answer; an unknown key is repeated in it, as some clouds do."""
        said = request.headers.get("authorization", "")
        if said != f"Bearer {KEY}":
            return json_answer(401, {"error": f"no such key: {said}"})
        now, (call, *rest) = self._now(), request.path.strip("/").split("/")
        try:
            return json_answer(200, self._answer(f"{request.method} {call}", rest, request.json(), now))
        except tuple(_REFUSALS) as error:
            return json_answer(_REFUSALS[type(error)], {"error": str(error)})

    def _answer(self, call: str, rest: list[str], body: Any, now: float) -> Any:
        match call, rest:
            case "GET offers", []:
                return {"offers": [self._offer(each) for each in self._offers(now, MachineSpec(image="", gpus=()))]}
            case "GET machines", []:
                return {"machines": [_machine(each) for each in self.market.listing(now)]}
            case "POST machines", []:
                return {"id": self._rent(body, now)}
            case "POST machines", [machine, "start"]:
                self.market.resume(now, machine)
            case "POST machines", [machine, "stop"]:
                self.market.stop(now, machine)
            case "DELETE machines", [machine]:
                if machine not in self.market.machines:
                    raise NotFound(machine)
                self.market.release(now, machine)
            case "GET account", []:
                return {"cents": {"balance": 100 * (self.market.balance_usd(now) or 0.0)}}
            case "GET bills", [_]:
                return {"cents": {name: 100 * usd for name, usd in self.market.billed_usd(now).items()}}
            case _:
                raise NotFound(call)
        return {"id": rest[0]}

    def _rent(self, order: Any, now: float) -> str:
        machine = MachineSpec(image=order["image"], gpus=(), disk_gb=order["disk_gb"], env=order["env"])
        struck = self.market.strike(Operation.RENT, now)
        wanted = [each for each in self._offers(now, machine) if each.offer_id == order["offer"]]
        if not wanted:
            raise NoCapacity(f"offer {order['offer']} is taken")
        made = self.market.rent(now, wanted[0], machine, order["name"], struck)
        if Fault.ANSWER_LOST in struck:
            raise Dropped
        return made

    def _offers(self, now: float, machine: MachineSpec) -> list[Offer]:
        either = [Placement(provider="acme", max_usd_per_hour=99.0, buy=buy) for buy in ("on_demand", "spot")]
        return [offer for placement in either for offer in self.market.offers(now, placement, machine)]

    def _offer(self, offer: Offer) -> dict[str, Any]:
        return {
            "id": offer.offer_id,
            "disk_cents_per_gb_hour": 100 * disk_usd_per_hour(self.market.settings, 1.0),
            **_terms(offer),
        }


def _machine(remote: Remote) -> dict[str, Any]:
    return {
        "id": remote.provider_id,
        "name": remote.label,
        "state": _STATES.get(remote.status, remote.status.value),
        "disk_cents_per_hour": 100 * remote.disk_usd_per_hour,
        "address": remote.address,
        **_terms(remote),
    }


def _terms(of: Offer | Remote) -> dict[str, Any]:
    return {
        "gpu": of.gpu,
        "site": of.region,
        "host": of.host,
        "spot": of.buy == "spot",
        "gpu_cents_per_hour": 100 * (of.usd_per_hour - of.disk_usd_per_hour),
    }
