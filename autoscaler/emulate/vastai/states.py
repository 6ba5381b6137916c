"""Vast.ai's words for what an instance does: the container's state, the contract's, and what was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from autoscaler.core.market import Status
from autoscaler.emulate.vastai.account import Account
from autoscaler.emulate.vastai.settings import Quirk
from providers.mock.machine import Event, Machine

_SILENT_S, _CREATED_S = 3.0, 6.0
"""How long after its creation an instance has no status, and up to when it is `created`; then it loads."""
_SCHEDULED_S = 30.0
_SHOWN_AS = {
    Quirk.FROZEN: "frozen",
    Quirk.STATUS_UNKNOWN: "unknown",
    Quirk.STATUS_NEW: "hibernating",
    Quirk.CONTAINER_EXITED: "exited",
}


@dataclass(frozen=True, slots=True)
class State:
    """The five fields of a row that say what an instance does."""

    actual: str | None
    """`actual_status`: the container."""
    intended: str
    """`intended_status`: what the customer asked for last."""
    current: str
    """`cur_state`: the contract, and with it the GPU."""
    following: str
    """`next_state`: the contract's next."""
    message: str | None
    """`status_msg`."""


_RUNS = State("running", "running", "running", "running", None)
_RESTS = State("exited", "stopped", "stopped", "stopped", None)
_QUEUED = replace(_RESTS, intended="running", following="running")


def state_of(account: Account, machine: Machine, now: float) -> State:
    """An instance's state in Vast.ai's words."""
    image = account.order(machine).image
    match machine.status:
        case Status.RUNNING:
            shown = next((word for quirk, word in _SHOWN_AS.items() if account.has(quirk)), "running")
            state = replace(_RUNS, actual=shown, message=f"success, running {image.replace(':', '_')}")
        case Status.STARTING if _looks_queued(account, machine, now):
            state = _QUEUED
        case Status.STARTING:
            state = replace(_RUNS, actual=_starting(account, machine, now), message=f"Pulling from {image}")
        case Status.FAILED:
            # The contract is stopped, yet the customer's order to run stands.
            message = "Error response from daemon: failed to create task: OCI runtime create failed: runc create failed"
            return replace(_RESTS, actual="created", intended="running", message=message)
        case Status.QUEUED:
            return _QUEUED
        case Status.OFFLINE:
            there = _RUNS if machine.runs_after_outage else _RESTS
            return replace(there, actual="offline")
        case _:
            return _stopped(account, machine)
    if Event.STOPS in machine.ahead:
        return replace(state, intended="stopped", following="stopped")
    return state


def _looks_queued(account: Account, machine: Machine, now: float) -> bool:
    started_at = account.started_at.get(machine.id, -math.inf)
    return account.has(Quirk.START_LOOKS_QUEUED) and now - started_at < _SCHEDULED_S


def _starting(account: Account, machine: Machine, now: float) -> str | None:
    if machine.detail == "rebooting":
        return "rebooting"
    if machine.starts > 1:
        return "exited" if account.has(Quirk.EXITED_LINGERS) else "loading"
    since = now - machine.created_at
    if since < _SILENT_S:
        return None
    return "created" if since < _CREATED_S else "loading"


def _stopped(account: Account, machine: Machine) -> State:
    state = _RESTS if machine.starts else replace(_RESTS, actual="stopped")
    if machine.detail == "outbid" and account.has(Quirk.OUTBID_STILL_INTENDED):
        return replace(state, intended="running")
    return state
