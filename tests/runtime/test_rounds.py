"""How long a daemon waits between two ticks."""

from __future__ import annotations

import pytest

from autoscaler.runtime.rounds import go_round
from autoscaler.runtime.supervise import Wake


class Over(Exception):
    """The end of a test."""


class Clock:
    """A clock that is set back by so much during each tick."""

    def __init__(self, back_s: float) -> None:
        self.time, self.back_s = 1e6, back_s

    def now(self) -> float:
        return self.time

    async def tick(self) -> None:
        self.time -= self.back_s


class Waits(Wake):
    """Keeps how long it is told to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[float, float]] = []

    async def wait(self, clock: object, seconds: float, *, least_s: float = 0.0) -> None:
        self.told.append((seconds, least_s))
        raise Over


@pytest.mark.parametrize(
    ("back_s", "waits_s"),
    [(0.0, 10.0), (-4.0, 6.0), (-60.0, 1.0), (3600.0, 10.0)],
    ids=["at once", "a slow tick", "a tick that took too long", "the clock was set back"],
)
async def test_a_tick_begins_so_long_after_the_last_whatever_the_clock_does(back_s: float, waits_s: float) -> None:
    clock, wake = Clock(back_s), Waits()
    with pytest.raises(Over):
        await go_round(clock.tick, wake, clock, lambda: 10.0)  # type: ignore[arg-type]

    assert wake.told == [(waits_s, 1.0)]
