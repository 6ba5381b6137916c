"""A daemon as its operating system sees it: a process that may die or freeze at any await, with a clock of its own.

Everything that a daemon does to the world goes through a port, and each port passes through `Process.crossing`. A dead
process crosses no more: its calls have no effect and never return. A frozen one gets no answer and no timer before it
thaws.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from autoscaler.runtime.clock import LoopClock

T = TypeVar("T")


class Process:
    """What can happen to a process."""

    def __init__(self, clock: LoopClock, rng: random.Random, latency_s: float) -> None:
        self.dead = False
        self.clock_offset_s = 0.0
        self._clock = clock
        self._rng = rng
        self._latency_s = latency_s
        self._crossings_left: int | None = None
        self._dies_after = False
        self.thawed_at = float("-inf")
        """Until when it stands still, or when it last did."""
        self._timeouts: WeakKeyDictionary[asyncio.Timeout, None] = WeakKeyDictionary()
        """As they were made: the order of a set is that of addresses, and no two runs have the same."""

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self.thawed_at > 0.0 and self._clock.now() < self.thawed_at

    @property
    def doomed(self) -> bool:
        """Whether it is to die at a coming crossing, or is dead."""
        return self._crossings_left is not None

    def die_at(self, crossing: int, *, after: bool) -> None:
        """Let it die at a coming crossing, before or after the effect."""
        self._crossings_left, self._dies_after = crossing, after

    def live_on(self) -> None:
        """Let it not die after all."""
        self._crossings_left = None

    def freeze(self, seconds: float) -> None:
        """Let it stand still; if it does already, no shorter than it would have."""
        self.thawed_at = max(self.thawed_at, self._clock.now() + seconds)
        thaws_at = asyncio.get_running_loop().time() + self.thawed_at - self._clock.now()
        for timeout in list(self._timeouts):
            ends_at = timeout.when()
            if ends_at is not None and ends_at < thaws_at:
                with contextlib.suppress(RuntimeError, AssertionError):  # not begun, or over
                    timeout.reschedule(thaws_at)

    async def crossing(self, effect: Callable[[], Awaitable[T]], *, outside: bool = True) -> T:
        """Have an effect on the world and bring its answer back."""
        if self.dead:
            await _never()
        if self._crossings_left is not None:
            self._crossings_left -= 1
            if self._crossings_left <= 0:
                self.dead = True
                if self._dies_after:
                    with contextlib.suppress(Exception):
                        await effect()
                await _never()
        try:
            return await effect()
        finally:
            await self._answer(outside=outside)

    async def _answer(self, *, outside: bool) -> None:
        if outside and self._latency_s and self._rng.random() < 0.2:
            await self._clock.sleep(self._rng.uniform(0.0, self._latency_s))
        while self.frozen:
            await self._clock.sleep(self.thawed_at - self._clock.now())
        if self.dead:
            await _never()

    # The process's clock

    def now(self) -> float:
        """Epoch seconds, as its own clock has them."""
        return self._clock.now() + self.clock_offset_s

    def steady(self) -> float:
        """The clock that nobody sets."""
        return self._clock.steady()

    async def sleep(self, seconds: float) -> None:
        """Wait; a clock that is set does not change how long."""
        await self.crossing(lambda: self._clock.sleep(seconds), outside=False)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        """A limit on what is awaited inside."""
        timeout = self._clock.timeout(seconds)
        self._timeouts[timeout] = None
        return timeout

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call back after that many seconds, or when it thaws."""

        def ring() -> None:
            if self.frozen:
                self._clock.call_later(self.thawed_at - self._clock.now(), ring)
            elif not self.dead:
                callback()

        return self._clock.call_later(seconds, ring)


async def _never() -> None:
    await asyncio.get_running_loop().create_future()
