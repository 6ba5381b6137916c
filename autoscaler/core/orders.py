"""An operator's orders: a person's word, which stands until it is withdrawn, fulfilled or over.

They only make the daemon do what it may do anyway, or less: a floor is held within the limits and the budget, and a
drain or release waits for the jobs on the machine unless the order says that they may be lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One order. Its stored form is the JSON of these fields."""

    kind: OrderKind
    subject: str = ""
    """What it is about: a pool, where it is a pause, floor or ceiling (empty: all pools); an instance, where it is a
    drain or release; a provider to evacuate; or, as `PROVIDER/ID` in the provider's words, a machine to adopt."""
    by: str
    """Who gave it."""
    why: str = ""
    """In that person's words."""
    at: float
    """Epoch seconds when it was given."""
    until: float | None = None
    """Epoch seconds when it is over; None: it stands until it is withdrawn or fulfilled."""
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
        if self.until is not None:
            text += f", for {format_duration(max(0.0, self.until - self.at))}"
        return f"{text}: {self.why}" if self.why else text


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """All orders that stand in one tick."""

    standing: tuple[Order, ...] = ()

    def pause(self, pool: str) -> Order | None:
        """What keeps a pool's machines untouched: an order for all pools, else its own."""
        paused = {order.subject: order for order in self.standing if order.kind is OrderKind.PAUSE}
        return paused.get("") or paused.get(pool)


NO_ORDERS = Orders()


def sort_out(given: Iterable[Order], now: float) -> tuple[Orders, tuple[Order, ...]]:
    """The orders that stand now, and those whose time is over."""
    given = tuple(given)
    over = tuple(order for order in given if order.until is not None and order.until <= now)
    return Orders(standing=tuple(order for order in given if order not in over)), over
