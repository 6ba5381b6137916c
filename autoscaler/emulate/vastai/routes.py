"""Vast.ai's endpoints: where they are, what answers them, and how often they may be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.emulate.vastai import billing, change, create, instances, offers
from autoscaler.emulate.vastai.account import Account, Call
from autoscaler.emulate.vastai.errors import refusal
from providers.http import Answer
from providers.mock import Operation

_NUMBER = "{id}"


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint."""

    method: str
    path: str
    answer: Callable[[Account, Call], Answer]
    threshold_s: float = 0.0
    """The least time between two requests, as the specification has it."""
    strikes: Operation | None = None
    """What the market's faults take it for."""

    @property
    def name(self) -> str:
        """What the endpoint is called."""
        return self.answer.__name__

    def operation(self, body: Mapping[str, Any], query: Mapping[str, str]) -> Operation | None:
        """What the market's faults take a request for: its first page alone of a listing."""
        if self.strikes is Operation.LIST and query.get("after_token"):
            return None
        if self.answer in (change.manage, change.manage_many):
            return {"running": Operation.RESUME, "stopped": Operation.STOP}.get(str(body.get("state")))
        return self.strikes

    def is_own(self, body: Mapping[str, Any]) -> bool:
        """Whether an instance's key opens it, for that instance."""
        return self.answer is change.destroy or (self.answer is change.manage and "state" in body)


def _serverless(_account: Account, _call: Call) -> Answer:
    raise refusal(501, "not_emulated", "Serverless endpoints and workergroups are not part of this emulator.")


def _logs(account: Account, call: Call) -> Answer:
    account.machine(call.number)
    raise refusal(501, "not_emulated", "Instances here have no containers, hence no logs.")


ROUTES = (
    Route("POST", "api/v0/bundles", offers.search, 6.0, Operation.OFFERS),
    Route("PUT", "api/v0/search/asks", offers.search_asks, 6.0, Operation.OFFERS),
    Route("PUT", "api/v0/asks/{id}", create.create, 4.5, Operation.RENT),
    Route("POST", "api/v0/asks/bulk", create.create_many, 4.5, Operation.RENT),
    Route("PUT", "api/v0/launch_instance", create.launch, 5.0, Operation.RENT),
    Route("GET", "api/v1/instances", instances.listing, 1.0, Operation.LIST),
    Route("GET", "api/v0/instances/filters", instances.filters),
    Route("GET", "api/v0/instances/{id}", instances.show, 2.0),
    Route("PUT", "api/v0/instances/{id}", change.manage, 1.0),
    Route("PUT", "api/v0/instances", change.manage_many, 1.0),
    Route("POST", "api/v0/instances/start", change.start_many, 2.0, Operation.RESUME),
    Route("DELETE", "api/v0/instances/{id}", change.destroy, 3.0, Operation.RELEASE),
    Route("DELETE", "api/v0/instances", change.destroy_many, 3.0, Operation.RELEASE),
    Route("PUT", "api/v0/instances/reboot/{id}", change.reboot, 1.0),
    Route("PUT", "api/v0/instances/recycle/{id}", change.recycle, 1.0),
    Route("PUT", "api/v0/instances/bid_price/{id}", change.bid, 5.5, Operation.SET_BID),
    Route("PUT", "api/v0/instances/request_logs/{id}", _logs),
    Route("GET", "api/v0/instances/pending-price-increases", change.price_increases),
    Route("PUT", "api/v0/instances/accept-price-increase", change.accept_price_increase),
    Route("PUT", "api/v0/instances/reject-price-increase", change.reject_price_increase),
    Route("GET", "api/v0/users/current", billing.user, strikes=Operation.BALANCE),
    Route("GET", "api/v0/charges", billing.charges, 1.0),
    Route("GET", "api/v0/gpu_types", offers.gpu_types),
    Route("GET", "api/v0/gpu_names/unique", offers.gpu_names),
    Route("POST", "api/v0/endptjobs", _serverless),
    Route("POST", "api/v0/autojobs", _serverless),
)

OPEN = frozenset({"search", "search_asks", "gpu_types", "gpu_names"})
"""Endpoints that answer without a key. [reports]"""


def route_of(method: str, path: str) -> tuple[Route, int]:
    """The endpoint of a request, and the number in its path.

    Raises:
        Refused: there is none.
    """
    parts = path.strip("/").split("/")
    plain = "/".join(parts)
    number = int(parts[-1]) if parts[-1].isascii() and parts[-1].isdigit() else 0
    numbered = "/".join([*parts[:-1], _NUMBER])
    there = [route for route in ROUTES if route.path == plain or (number and route.path == numbered)]
    for route in there:
        if route.method == method:
            return route, number
    if there:
        raise refusal(405, "method_not_allowed", f"{method} is not allowed at /{plain}/")
    raise refusal(404, "unknown_path", f"/{plain}/ is not emulated")
