"""A watch at work: it looks at the fleet again and again, obeys keys, and paints what came of both."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from autoscaler.cli.endpoint import NoDaemon
from autoscaler.cli.view.words import Object
from autoscaler.cli.watch.keys import press
from autoscaler.cli.watch.screen import draw
from autoscaler.cli.watch.state import Watch
from autoscaler.cli.watch.terminal import Terminal
from autoscaler.runtime.clock import SystemClock

Look = Callable[[], Awaitable[tuple[Object, Sequence[Object]]]]
"""Gives the status and the newest entries of the journal; raises NoDaemon where nobody answers."""


class Session:
    """One watch on the terminal of this process."""

    def __init__(self, watch: Watch, look: Look, *, interval_s: float) -> None:
        self._watch, self._look, self._interval_s = watch, look, interval_s
        self._keys: deque[str] = deque()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Watch until a key or `end` ends it, or the terminal is gone."""
        terminal = Terminal(pressed=self._press, resized=self._changed.set, gone=self.end)
        looking = asyncio.get_running_loop().create_task(self._look_for_ever())
        looking.add_done_callback(lambda _: self._changed.set())
        try:
            with terminal.taken():
                while not self._watch.ended:
                    terminal.paint(draw(self._watch, *terminal.size))
                    await self._changed.wait()
                    self._changed.clear()
                    while self._keys:
                        press(self._watch, self._keys.popleft())
                    if looking.done():
                        looking.result()
        finally:
            looking.cancel()

    def end(self) -> None:
        """End it, as the key does."""
        self._watch.quit()
        self._changed.set()

    def _press(self, key: str) -> None:
        self._keys.append(key)
        self._changed.set()

    async def _look_for_ever(self) -> None:
        clock = SystemClock()
        while True:
            try:
                status, journal = await self._look()
            except NoDaemon as error:
                self._watch.lost(str(error))
            else:
                self._watch.looked(status, journal)
            self._changed.set()
            await clock.sleep(self._interval_s)
