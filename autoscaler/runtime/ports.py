"""What the shell needs from outside, as protocols. Concrete adapters are named in ``autoscaler.app`` only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol

from autoscaler.core.admission import Notice
from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry
from autoscaler.core.orders import Order
from autoscaler.core.samples import Sample
from autoscaler.core.unit import Unit


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> float:
        """Epoch seconds."""
        ...

    def steady(self) -> float:
        """Seconds since some moment, by a clock that nobody can set."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for that much of this clock's time."""
        ...

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """A limit in this clock's time on what is awaited inside; it raises `TimeoutError`."""
        ...

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back after that much of this clock's time; the handle cancels it."""
        ...


class Entropy(Protocol):
    """The only source of randomness."""

    def token(self) -> str:
        """A name for a new machine: 10 lower case letters and digits, never given twice."""
        ...

    def between(self, low: float, high: float) -> float:
        """A number between two, each as likely."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat:
    """What a worker last said of its machine."""

    busy: int
    """Slots at work."""
    drained: bool = False
    """The worker has seen the drain mark, pulls no more jobs, and `busy` counts what is left."""
    slots: int | None = None
    taken: Mapping[str, int] | None = None
    """Jobs taken since the worker began, by tier; None when it does not count them."""
    done: Mapping[str, tuple[int, float]] | None = None
    """Jobs finished since the worker began and the seconds that a slot worked on them, by tier; None when it does not
    say."""
    classes: Mapping[str, tuple[int, float]] | None = None
    """The same by class of job, in the worker's own words; None when it tells of none."""
    trouble: str = ""
    """What the worker itself holds to be wrong with its machine; empty while all is well."""
    gpu_util: float | None = None
    """Share of its time, 0 to 1, that the GPU is at work; None when the worker does not say."""
    stamp: str = ""
    """Any value that changes with each beat; compared, never read as a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """What the store says each tick."""

    leads: bool
    """This daemon holds the lease."""
    orders: tuple[Order, ...] = ()
    """What operators have ordered and not withdrawn; some may be over."""
    heartbeats: Mapping[str, Heartbeat] = field(default_factory=dict)
    """By instance id."""
    leader: str = ""
    """Who holds the lease, by its name for itself; empty: nobody."""
    led: frozenset[str] = frozenset()
    """Pools that are led one by one by some daemon, or were lately."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """All that the store knows when a daemon takes the lead."""

    instances: tuple[Instance, ...] = ()
    documents: Mapping[str, str] = field(default_factory=dict)
    """JSON by name: learned times, policy states."""
    ledger: Mapping[str, str] = field(default_factory=dict)
    """JSON by UTC day, `2026-11-21`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What one tick writes, in one fenced step: all of it or nothing."""

    instances: tuple[Instance, ...] = ()
    """New or changed records. Endpoints and drain marks follow from their phases."""
    forgotten: tuple[str, ...] = ()
    """Ids of tombstones whose time is over."""
    disowned: tuple[str, ...] = ()
    """Ids of records that another unit keeps by now; what is published of them is left alone."""
    journal: tuple[Entry, ...] = ()
    samples: tuple[Sample, ...] = ()
    documents: Mapping[str, str] = field(default_factory=dict)
    ledger: Mapping[str, str] = field(default_factory=dict)
    dated_orders: tuple[Order, ...] = ()
    """Orders of which it is known by now when they are over, in the place of the same without a date."""
    ended_orders: tuple[Order, ...] = ()
    """Orders that are over or fulfilled. One that an operator has replaced meanwhile stays."""
    notice: Notice | None = None
    """What is published of the tiers' admission from now on; None: what was."""

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return any(getattr(self, each.name) for each in fields(self))


class Store(Protocol):
    """Fleet records, lease, journal and ledger of one fleet.

    One daemon leads. `read` takes or renews the lease; `commit` writes only while this daemon holds it, checked in the
    same step (the fencing number). Every method raises `StoreUnavailable` when the store does not answer.
    """

    def may_act(self) -> bool:
        """Whether the lease is certainly still ours, by our own clock; asked before each provider call."""
        ...

    async def read(self) -> Control:
        """One round trip: take or renew the lease, read settings and heartbeats."""
        ...

    async def load(self) -> Saved:
        """All records, when the lead was taken.

        Raises:
            NewerRecords: a newer program wrote them.
        """
        ...

    async def commit(self, changes: Changes) -> None:
        """Write all of it or nothing.

        Raises:
            LeaseLost: another daemon leads; nothing was written.
        """
        ...

    async def journal(self, count: int) -> Sequence[Entry]:
        """The newest entries, newest first."""
        ...

    def samples(self, *, newest_first: bool = False) -> AsyncIterator[Sample]:
        """The history of about a month, oldest first unless told otherwise; it needs no lease.

        Raises:
            NewerRecords: a newer program wrote it.
        """
        ...

    async def orders(self) -> Sequence[Order]:
        """What operators have ordered and not withdrawn; some may be over. It needs no lease."""
        ...

    async def give(self, order: Order) -> None:
        """Take an operator's order, in the place of one of the same name; it needs no lease."""
        ...

    async def withdraw(self, name: str, *, by: str, why: str = "") -> bool:
        """Take an order back; gives whether there was one. It needs no lease."""
        ...

    async def led(self) -> Sequence[str]:
        """Pools that are led one by one by some daemon, or were lately. It needs no lease."""
        ...

    def adapt(self, unit: Unit) -> None:
        """Go on with a lease that leads other pools by now; its name stays."""
        ...

    def should_yield(self, *, failing: bool) -> bool:
        """Whether another daemon should lead: one that leads fewer asks for it, or this one fails while others live."""
        ...

    async def resign(self, *, stay: bool = False) -> None:
        """Give the lease back, if it is ours; with `stay` this daemon goes on, and may take it again later."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class DemandSource(Protocol):
    """Reads the queues of all pools at once."""

    async def read(self, now: float) -> Mapping[str, Demand | Unknown]:
        """What each pool's queue holds. A queue that cannot be read is Unknown; the others are not affected."""
        ...


class ReadinessProbe(Protocol):
    """Asks machines whether their service answers, and what it has to do."""

    async def ready(self, instance: Instance, check: str) -> bool:
        """Whether `http :PORT/PATH` or `tcp :PORT` answers at the machine's address. Never raises."""
        ...

    async def jobs(self, instance: Instance, question: str) -> int | None:
        """Jobs that run or wait inside the machine, as the service of `comfyui :PORT` says; None when it does not say.

        Never raises.
        """
        ...
