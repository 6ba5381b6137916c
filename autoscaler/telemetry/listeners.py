"""Tell several listeners of everything that happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from autoscaler.core.decision import Outcome
from autoscaler.core.journal import Entry
from autoscaler.runtime.report import Listener, TickReport


class Listeners:
    """A listener that passes everything on. One that fails hurts neither the tick nor the others; it is logged once."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = tuple(listeners)
        self._failed: set[int] = set()
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

    def ticked(self, report: TickReport) -> None:
        """A tick ended well."""
        self._tell(lambda listener: listener.ticked(report))

    def failed(self, reason: str, now: float) -> None:
        """A tick could not be made."""
        self._tell(lambda listener: listener.failed(reason, now))

    def noted(self, entry: Entry) -> None:
        """Something went into the journal."""
        self._tell(lambda listener: listener.noted(entry))

    def called(self, provider: str, outcome: Outcome) -> None:
        """A provider answered a command, or did not."""
        self._tell(lambda listener: listener.called(provider, outcome))

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        """A machine got HOT."""
        self._tell(lambda listener: listener.came_up(placement, seconds, resumed=resumed))

    def _tell(self, tell: Callable[[Listener], None]) -> None:
        for number, listener in enumerate(self._listeners):
            try:
                tell(listener)
            except Exception:  # noqa: BLE001 - whoever only looks on must not stop what is done
                if number not in self._failed:
                    self._failed.add(number)
                    self._log.exception("listener_failed", listener=type(listener).__name__)
