"""The clocks: the only place that reads time or sleeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class SystemClock:
    """Wall time."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()  # noqa: TID251 - this is the clock

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        await asyncio.sleep(seconds)  # noqa: TID251 - this is the clock

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """A limit on what is awaited inside; it raises `TimeoutError`."""
        return asyncio.timeout(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back after that many seconds."""
        return asyncio.get_running_loop().call_later(seconds, callback)


class LoopClock:
    """Time counted by the event loop: `speed` times as fast, or virtual when the loop's own time is.

    It starts at `epoch` when it is first asked, and is of the loop that runs then.
    """

    def __init__(self, *, epoch: float, speed: float = 1.0) -> None:
        self._epoch = epoch
        self._speed = speed
        self._loop_time: Callable[[], float] | None = None
        self._started = 0.0

    def now(self) -> float:
        """Epoch seconds of this clock."""
        if self._loop_time is None:
            self._loop_time = asyncio.get_running_loop().time
            self._started = self._loop_time()
        return self._epoch + (self._loop_time() - self._started) * self._speed

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock."""
        await asyncio.sleep(seconds / self._speed)  # noqa: TID251 - this is the clock

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """A limit in this clock's seconds on what is awaited inside; it raises `TimeoutError`."""
        return asyncio.timeout(seconds / self._speed)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back after that many seconds of this clock."""
        return asyncio.get_running_loop().call_later(seconds / self._speed, callback)
