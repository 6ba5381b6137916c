"""What can be done to an instance: start, stop, label, reboot, bid, destroy, and a host's wish for more money."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoscaler.core.errors import InsufficientFunds, NoCapacity, Rejected, Transient
from autoscaler.core.market import Status
from autoscaler.emulate.vastai.account import Account, Call
from autoscaler.emulate.vastai.errors import bad_request, not_done, refusal
from autoscaler.emulate.vastai.fields import ids, number
from autoscaler.emulate.vastai.rows import row_of
from autoscaler.emulate.vastai.settings import Quirk
from providers.http import Answer, json_answer
from providers.mock import Fault
from providers.mock.machine import Machine

_DONE = {"success": True}
_QUEUED = "Required resources are currently unavailable, state change queued."
_LONGEST_LABEL = 1024
_LEAST_BID, _MOST_BID_PER_GPU = 0.001, 32.0
_DEARER = 1.1


def manage(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/instances/{id}/`: `state` or `label`."""
    return _managed(account, call, account.machine(call.number))


def manage_many(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/instances/`: `state` for all of `ids`."""
    return _each(account, ids(call.body, "ids"), lambda machine: _managed(account, call, machine))


def start_many(account: Account, call: Call) -> Answer:
    """`POST /api/v0/instances/start`: all of `IDs`."""
    return _each(account, ids(call.body, "IDs"), lambda machine: _started(account, call, machine))


def destroy(account: Account, call: Call) -> Answer:
    """`DELETE /api/v0/instances/{id}/`."""
    return _destroyed(account, call, account.machine(call.number))


def destroy_many(account: Account, call: Call) -> Answer:
    """`DELETE /api/v0/instances/` with `instance_ids`."""
    return _each(account, ids(call.body, "instance_ids"), lambda machine: _destroyed(account, call, machine))


def reboot(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/instances/reboot/{id}/`: the container starts anew; the GPU is kept."""
    return _restarted(account, call, fresh=False)


def recycle(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/instances/recycle/{id}/`: the container is made anew from its image; the GPU is kept."""
    return _restarted(account, call, fresh=True)


def bid(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/instances/bid_price/{id}/`: another bid; null lets the server choose one that wins."""
    machine = account.machine(call.number)
    host = account.market.hosts.get(machine.host)
    winning = host.usd_per_hour("spot", account.market.clock) if host else _LEAST_BID
    price = number(call.body, "price", winning, least=_LEAST_BID, most=_MOST_BID_PER_GPU)
    try:
        account.market.set_bid(call.now, machine.id, price + machine.disk_usd_per_hour)
    except Rejected:
        raise bad_request("Instance is not interruptible.") from None
    return json_answer(200, _DONE)


def price_increases(account: Account, call: Call) -> Answer:
    """`GET /api/v0/instances/pending-price-increases/`: prices per second, of the disk per GB. [client 1.9.1]."""
    pending = [_increase(account, machine, call.now) for machine in _asked_for_more(account)]
    told = {"success": True, "count": len(pending), "truncated": False, "pending_price_increases": pending}
    return json_answer(200, told)


def accept_price_increase(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/instances/accept-price-increase/`: the price rises at once."""
    machine = _of_increase(account, call)
    account.market.bill(machine)
    machine.usd_per_hour += (machine.usd_per_hour - machine.disk_usd_per_hour) * (_DEARER - 1)
    account.market.changed()
    account.answered_increases.add(machine.id)
    return json_answer(200, _DONE)


def reject_price_increase(account: Account, call: Call) -> Answer:
    """`PUT /api/v0/instances/reject-price-increase/`: the contract keeps its price and its end."""
    account.answered_increases.add(_of_increase(account, call).id)
    return json_answer(200, _DONE)


def _managed(account: Account, call: Call, machine: Machine) -> Answer:
    match call.body:
        case {"state": "running"}:
            return _started(account, call, machine)
        case {"state": "stopped"}:
            if Fault.STOP_IGNORED in call.struck:
                return not_done("Instance is busy, try again later.")
            account.market.stop(call.now, machine.id)
            return json_answer(200, _DONE)
        case {"label": str(label)}:
            if len(label) > _LONGEST_LABEL:
                raise refusal(400, "label_too_long", f"Label exceeds {_LONGEST_LABEL} characters.")
            account.market.label(call.now, machine.id, label)
            return json_answer(200, _DONE)
        case _:
            raise bad_request("state must be running or stopped, or label a text")


def _started(account: Account, call: Call, machine: Machine) -> Answer:
    if account.order(machine).ends_at <= call.now:
        return not_done("Instance contract has expired.")
    if machine.status is Status.FAILED:
        account.market.halt(machine, "failed")  # what failed to start may be told to start again
    try:
        account.market.resume(call.now, machine.id, call.struck)
    except NoCapacity:
        return not_done(_QUEUED)
    except Transient:
        return not_done("Host machine is offline.")
    except InsufficientFunds:
        raise refusal(400, "insufficient_credit", "insufficient_credit: Your balance is too low.") from None
    account.started_at[machine.id] = call.now
    return json_answer(200, _DONE)


def _destroyed(account: Account, call: Call, machine: Machine) -> Answer:
    if Fault.RELEASE_IGNORED in call.struck:
        return not_done("Instance could not be destroyed, try again later.")
    if Fault.LINGERS in call.struck:
        account.last_rows[machine.id] = row_of(account, machine, call.now)
    account.market.release(call.now, machine.id, call.struck)
    return json_answer(200, {**_DONE, "msg": f"Instance {machine.id} destroyed successfully"})


def _restarted(account: Account, call: Call, *, fresh: bool) -> Answer:
    machine = account.machine(call.number)
    if not machine.on_gpu:
        raise bad_request("Instance is not running.")
    settings = account.market.settings
    account.market.start(machine, settings.setup if fresh else settings.resume)
    machine.detail = "" if fresh else "rebooting"
    account.market.changed()
    return json_answer(200, _DONE)


def _each(account: Account, numbers: tuple[int, ...], change: Callable[[Machine], Answer]) -> Answer:
    """Do something to several instances; what is said of each is said by its id, and nothing is undone."""
    results: dict[str, Any] = {}
    for instance_id in numbers:
        machine = account.market.machines.get(str(instance_id))
        results[str(instance_id)] = (
            {"success": False, "error": "no_such_instance"} if machine is None else change(machine).json()
        )
    done = all(result["success"] for result in results.values())
    return json_answer(200, {"success": done, "results": results})


def _increase(account: Account, machine: Machine, now: float) -> dict[str, Any]:
    place, ends_at = account.place(machine, now), account.ends_at(machine, now)
    gpu = (machine.usd_per_hour - machine.disk_usd_per_hour) / 3600.0
    disk = machine.disk_usd_per_hour / account.order(machine).disk_gb / 3600.0
    return {
        "pending_price_increase_id": int(machine.id),
        "contract_id": int(machine.id),
        "host_id": place.host_id,
        "new_gpu_costpersec": gpu * _DEARER,
        "new_disk_ram_costpersec": disk,
        "new_bwu_cost": 0.004,
        "new_bwd_cost": 0.003,
        "new_platform_fee": None,
        "old_gpu_costpersec": gpu,
        "old_disk_ram_costpersec": disk,
        "old_bwu_cost": 0.004,
        "old_bwd_cost": 0.003,
        "old_platform_fee": None,
        "contract_end_date": ends_at,
        "ask_end_date": ends_at + 30 * 86400.0,
        "created_at": machine.created_at,
    }


def _asked_for_more(account: Account) -> list[Machine]:
    if not account.has(Quirk.PRICE_INCREASE_PENDING):
        return []
    return [
        machine
        for machine in account.market.machines.values()
        if machine.number and machine.id not in account.answered_increases
    ]


def _of_increase(account: Account, call: Call) -> Machine:
    if set(call.body) != {"pending_price_increase_id"}:
        raise bad_request("expected exactly pending_price_increase_id")
    for machine in _asked_for_more(account):
        if int(machine.id) == call.body["pending_price_increase_id"]:
            return machine
    raise refusal(404, "no_pending_price_increase", "There is no such price increase.")
