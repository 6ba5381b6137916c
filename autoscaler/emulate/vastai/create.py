"""Accepting an offer: `PUT /api/v0/asks/{id}/` and its kin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoscaler.core.errors import InsufficientFunds, NoCapacity, PartialLaunch, Rejected
from autoscaler.core.spec import Buy, MachineSpec
from autoscaler.emulate.vastai.account import TEMPLATE_IMAGE, Account, Call, Order, instance_key
from autoscaler.emulate.vastai.errors import Refused, bad_request, refusal
from autoscaler.emulate.vastai.offers import found, order_of
from autoscaler.emulate.vastai.settings import Quirk
from providers.http import Answer, json_answer
from providers.mock import Fault
from providers.mock.faults import Struck
from providers.mock.hosts import Host

_LEAST_BID, _MOST_BID = 0.001, 128.0
_LEAST_DISK_GB = 8.0
_LONGEST_LABEL, _LONGEST_COMMAND = 256, 4096


def create(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/asks/{id}/`: make an instance from an open offer."""
    return _created(account, call, call.instance_id)


def create_many(account: Account, call: Call) -> Answer:
    """`POST /api/v0/asks/bulk/`: one instance for each of `ids`, ending at the first that cannot be made."""
    ids = call.body.get("ids")
    if not isinstance(ids, list) or not ids:
        raise bad_request("ids must be a list of offers")
    made = [_created(account, call, int(ask_id)).json() for ask_id in ids]
    return json_answer(
        200, {"success": True, "results": made, "new_contracts": [each["new_contract"] for each in made]}
    )


def launch(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/launch_instance/`: the first offer of a search, rented at once."""
    offers = found(account, call, call.body.get("q", {}))
    if not offers:
        raise refusal(404, "no_such_ask", "no_such_ask No offer matches the query.")
    return _created(account, call, offers[0]["id"])


def _created(account: Account, call: Call, ask_id: int) -> Answer:
    body = call.body
    order, label, bid = _order(body), _label(body), _bid(body)
    cancels = bool(body["cancel_unavail"]) if body.get("cancel_unavail") is not None else bid is None
    host = account.host_of_ask(ask_id)
    if host is None or ask_id not in account.open_asks(host):
        raise _gone(account, ask_id, cancels=cancels)
    struck = call.struck - {Fault.ZERO_GPU, Fault.OFFER_GONE}
    if Fault.OFFER_GONE in call.struck:
        if cancels:
            raise _gone(account, ask_id, cancels=True)
        # Without `cancel_unavail` an instance is made whose GPU somebody else has. [docs]
        struck |= {Fault.PARTIAL_LAUNCH}
    unavailable = Fault.PARTIAL_LAUNCH in struck and Fault.PARTIAL_LAUNCH not in call.struck
    if body.get("target_state") == "stopped":
        unavailable, struck = True, struck | {Fault.PARTIAL_LAUNCH}
    return _made(account, call, _Wanted(ask_id, host, order, label, bid), struck, unavailable=unavailable)


class _Wanted:
    """What one request orders."""

    def __init__(self, ask_id: int, host: Host, order: Order, label: str, bid: float | None) -> None:
        self.ask_id, self.host, self.order, self.label, self.bid = ask_id, host, order, label, bid


def _made(account: Account, call: Call, wanted: _Wanted, struck: Struck, *, unavailable: bool) -> Answer:
    market, host, order = account.market, wanted.host, wanted.order
    bid, ask_id = wanted.bid, wanted.ask_id
    if account.has(Quirk.WRONG_MACHINE):
        host = next((other for other in market.hosts.values() if other is not host and account.open_asks(other)), host)
    if bid is not None and Fault.DEARER in struck:
        bid, struck = None, struck - {Fault.DEARER}  # on demand in place of a bid, and no word of it. [client]
    buy: Buy = "on_demand" if bid is None else "spot"
    price = host.usd_per_hour(buy, market.clock) if bid is None else bid
    if bid is not None and bid < host.usd_per_hour("spot", market.clock):
        struck |= {Fault.PARTIAL_LAUNCH}
    offer = order_of(account, host, buy, price, order.disk_gb)
    machine = MachineSpec(image=order.image, gpus=(), disk_gb=order.disk_gb, env=order.env or {})
    known = set(market.machines)
    refused: Refused | None = None
    try:
        market.rent(call.now, offer, machine, wanted.label, struck)
    except NoCapacity:
        raise _gone(account, ask_id, cancels=True) from None
    except InsufficientFunds as error:
        word = "spend_rate_limit" if Fault.FUNDS_REFUSED in struck else "insufficient_credit"
        raise refusal(400, word, f"{word}: {error}") from None
    except PartialLaunch as error:
        if not unavailable:
            (instance_id,) = error.provider_ids
            told = "error 400/3510: Invalid price: the bid is below the machine's floor."
            refused = refusal(400, "invalid_price", told, ask_id=ask_id, new_contract=int(instance_id))
    except Rejected:
        refused = Refused(Answer(status=400))
    (instance_id,) = set(market.machines) - known
    account.accept(wanted.ask_id, instance_id, order)
    if refused is not None:
        raise refused
    return _told(account, int(instance_id))


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


def _order(body: Mapping[str, Any]) -> Order:
    image = body.get("image") or (body.get("template_hash_id") and TEMPLATE_IMAGE)
    if not isinstance(image, str) or not image:
        raise bad_request("error 400/3467: Invalid args: 'image' is required")
    try:
        disk_gb = float(body.get("disk") or _LEAST_DISK_GB)
    except (TypeError, ValueError):
        raise bad_request("error 400/3470: Invalid args: 'disk' must be a number") from None
    if disk_gb < _LEAST_DISK_GB:
        raise bad_request(f"error 400/3471: Invalid args: 'disk' must be at least {_LEAST_DISK_GB:g}")
    env = body.get("env") or {}
    if not isinstance(env, Mapping):
        env = {}  # a text of flags is ignored, whatever the specification says. [reports]
    args, onstart = tuple(body.get("args") or ()), body.get("onstart")
    if len(" ".join(map(str, args))) + len(onstart or "") > _LONGEST_COMMAND:
        raise bad_request(f"error 400/3480: args and onstart exceed {_LONGEST_COMMAND} characters")
    return Order(
        image=image,
        disk_gb=disk_gb,
        env={str(name): str(value) for name, value in env.items()},
        onstart=onstart,
        args=tuple(map(str, args)),
        runtype=str(body.get("runtype") or "ssh"),
    )


def _label(body: Mapping[str, Any]) -> str:
    label = body.get("label") or ""
    if not isinstance(label, str) or len(label) > _LONGEST_LABEL:
        raise bad_request(f"error 400/3475: label must be text of at most {_LONGEST_LABEL} characters")
    return label


def _bid(body: Mapping[str, Any]) -> float | None:
    """The bid; its presence makes the instance interruptible."""
    price = body.get("price")
    if price is None:
        return None
    if not isinstance(price, int | float) or not _LEAST_BID <= price <= _MOST_BID:
        raise refusal(400, "invalid_price", f"error 400/3505: Invalid price: {price!r}")
    return float(price)
