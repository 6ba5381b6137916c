"""Real time, for tests that drive real processes and for those processes; every other test runs on virtual time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_LOOK_EVERY_S = 0.02


def now() -> float:
    """Seconds on a clock that only goes forward."""
    return time.monotonic()  # noqa: TID251 - other processes do not share our virtual time


def sleep(seconds: float) -> None:
    """Wait that many seconds."""
    time.sleep(max(0.0, seconds))  # noqa: TID251 - as above


def until(condition: Callable[[], T], what: str, *, patience_s: float = 60.0) -> T:
    """Look again and again until the condition holds, and give what it gave.

    Raises:
        AssertionError: it did not hold in time.
    """
    deadline = now() + patience_s
    while not (found := condition()):
        if now() > deadline:
            raise AssertionError(f"waited {patience_s:g}s in vain until {what}")
        sleep(_LOOK_EVERY_S)
    return found
