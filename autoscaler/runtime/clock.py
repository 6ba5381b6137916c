"""The clocks: the only place that reads time or sleeps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_SET_S = 10.0
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the former is Linux's


class SteadyLoop(asyncio.SelectorEventLoop):
    """An event loop whose time nobody can set, and goes on while the computer is suspended, as that of leases does."""

    def time(self) -> float:
        """Seconds."""
        return time.clock_gettime(_STEADY)


class SystemClock:
    """Wall time."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()  # noqa: TID251 - this is the clock

    def steady(self) -> float:
        """Seconds that nobody can set; those while the computer was suspended are among them."""
        return time.clock_gettime(_STEADY)

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
        return self.steady()

    def steady(self) -> float:
        """The same: nobody sets it."""
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


class Jumps:
    """Notices when a clock is set, by another that nobody can set."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None
        self._set_s = 0.0

    def look(self, now: float, steady: float) -> None:
        """Take what both clocks show at one moment; less than 10 s may be a clock that is slowly put right."""
        before, self._ahead_s = self._ahead_s, now - steady
        if before is not None and abs(self._ahead_s - before) >= _SET_S:
            self._set_s += self._ahead_s - before

    def take(self) -> float:
        """By how many seconds the clock was set since this was asked last; negative for back."""
        set_s, self._set_s = self._set_s, 0.0
        return set_s
