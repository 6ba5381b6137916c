"""Tasks that are watched until they end, a signal that tasks can wait for, and answers: in time, and two at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from autoscaler.core.errors import StoreUnavailable
from autoscaler.runtime.ports import Clock

T = TypeVar("T")
U = TypeVar("U")


class Wake:
    """Lets one task end another's waiting early."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """End the waiting, or the next one."""
        self._event.set()

    async def wait(self, clock: Clock, seconds: float, *, least_s: float = 0.0) -> None:
        """Wait until woken, `seconds` of the clock at most, and `least_s` however early that is."""
        earliest = clock.now() + least_s
        alarm = clock.call_later(seconds, self.set)
        try:
            await self._event.wait()
        finally:
            alarm.cancel()
        if (early_s := earliest - clock.now()) > 0.0:
            await clock.sleep(min(early_s, least_s))
        self._event.clear()


class Supervisor:
    """Runs named tasks that are not meant to end. The first that does ends the daemon."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run a task under watch."""
        self._tasks[name] = asyncio.get_running_loop().create_task(work, name=name)

    async def until(self, stop: asyncio.Event) -> None:
        """Return when asked to stop; raise when a task ends or fails before.

        Raises:
            RuntimeError: a task ended although it should not.
            BaseException: what a task failed with.
        """
        stopped = asyncio.get_running_loop().create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait({stopped, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        for name, task in self._tasks.items():
            if task in done and not stop.is_set():
                task.result()
                raise RuntimeError(f"the task {name!r} ended although it should run for ever")

    async def cancel(self) -> None:
        """End all tasks and wait for them."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def in_half_a_tick(ask: Callable[[], Awaitable[T]], clock: Clock, tick_s: float) -> T:
    """What the store answers. No more than that is waited for, so that whoever reads why a tick failed knows for what.

    Where it is cancelled before it begins, nothing was asked.

    Raises:
        StoreUnavailable: it took longer.
    """
    try:
        async with clock.timeout(tick_s / 2):
            return await ask()
    except TimeoutError:
        raise StoreUnavailable(f"the store did not answer within {tick_s / 2:g}s, half a tick") from None


async def both(first: Awaitable[T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Both answers, asked for at the same time. The second is brought to its end even where the first fails."""
    other = asyncio.get_running_loop().create_task(second)
    try:
        one = await first
    except asyncio.CancelledError:
        other.cancel()
        raise
    except Exception:
        await asyncio.gather(other, return_exceptions=True)
        raise
    return one, await other
