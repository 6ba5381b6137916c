"""An event loop on virtual time: when nothing is left to do now, the clock jumps to the next timer.

The looptime library does the same for tests; it turns about fifty empty rounds for each of our ticks, which is most of
the time of a rehearsal of days. A loop of this kind must not wait for threads or sockets: it has none.
"""

from __future__ import annotations

import asyncio
from typing import Any


class VirtualLoop(asyncio.BaseEventLoop):
    """Starts at time 0 and never sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self  # the base class asks its selector to wait until the next timer

    def time(self) -> float:
        """Seconds of virtual time since the start."""
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Instead of waiting, let time jump by as much.

        Raises:
            RuntimeError: there is nothing to wait for.
        """
        if timeout is None:
            raise RuntimeError("every task waits for something that no timer will bring")
        self._now += timeout
        return []

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nothing waits that could be woken."""
