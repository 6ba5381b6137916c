"""What a person at the terminal looks at: a page, a pool, an order, a filter, a place in a list."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from autoscaler.cli.view.machines import STATES, state_of
from autoscaler.cli.view.words import Object, harmless

_LOOKS = 240
"""Points of the sparklines that are kept."""
_MOST_FILTER = 60
_SEARCHED = ("id", "pool", "gpu", "region", "provider", "placement", "host", "buy", "reason", "ailment")


class Page(StrEnum):
    """What fills the screen."""

    FLEET = "fleet"
    MACHINE = "machine"
    CONCERNS = "concerns"
    WHY = "why"
    JOURNAL = "journal"
    HELP = "help"


ORDERS: Mapping[str, Callable[[Object], Any]] = {
    "pool": lambda machine: machine["pool"],
    "machine": lambda machine: machine["id"],
    "phase": lambda machine: STATES.index(state_of(machine)) if state_of(machine) in STATES else -1,
    "since": lambda machine: machine["since_s"],
    "gpu": lambda machine: machine["gpu"],
    "busy": lambda machine: -1 if machine["busy"] is None else -machine["busy"],
    "USD/h": lambda machine: -machine["usd_per_hour"],
    "spent": lambda machine: -machine["usd_spent"],
}
"""The columns to sort by: what needs a look, is new, or costs most comes first. Of one rank, the oldest comes first."""


class Place:
    """A place in a list that may be longer than the screen."""

    def __init__(self) -> None:
        self.at = 0
        """The row that is selected; of a text, the first that is shown."""
        self._top = 0
        self._last = 0
        self.page = 1
        """Rows that fit."""

    def move(self, by: int) -> None:
        """Go down by so many rows, or up."""
        self.at = min(self._last, max(0, self.at + by))

    def rows(self, count: int, height: int) -> range:
        """The rows of a list that are shown, so that the selected one is among them."""
        self._last, self.page = max(0, count - 1), max(1, height)
        self.move(0)
        self._top = min(max(self._top, self.at - self.page + 1, 0), self.at, max(0, count - self.page))
        return range(self._top, min(count, self._top + self.page))

    def lines(self, count: int, height: int) -> range:
        """The lines of a text that are shown."""
        self._last, self.page = max(0, count - height), max(1, height)
        self.move(0)
        return range(self.at, min(count, self.at + self.page))


class Watch:
    """The newest picture of a fleet, and how it is looked at."""

    def __init__(self) -> None:
        self.status: Object | None = None
        """The newest status that came; None before the first."""
        self.journal: Sequence[Object] = ()
        """Newest first."""
        self.away = ""
        """Why nothing newer comes; empty while it does."""
        self.page = Page.FLEET
        self.pool = ""
        """The pool that is picked; empty: all."""
        self.order = next(iter(ORDERS))
        self.filter = ""
        self.typing = False
        """Keys go into the filter."""
        self.frozen = False
        self.ended = False
        self.noted: list[str] = []
        """Commands to be shown when the watch ends."""
        self.looks: deque[tuple[float | None, float]] = deque(maxlen=_LOOKS)
        """Jobs that waited and machines that were up at each look."""
        self.place: dict[Page, Place] = {page: Place() for page in Page}
        self._selected = ""
        self._machines: list[Object] | None = None

    # --- what comes from the daemon -----------------------------------------------------------------------------------

    def looked(self, status: Object, journal: Sequence[Object]) -> None:
        """A new picture came; while frozen, the old one stays."""
        self.away = ""
        if self.frozen:
            return
        self.status, self.journal = harmless(status), harmless(journal)
        waiting = [pool["demand"]["waiting"] for pool in self.status["pools"]]
        depth = None if None in waiting else float(sum(waiting))
        self.looks.append((depth, float(sum(pool["up"] for pool in self.status["pools"]))))
        if self.pool not in (pool["name"] for pool in self.status["pools"]):
            self.pool = ""
        self._changed()

    def lost(self, reason: str) -> None:
        """No picture came."""
        self.away = harmless(reason)

    # --- what is looked at --------------------------------------------------------------------------------------------

    @property
    def pools(self) -> list[Object]:
        """The pool that is picked, or all."""
        found = self.status["pools"] if self.status else []
        return [pool for pool in found if self.pool in ("", pool["name"])]

    @property
    def concerns(self) -> list[Object]:
        """What needs a person, the most severe first."""
        found = self.status["concerns"] if self.status else []
        return [concern for concern in found if self.pool in ("", concern["pool"]) or not concern["pool"]]

    @property
    def machines(self) -> list[Object]:
        """The machines that the filter leaves, in order."""
        if self._machines is None:
            found = self.status["instances"] if self.status else []
            chosen = [machine for machine in found if self.pool in ("", machine["pool"]) and self._is_meant(machine)]
            self._machines = sorted(chosen, key=ORDERS[self.order])
            self._stay()
        return self._machines

    @property
    def machine(self) -> Object | None:
        """The machine that is selected."""
        machines, at = self.machines, self.place[Page.FLEET].at
        return machines[min(at, len(machines) - 1)] if machines else None

    def _is_meant(self, machine: Object) -> bool:
        words = " ".join(str(machine[name]) for name in _SEARCHED)
        return self.filter.lower() in f"{words} {state_of(machine)}".lower()

    def _stay(self) -> None:
        """Select the same machine wherever it is now; the one in its place where it is gone."""
        found = [number for number, machine in enumerate(self._machines or ()) if machine["id"] == self._selected]
        if found:
            self.place[Page.FLEET].at = found[0]

    def _select(self) -> None:
        if (machine := self.machine) is not None:
            self._selected = machine["id"]

    def _changed(self) -> None:
        self._machines = None

    # --- what keys do -------------------------------------------------------------------------------------------------

    def quit(self) -> None:
        """End the watch."""
        self.ended = True

    def back(self) -> None:
        """Leave a page; on the first one, drop the filter."""
        if self.page is Page.FLEET:
            self.filter = ""
            self._changed()
        self.page = Page.FLEET

    def turn(self, page: Page) -> None:
        """Go to a page, or back from it."""
        self.page = Page.FLEET if self.page is page else page
        self.place[page].at = 0 if page is not Page.FLEET else self.place[page].at

    def next_order(self) -> None:
        """Sort the machines by the next column."""
        names = list(ORDERS)
        self.order = names[(names.index(self.order) + 1) % len(names)]
        self._changed()

    def next_pool(self) -> None:
        """Pick the next pool, and after the last one all."""
        names = ["", *(pool["name"] for pool in (self.status or {"pools": []})["pools"])]
        self.pool = names[(names.index(self.pool) + 1) % len(names)]
        self._changed()

    def freeze(self) -> None:
        """Keep the picture as it is, or let it go on."""
        self.frozen = not self.frozen

    def type_filter(self) -> None:
        """Have the next keys go into the filter."""
        self.page, self.typing = Page.FLEET, True

    def typed(self, key: str) -> None:
        """A key while the filter is typed."""
        if key in ("enter", "escape"):
            self.typing = False
        if key == "escape":
            self.filter = ""
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1 and len(self.filter) < _MOST_FILTER:
            self.filter += key
        self._changed()

    def move(self, by: int) -> None:
        """Select what is so many rows further down, or scroll."""
        if self.page is not Page.FLEET:
            self.place[self.page].move(by)
        elif self.machines:
            self.place[Page.FLEET].move(by)
            self._select()

    def turn_page(self, pages: int) -> None:
        """Move by what fits onto the screen."""
        self.move(pages * self.place[self.page].page)

    def choose(self) -> None:
        """Show the machine that is selected; of a concern, note its command, or strike it out again."""
        if self.page is Page.FLEET and self.machines:
            self._select()
            self.turn(Page.MACHINE)
        elif self.page is Page.CONCERNS and self.concerns:
            at = min(self.place[Page.CONCERNS].at, len(self.concerns) - 1)
            command = self.concerns[at]["command"]
            if command in self.noted:
                self.noted.remove(command)
            elif command:
                self.noted.append(command)
