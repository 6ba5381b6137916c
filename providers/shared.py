# ruff: noqa: D102 - the docstrings of the contract hold
"""A provider around a provider whom several loops of one daemon ask: the same question of one moment is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar, TypeVarTuple

from autoscaler.core.market import Listing
from providers.base import Provider
from providers.wrapper import Wrapper

About = TypeVarTuple("About")
T = TypeVar("T")


class Together(Generic[*About, T]):
    """A question that whoever asks it in one turn of the event loop asks together.

    An answer to a question that has begun already is never given to one who asks later: when it was asked is evidence.
    """

    def __init__(self, ask: Callable[[*About], Awaitable[T]]) -> None:
        self._ask = ask
        self._gathering: dict[tuple[*About], asyncio.Task[T]] = {}
        self._waiting: dict[asyncio.Task[T], int] = {}

    async def __call__(self, *about: *About) -> T:
        task = self._gathering.get(about)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._begin(about), name="asked together")
            self._gathering[about] = task
        self._waiting[task] = self._waiting.get(task, 0) + 1
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                del self._waiting[task]
                task.cancel()  # nobody waits for it any more
                if self._gathering.get(about) is task:
                    del self._gathering[about]

    async def _begin(self, about: tuple[*About]) -> T:
        del self._gathering[about]
        return await self._ask(*about)


class Shared(Wrapper):
    """A provider whose listing, balance and bills are asked for once, however many ask in the same moment."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider)
        self._list = Together(provider.list_machines)
        self._balance = Together(provider.balance_usd)
        self._bill = Together(provider.billed_usd)

    async def list_machines(self) -> Listing:
        return await self._list()

    async def balance_usd(self) -> float | None:
        return await self._balance()

    async def billed_usd(self, day: str) -> Mapping[str, float] | None:
        return await self._bill(day)
