"""An event loop on virtual time: when nothing is left to do now, the clock jumps to the next timer.

The looptime library does the same for tests; it turns about fifty empty rounds for each of our ticks, which is most of
the time of a rehearsal of days. A loop of this kind must not wait for threads or sockets: time would run past them.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


class _JumpingSelector(selectors.BaseSelector):
    """Instead of waiting, lets the loop's time jump by as much."""

    def __init__(self) -> None:
        self._inner = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._inner.select(0)
        if not events and timeout is None:
            raise RuntimeError("every task waits for something that no timer will bring")
        if not events and timeout:
            self.now += timeout
        return events

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at time 0 and never sleeps."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds of virtual time since the start."""
        return self._jumping.now
