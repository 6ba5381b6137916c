"""An operator's orders: a person's word, which stands until it is withdrawn, fulfilled or over.

They only make the daemon do what it may do anyway, or less: a floor is held within the limits and the budget, and a
drain or release waits for the jobs on the machine unless the order says that they may be lost.

How long an order stands is counted by the clock of the daemon that leads, from when it first sees the order: whoever
gives one may have another clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.units import format_duration


class OrderKind(StrEnum):
    """What an operator may order."""

    PAUSE = "pause"
    """Touch no machine."""
    FLOOR = "floor"
    """At least so many machines running, within limits and budget."""
    CEILING = "ceiling"
    """At most so many machines running."""
    DRAIN = "drain"
    """This machine takes no more jobs; once idle it is stopped or released, as the policies have it."""
    RELEASE = "release"
    """This machine is given back, once it is idle."""
    EVACUATE = "evacuate"
    """Nothing more is started at this provider; what runs there is replaced, drained and released."""
    ADOPT = "adopt"
    """This machine of the account is ours from now on, whatever its label."""


OF_POOLS = frozenset({OrderKind.PAUSE, OrderKind.FLOOR, OrderKind.CEILING})
OF_MACHINES = frozenset({OrderKind.DRAIN, OrderKind.RELEASE})
COUNTED = frozenset({OrderKind.FLOOR, OrderKind.CEILING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One order. Its stored form is the JSON of these fields."""

    kind: OrderKind
    subject: str = ""
    """What it is about: a pool, where it is a pause, floor or ceiling (empty: each pool); a machine, where it is a
    drain or release: our id, or `PROVIDER/ID` in the provider's words; a provider to evacuate; or, as `PROVIDER/ID`, a
    machine to adopt."""
    by: str
    """Who gave it."""
    why: str = ""
    """In that person's words."""
    at: float
    """Epoch seconds when it was given."""
    for_s: float | None = None
    """How long it is to stand; None: until it is withdrawn or fulfilled."""
    until: float | None = None
    """Epoch seconds when it is over, by the clock of the daemon that leads; None before that one has seen it."""
    count: int | None = None
    """Machines, of a floor or ceiling."""
    pool: str = ""
    """The pool that an adopted machine is to belong to."""
    lose_jobs: bool = False
    """Of a release: do not wait for the jobs on the machine; they are lost."""

    @property
    def name(self) -> str:
        """What it is stored under and withdrawn by: a newer order of the same name replaces it."""
        return f"{self.kind}:{self.subject}" if self.subject else str(self.kind)

    @property
    def text(self) -> str:
        """The order in one line: what, by whom, why, how long."""
        words = [self.kind, *([str(self.count)] if self.count is not None else []), self.subject]
        text = f"{' '.join(word for word in words if word)} by {self.by}"
        if self.pool:
            text += f", into {self.pool}"
        if self.lose_jobs:
            text += ", its jobs may be lost"
        if self.for_s is not None:
            text += f", for {format_duration(self.for_s)}"
        return f"{text}: {self.why}" if self.why else text

    def source(self, now: float) -> str:
        """By whom, for how much longer, and why: the end of a reason."""
        until = f" for {format_duration(self.until - now)} more" if self.until is not None else ""
        return f"by {self.by}{until}{f' ({self.why})' if self.why else ''}"

    def dated(self, now: float) -> Order:
        """This order as a leading daemon sees it at last: by then it is known when it is over."""
        return self if self.for_s is None or self.until is not None else replace(self, until=now + self.for_s)

    def is_about(self, machine: Instance) -> bool:
        """Whether it names this machine, by our id or by the provider's: `PROVIDER/ID`."""
        return self.subject in (machine.id, f"{machine.provider}/{machine.provider_id}")

    def machine_among(self, machines: Iterable[Instance]) -> Instance | None:
        """The machine that it names and that is not gone."""
        there = (each for each in machines if each.phase is not Phase.GONE)
        return next((each for each in there if self.is_about(each)), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """All orders that stand in one tick."""

    standing: tuple[Order, ...] = ()

    def of_pool(self, kind: OrderKind, pool: str) -> Order | None:
        """The order of a kind that a pool is under: its own, else one for each pool."""
        found = {order.subject: order for order in self.of_kind(kind)}
        return found.get(pool) or found.get("")

    def pause(self, pool: str) -> Order | None:
        """What keeps a pool's machines untouched."""
        return self.of_pool(OrderKind.PAUSE, pool)

    def of_machine(self, machine: Instance) -> Order | None:
        """The order that takes a machine away: a release before a drain, either before an evacuation."""
        found = {order.kind: order for order in self.standing if order.kind in OF_MACHINES and order.is_about(machine)}
        return found.get(OrderKind.RELEASE) or found.get(OrderKind.DRAIN) or self.evacuation(machine.provider)

    def evacuation(self, provider: str) -> Order | None:
        """Why nothing more is started at a provider."""
        return next((order for order in self.of_kind(OrderKind.EVACUATE) if order.subject == provider), None)

    def of_kind(self, kind: OrderKind) -> Iterator[Order]:
        """All orders of a kind."""
        return (order for order in self.standing if order.kind is kind)

    def protected(self, busy: Mapping[str, int], instances: Mapping[str, Instance]) -> Mapping[str, int]:
        """Of the slots at work by instance, those whose jobs no operator has given up."""
        lost = [order for order in self.standing if order.lose_jobs]
        if not lost:
            return busy
        given_up = {each.id for each in instances.values() if any(order.is_about(each) for order in lost)}
        return {name: slots for name, slots in busy.items() if name not in given_up}


NO_ORDERS = Orders()
