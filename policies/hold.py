"""A wish that cannot flap: it rises at once, and falls only once it was lower for a whole window.

Then it falls to the highest wish within that window. Worked example, with a window of 300 s: 3 machines are wished for,
then 1 from 0 s on, save that it is 2 at 100 s. It stays at 3 until 300 s; then it is 2, the most that was wished for
meanwhile; and 1 at 600 s, a whole window after the last fall.

What is held is stored as its fields: `Held(**state)` reads it, `held.state()` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.base import State


@dataclass(frozen=True, slots=True)
class Held:
    """A wish as it is held; each take is one tick."""

    value: int = 0
    """The number that stands."""
    lower_since: float | None = None
    """Epoch seconds since when less was wished for; None when the wish was never below."""
    highest: int = 0
    """The most that was wished for since then."""

    def take(self, wish: int, now: float, window_s: float) -> Held:
        """What stands after a wish; to hold, wish for the value itself, which ends the window."""
        if wish >= self.value:
            return Held(wish)
        if self.lower_since is None:
            return Held(self.value, now, wish)
        # Never later than now: a clock that was set back must put the fall off by no more than one window.
        since, highest = min(now, self.lower_since), max(self.highest, wish)
        if now - since < window_s:
            return Held(self.value, since, highest)
        return Held(highest, now, wish) if wish < highest else Held(highest)

    def falls_in_s(self, now: float, window_s: float) -> float | None:
        """Seconds until it falls, if no higher wish comes; None where it does not."""
        return None if self.lower_since is None else max(0.0, window_s - (now - self.lower_since))

    def state(self) -> State:
        """Its fields as JSON values."""
        return {"value": self.value, "lower_since": self.lower_since, "highest": self.highest}
