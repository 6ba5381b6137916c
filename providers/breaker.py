"""A provider around a provider that leaves a broken one alone for a while, so that nothing hangs on it.

It opens after several calls in a row that failed in ways that speak of the provider as a whole. While it is open, what
costs money or only informs is refused at once; afterwards one such call is tried. Stops and releases always pass, for
they save money, and listings, for without them we are blind. Any answer that proves the provider alive closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from autoscaler.core.errors import AuthFailed, ProviderError, RateLimited, Transient, UnclearOutcome
from providers.base import Provider
from providers.wrapper import Wrapper

FAILURES = 5
"""Calls in a row that must fail before it opens."""
OPEN_S = 60.0
"""How long it stays open."""

_ALWAYS = frozenset({"list_machines", "stop", "release"})
_BROKEN = (Transient, UnclearOutcome, AuthFailed)
T = TypeVar("T")


class Breaker(Wrapper):
    """A provider whose calls are refused while it is broken; `now` gives epoch seconds."""

    def __init__(self, provider: Provider, now: Callable[[], float]) -> None:
        super().__init__(provider)
        self._now = now
        self._failures = 0
        self._opened_at: float | None = None
        self._why = ""
        self._trying = False

    async def _call(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call unless it is open; once its time is over, one call at a time is made to see."""
        if self._opened_at is None or name in _ALWAYS:
            return await self._watched(call)
        if self._trying or self._is_open():
            raise Transient(self._refusal(self._opened_at))
        self._trying = True
        try:
            return await self._watched(call)
        finally:
            self._trying = False

    async def _watched(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call and learn from how it ends."""
        try:
            answer = await call()
        except _BROKEN as error:
            self._failed(f"{type(error).__name__}: {error}")
            raise
        except asyncio.CancelledError:
            self._failed("no answer while anybody waited for it")
            raise
        except RateLimited:
            raise  # perhaps nothing was sent: it proves nothing
        except ProviderError:
            self._answered()
            raise
        self._answered()
        return answer

    def _answered(self) -> None:
        self._failures, self._opened_at = 0, None

    def _failed(self, why: str) -> None:
        self._failures += 1
        self._why = why
        if self._failures >= FAILURES and not self._is_open():
            self._opened_at = self._now()

    def _is_open(self) -> bool:
        return self._opened_at is not None and 0 <= self._now() - self._opened_at < OPEN_S  # a clock may be set back

    def _refusal(self, opened_at: float) -> str:
        since, until = (f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}" for at in (opened_at, opened_at + OPEN_S))
        return (
            f"{self.name} is left alone from {since} until {until} UTC, nothing was sent: {self._failures} calls in a"
            f" row failed, the last with {self._why}"
        )
