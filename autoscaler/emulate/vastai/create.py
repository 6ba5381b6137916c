"""Accepting an offer: `PUT /api/v0/asks/{id}/` and its kin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.core.errors import InsufficientFunds, NoCapacity, PartialLaunch, Rejected
from autoscaler.core.spec import MachineSpec
from autoscaler.emulate.vastai.account import TEMPLATE_IMAGE, Account, Call, Order, instance_key
from autoscaler.emulate.vastai.errors import Refused, bad_request, refusal
from autoscaler.emulate.vastai.fields import ids, number, text, texts
from autoscaler.emulate.vastai.hardware import DISK_GB
from autoscaler.emulate.vastai.offers import found
from autoscaler.emulate.vastai.settings import Quirk
from providers.http import Answer, json_answer
from providers.mock import Fault
from providers.mock.hosts import Host

_LEAST_BID, _MOST_BID = 0.001, 128.0
_LEAST_DISK_GB = 8.0
_LONGEST_IMAGE, _LONGEST_LABEL, _LONGEST_COMMAND, _LONGEST_ENV = 1024, 256, 4096, 32768


def create(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/asks/{id}/`: make an instance from an open offer."""
    return _created(account, call, call.number)


def create_many(account: Account, call: Call) -> Answer:
    """`POST /api/v0/asks/bulk/`: one instance for each of `ids`, ending at the first that cannot be made."""
    made = [_created(account, call, ask_id).json() for ask_id in ids(call.body, "ids")]
    return json_answer(200, {"success": True, "results": made})


