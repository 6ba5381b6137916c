"""One connection to one Redis, shared by the queues and the store that lie in it.

Calls made in the same turn of the event loop go out as one pipeline, so that a tick costs one round trip however many
readers take part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - redis-py's own name
    RedisError,
    TimeoutError,  # noqa: A004 - redis-py's own name
)

from autoscaler.core.errors import StoreRefused, StoreUnavailable

Command = tuple[str | bytes | int | float, ...]
"""One Redis command and its arguments, e.g. ``("LLEN", "jobs:pro")``."""
Reply = Any
"""A reply as RESP2 gives it; a command that Redis refused gives its ``ResponseError`` as a value."""


class RedisLink:
    """One Redis, asked in batches."""

    def __init__(self, url: str, *, timeout_s: float = 2.0) -> None:
        self._redis = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),  # a batch that broke off may have been done: never send it twice
        )
        self._redis.response_callbacks.clear()  # replies as they came: each reader parses its own
        self._waiting: list[tuple[Sequence[Command], asyncio.Future[list[Reply]]]] = []
        self._sending: set[asyncio.Task[None]] = set()
        self.round_trips = 0
        """Pipelines sent so far."""

    async def execute(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands and give their replies in order, together with whoever else asks in this turn.

        Raises:
            StoreUnavailable: Redis did not answer, or refused the connection.
        """
        if not commands:
            return []
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Reply]] = loop.create_future()
        self._waiting.append((commands, answer))
        if len(self._waiting) == 1:
            loop.call_soon(self._send)
        return await answer

    def _send(self) -> None:
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._exchange(batch), name="redis-pipeline")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _exchange(self, batch: list[tuple[Sequence[Command], asyncio.Future[list[Reply]]]]) -> None:
        self.round_trips += 1
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for commands, _ in batch:
                for command in commands:
                    pipeline.execute_command(*command)
            replies = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, ValueError) as error:  # ValueError: text that UTF-8 cannot write
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(unavailable(error))
            return
        start = 0
        for commands, answer in batch:
            if not answer.done():
                answer.set_result(replies[start : start + len(commands)])
            start += len(commands)

    async def close(self) -> None:
        """Close the connection."""
        await self._redis.aclose()


def unavailable(error: BaseException) -> StoreUnavailable:
    """A connection error in one line that names the fix and no secret."""
    if isinstance(error, (AuthenticationError, AuthorizationError)) or "WRONGPASS" in str(error):
        return StoreRefused("Redis refused the user name or password; check those in the redis:// URL")
    if isinstance(error, BusyLoadingError):
        return StoreUnavailable("Redis is still loading its data")
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return StoreUnavailable("Redis did not answer in time")
    if isinstance(error, (ConnectionError, OSError)):
        return StoreUnavailable(f"Redis cannot be reached: {error}")
    return StoreUnavailable(f"Redis refused: {error}")
