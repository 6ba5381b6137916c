"""Decisions, the commands that follow from them, and what came of those."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from autoscaler.core.errors import (
    AuthFailed,
    InsufficientFunds,
    NoCapacity,
    NotFound,
    PartialLaunch,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
)
from autoscaler.core.instance import Instance
from autoscaler.core.market import Offer


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule's word on a decision."""

    rule: str
    """Who speaks, a stable name: `thresholds.rent`, `limits`, `budget`, `unknown` …"""
    text: str
    """What and why, with the numbers, in words for people."""


NO_CEILING = sys.maxsize


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """How many machines a pool should have, and why: what one policy proposes, or what is left of all proposals."""

    hot: int
    """Machines wanted running, those on their way included."""
    warm: int
    """Stopped machines to keep, at most."""
    spare: int = 0
    """Machines wanted running on top of what any policy needs."""
    keep: int = 0
    """Running machines that are not worth stopping yet, needed or not. None is started for its sake."""
    standby: int = 0
    """Stopped machines that should be there; what is missing is rented and, once set up, stopped."""
    ceiling: int = NO_CEILING
    """Machines that may run at the same time for any reason."""
    needs: tuple[tuple[str, int], ...] = ()
    """Of `hot`, the machines that each tier and the more urgent ones need, by tier, the most urgent first: where money
    is short, the least urgent are given up first. Not told when empty."""
    why: tuple[Reason, ...] = ()
    """What led here, in order; each clamp and veto adds its own."""
    why_not: tuple[Reason, ...] = ()
    """What was considered and not done, and what stopped it."""
    hold_down: bool = False
    """Nothing may be drained or released on this decision."""
    hold_up: bool = False
    """Nothing may be rented or resumed on this decision."""

    def wish(self) -> str:
        """How many machines are wanted, in words."""
        return "1 machine wanted" if self.hot == 1 else f"{self.hot} machines wanted"

    def because(self, rule: str, text: str, **changes: Any) -> Decision:
        """This decision changed by a rule that says why."""
        return replace(self, why=(*self.why, Reason(rule, text)), **changes)

    def but_not(self, rule: str, text: str) -> Decision:
        """This decision with one more thing that was not done."""
        return replace(self, why_not=(*self.why_not, Reason(rule, text)))


class Action(StrEnum):
    """What can be done to a machine."""

    RENT = "rent"
    RESUME = "resume"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    """Take the drain mark away: it is wanted again."""
    STOP = "stop"
    RELEASE = "release"
    SET_BID = "set_bid"


STARTS = frozenset({Action.RENT, Action.RESUME, Action.UNDRAIN})
"""Actions after which one machine more runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One thing to do."""

    action: Action
    pool: str
    reason: str
    instance: str | None = None
    """Record the command is about; None for `rent`."""
    placement: str | None = None
    """Of a `rent`."""
    offer: Offer | None = None
    """Of a `rent`: what to rent."""
    races: str | None = None
    """Of a `rent`: the machine whose resume is in doubt and beside which it is rented."""
    bid_usd_per_hour: float | None = None
    """Of a `set_bid`: the new bid, disk included."""


def about(action: Action, machine: Instance, reason: str) -> Command:
    """A command about a machine that there is."""
    return Command(action=action, pool=machine.pool, instance=machine.id, placement=machine.placement, reason=reason)


class Result(StrEnum):
    """How a provider call ended."""

    OK = "ok"
    NO_CAPACITY = "no_capacity"
    RATE_LIMITED = "rate_limited"
    AUTH_FAILED = "auth_failed"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    NOT_FOUND = "not_found"
    REJECTED = "rejected"
    TRANSIENT = "transient"
    UNCLEAR = "unclear"
    PARTIAL = "partial"
    NOT_SENT = "not_sent"
    """The lease or the store was lost before the call: nothing was sent."""


_RESULTS: Mapping[type[ProviderError], Result] = {
    NoCapacity: Result.NO_CAPACITY,
    RateLimited: Result.RATE_LIMITED,
    AuthFailed: Result.AUTH_FAILED,
    InsufficientFunds: Result.INSUFFICIENT_FUNDS,
    NotFound: Result.NOT_FOUND,
    Rejected: Result.REJECTED,
    Transient: Result.TRANSIENT,
    PartialLaunch: Result.PARTIAL,
}


def result_of(error: BaseException) -> Result:
    """How a provider call ended that raised this; whatever has no name of its own proves nothing about the effect."""
    for named, result in _RESULTS.items():
        if isinstance(error, named):
            return result
    return Result.UNCLEAR


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a command."""

    action: Action
    instance: str
    result: Result
    started_at: float
    ended_at: float
    detail: str = ""
    provider_id: str | None = None
    """Of a `rent` that was accepted."""
    stray_ids: tuple[str, ...] = field(default=())
    """Machines a failed `rent` left behind; they bill."""
    retry_after_s: float | None = None