def launch(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/launch_instance/`: the first offer of a search, rented at once."""
    offers = found(account, call, call.body.get("q", {}))
    if not offers:
        raise refusal(404, "no_such_ask", "no_such_ask No offer matches the query.")
    return _created(account, call, offers[0]["id"])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Wanted:
    """What one request orders."""

    host: Host
    order: Order
    label: str
    bid: float | None
    """None for on demand."""
    stopped: bool
    """Nothing is started: that was asked for, or the GPU cannot be had."""


def _created(account: Account, call: Call, ask_id: int) -> Answer:
    body, bid = call.body, _bid(call.body)
    cancels = bid is None if body.get("cancel_unavail") is None else bool(body["cancel_unavail"])
    gone = _gone(account, ask_id, cancels=cancels)
    host = account.host_of_ask(ask_id)
    unavailable = Fault.OFFER_GONE in call.struck
    # Without `cancel_unavail` an instance is made all the same, stopped and billing its disk. [docs]
    if host is None or ask_id not in account.open_asks(host) or (unavailable and cancels):
        raise gone
    wanted = _Wanted(
        host=_instead_of(account, host) if account.has(Quirk.WRONG_MACHINE) else host,
        order=_order(body, account.place_of(host, call.now).ends_at),
        label=text(body, "label", longest=_LONGEST_LABEL),
        bid=bid,
        stopped=unavailable or body.get("target_state") == "stopped",
    )
    try:
        refused = _rent(account, call, wanted)
    except NoCapacity:
        raise gone from None
    except InsufficientFunds as error:
        word = "spend_rate_limit" if Fault.FUNDS_REFUSED in call.struck else "insufficient_credit"
        raise refusal(400, word, f"{word}: {error}") from None
    instance_id = account.accept(ask_id, wanted.order)
    if refused is None:
        return _told(account, instance_id)
    if refused is Fault.REFUSED_YET_MADE:
        raise Refused(Answer(status=400))
    told = "error 400/3510: Invalid price: the bid is below the machine's floor."
    raise refusal(400, "invalid_price", told, ask_id=ask_id, new_contract=instance_id)


def _rent(account: Account, call: Call, wanted: _Wanted) -> Fault | None:
    """Have the market make the machine; gives the fault by which it says no though it was made."""
    market, host, bid = account.market, wanted.host, wanted.bid
    struck = call.struck - {Fault.OFFER_GONE}
    if bid is not None and Fault.DEARER in struck:
        bid, struck = None, struck - {Fault.DEARER}  # on demand in place of a bid, and no word of it. [client]
    if wanted.stopped or (bid is not None and bid < host.usd_per_hour("spot", market.clock)):
        struck |= {Fault.PARTIAL_LAUNCH}
    price = host.usd_per_hour("on_demand", market.clock) if bid is None else bid
    offer = account.offer(host, "on_demand" if bid is None else "spot", price, wanted.order.disk_gb)
    machine = MachineSpec(
        image=wanted.order.image, gpus=(), disk_gb=wanted.order.disk_gb, env=wanted.order.env, args=wanted.order.args
    )
    try:
        market.rent(call.now, offer, machine, wanted.label, struck)
    except PartialLaunch:
        return None if wanted.stopped else Fault.PARTIAL_LAUNCH
    except Rejected:
        return Fault.REFUSED_YET_MADE
    return None


def _instead_of(account: Account, host: Host) -> Host:
    """Another host with a free GPU; the same where there is none."""
    return next(
        (other for other in account.market.hosts.values() if other is not host and account.open_asks(other)), host
    )


def _told(account: Account, instance_id: int) -> Answer:
    told: dict[str, Any] = {
        "success": not account.has(Quirk.CREATE_SAYS_FAILED),
        "new_contract": instance_id,
        "instance_api_key": instance_key(instance_id),
    }
    if account.has(Quirk.CREATE_SAYS_FAILED):
        told |= {"error": "account_suspended", "msg": "Your account is under review."}
    if account.has(Quirk.CREATE_HAS_NO_ID):
        del told["new_contract"]
    return json_answer(200, told)


def _gone(account: Account, ask_id: int, *, cancels: bool) -> Refused:
    if account.has(Quirk.ASK_GONE_IS_400):
        return refusal(400, "invalid_args", f"error 400/3603: no_such_ask {ask_id}", ask_id=ask_id)
    if cancels:
        told = f"error 410/3907: no_such_ask Instance type {ask_id} is no longer available."
        return refusal(410, "no_such_ask", told, ask_id=ask_id)
    told = f"error 404/3603: no_such_ask Instance type by id {ask_id} is not available."
    return refusal(404, "invalid_args", told, ask_id=ask_id)


def _order(body: Mapping[str, Any], ends_at: float) -> Order:
    image = text(body, "image", longest=_LONGEST_IMAGE)
    if not image and text(body, "template_hash_id"):
        image = TEMPLATE_IMAGE
    if not image:
        raise bad_request("error 400/3467: Invalid args: 'image' is required")
    env = body.get("env")
    if not isinstance(env, Mapping):
        env = {}  # a text of flags is ignored, whatever the specification says. [reports]
    if sum(len(name) + len(str(value)) for name, value in env.items()) > _LONGEST_ENV:
        raise bad_request(f"error 400/3480: env exceeds {_LONGEST_ENV} characters")
    args, onstart = texts(body, "args"), text(body, "onstart")
    if len(" ".join(args)) + len(onstart) > _LONGEST_COMMAND:
        raise bad_request(f"error 400/3480: args and onstart exceed {_LONGEST_COMMAND} characters")
    return Order(
        image=image,
        disk_gb=number(body, "disk", _LEAST_DISK_GB, least=_LEAST_DISK_GB, most=DISK_GB),
        env={name: str(value) for name, value in env.items()},
        onstart=onstart,
        args=args,
        runtype=text(body, "runtype") or "ssh",
        ends_at=ends_at,
    )


def _bid(body: Mapping[str, Any]) -> float | None:
    """The bid; its presence makes the instance interruptible."""
    if body.get("price") is None:
        return None
    return number(body, "price", 0.0, least=_LEAST_BID, most=_MOST_BID, error="invalid_price")
