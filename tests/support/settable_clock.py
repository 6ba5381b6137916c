"""A wall clock that a test sets, as an operator or NTP sets a computer's; the event loop's own time goes on as ever."""

from __future__ import annotations

from autoscaler.runtime.clock import LoopClock


class SettableClock(LoopClock):
    """A clock that a test sets."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s
