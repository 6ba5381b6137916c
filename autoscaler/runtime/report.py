"""What one tick found and decided, for whoever looks: API, metrics, terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from autoscaler.core.admission import Admission
from autoscaler.core.decision import Command, Decision, Outcome
from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry
from autoscaler.core.ledger import Books, Spent
from autoscaler.core.market import Listing
from autoscaler.core.orders import NO_ORDERS, Orders
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import FleetLimits


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolReport:
    """One pool after one tick."""

    snapshot: PoolSnapshot
    decision: Decision
    commands: tuple[Command, ...] = ()
    spent_today: Spent = Spent()
    admission: tuple[Admission, ...] = ()
    """Most urgent tier first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What a provider last told of our account with it, in USD; None where it does not tell, or not at the moment."""

    balance_usd: float | None = None
    billed_today_usd: float | None = None
    """For this fleet's machines, on the present UTC day."""
    billed_yesterday_usd: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TickReport:
    """One tick."""

    at: float
    """Epoch seconds."""
    duration_s: float
    leads: bool
    """This daemon holds the lease, with `spread` that of at least one pool; otherwise it only watches."""
    leaders: Mapping[str, str] = field(default_factory=dict)
    """Which daemon leads each pool, by its name for itself; empty where nobody does."""
    orders: Orders = NO_ORDERS
    """What operators have ordered."""
    limits: FleetLimits = FleetLimits()
    pools: Mapping[str, PoolReport] = field(default_factory=dict)
    instances: Mapping[str, Instance] = field(default_factory=dict)
    """All records after the tick, tombstones included."""
    listings: Mapping[str, Listing | Unknown] = field(default_factory=dict)
    accounts: Mapping[str, Account] = field(default_factory=dict)
    """By provider."""
    books: Books = field(default_factory=dict)
    """What the days at hand have cost, the present one included; empty where another daemon keeps them."""


NO_TICK = TickReport(at=0.0, duration_s=0.0, leads=False)
"""What is known before the first tick."""


class Listener(Protocol):
    """Told of everything that happens; it must return at once."""

    def ticked(self, report: TickReport) -> None:
        """A tick ended well."""
        ...

    def failed(self, reason: str, now: float) -> None:
        """A tick could not be made, and nothing was done."""
        ...

    def noted(self, entry: Entry) -> None:
        """Something went into the journal."""
        ...

    def called(self, provider: str, outcome: Outcome) -> None:
        """A provider answered a command, or did not."""
        ...

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        """A machine got HOT that long after it was ordered."""
        ...
