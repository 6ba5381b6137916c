"""Ask in the background, and keep the newest answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from autoscaler.core.demand import Unknown
from autoscaler.core.errors import ProviderError
from autoscaler.runtime.ports import Clock

_FIRST_PATIENCE_S = 60.0
_MOST_PATIENCE_S = 600.0

T = TypeVar("T")


class Polled(Generic[T]):
    """The newest answer to a question that may take long to answer.

    A question without an answer is given up after a minute, and nothing is known until the next one is answered. That
    one has twice the time, and so on: a list of two thousand machines, 25 of them a second, is whole with the second
    try, and what hangs is asked again all the same. An answer that took long grants the next one twice as long.
    """

    def __init__(self, name: str, ask: Callable[[], Awaitable[T]], clock: Clock, *, every_s: float = 0.0) -> None:
        self._name = name
        self._ask = ask
        self._clock = clock
        self.every_s = every_s
        """The least time between two questions."""
        self._task: asyncio.Task[None] | None = None
        self._begun_at = float("-inf")
        self._patience_s = _FIRST_PATIENCE_S
        self._hurried = False
        self.value: T | Unknown = Unknown("not asked yet", clock.now())
        self.asked_at = float("-inf")
        """The tick that asked for the present value."""
        self.answered_at = float("-inf")

    def start(self, now: float) -> asyncio.Task[None] | None:
        """Ask, unless it is too early, or the last question may still be answered."""
        age_s = abs(now - self._begun_at)  # a clock may be set back, too
        if age_s < (self._patience_s if self._task is not None else 0.0 if self._hurried else self.every_s):
            return None
        if self._task is not None:
            self._task.cancel()
            self._fail(f"no answer within {self._patience_s:g}s")
            self._patience_s = min(2.0 * self._patience_s, _MOST_PATIENCE_S)
        self._begun_at, self._hurried = now, False
        self._task = asyncio.get_running_loop().create_task(self._update(now), name=f"ask {self._name}")
        return self._task

    def hurry(self) -> None:
        """Something has happened: the next `start` asks, however lately that was done."""
        self._hurried = True

    def wait_s(self, now: float) -> float:
        """Seconds before it may be asked again; 0 while it is being asked, or in a hurry."""
        return 0.0 if self._task is not None or self._hurried else max(0.0, self.every_s - abs(now - self._begun_at))

    @property
    def was_answered(self) -> bool:
        """Whether any question was answered, or failed."""
        return self.answered_at > float("-inf")

    @property
    def asking_since(self) -> float | None:
        """The tick that asked what is not answered yet; None while nothing is asked."""
        return None if self._task is None else self._begun_at

    async def _update(self, now: float) -> None:
        try:
            value = await self._ask()
        except ProviderError as error:
            self._fail(f"{type(error).__name__}: {error}" + (f"; {error.fix}" if error.fix else ""))
        except Exception as error:  # noqa: BLE001 - a bug in one adapter must not blind us to the others
            self._fail(f"{type(error).__name__}: {error}")
        else:
            self.value, self.asked_at = value, now
            self.answered_at = self._clock.now()
            self._patience_s = max(_FIRST_PATIENCE_S, 2.0 * (self.answered_at - now))
        self._task = None

    def _fail(self, reason: str) -> None:
        self.answered_at = self._clock.now()
        since = self.value.since if isinstance(self.value, Unknown) else self.answered_at
        self.value = Unknown(reason, since)

    def give_up(self) -> None:
        """Stop asking, and do not wait until that is done."""
        if self._task is not None:
            self._task.cancel()

    async def cancel(self) -> None:
        """Stop asking."""
        self.give_up()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
