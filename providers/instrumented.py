"""A provider around a provider that tells how each call ended and how long it took."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from autoscaler.core.decision import Result, result_of
from providers.base import Provider
from providers.wrapper import Wrapper

Tell = Callable[[str, str, Result, float], None]
"""Called with the provider's name, the call as the contract names it, how it ended, and the seconds it took."""

T = TypeVar("T")


class Instrumented(Wrapper):
    """A provider whose calls are told of; `now` gives seconds. A call that was given up counts as unclear."""

    def __init__(self, provider: Provider, tell: Tell, now: Callable[[], float]) -> None:
        super().__init__(provider)
        self._tell = tell
        self._now = now

    async def _call(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        began, result = self._now(), Result.OK
        try:
            return await super()._call(name, call)
        except BaseException as error:
            result = result_of(error)
            raise
        finally:
            self._tell(self.name, name, result, max(0.0, self._now() - began))
