"""One connection to one Redis, shared by the queues and the store that lie in it.

Calls made in the same turn of the event loop, or in turns that follow each other, go out as one pipeline, so that a
tick costs one round trip however many readers take part; with a Cluster, one to each of its nodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from autoscaler.core.errors import StoreUnavailable
from autoscaler.link.cluster import Cluster
from autoscaler.link.commands import Command, Reply, Servers
from autoscaler.link.refusals import failure
from autoscaler.link.sentinel import Watched
from autoscaler.link.server import connect
from autoscaler.link.settings import RedisSettings

_Batch = list[tuple[Sequence[Command], "asyncio.Future[list[Reply]]"]]


class RedisLink:
    """One Redis, asked in batches."""

    def __init__(self, redis: RedisSettings | str) -> None:
        """A link to a Redis, which a URL alone may name; it is not connected to yet.

        Raises:
            ValueError: the settings have no sense.
        """
        settings = RedisSettings(url=redis) if isinstance(redis, str) else redis
        self._servers = _servers(settings)
        self._db = int(settings.address().options.get("db", 0))
        self._waiting: _Batch = []
        self._sending: set[asyncio.Task[None]] = set()
        self._listening: set[asyncio.Task[None]] = set()
        self.round_trips = 0
        """Pipelines sent so far; those sent to the nodes of a Cluster at the same time count once."""

    async def execute(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands and give their replies in order, together with whoever else asks in this turn or the next.

        Raises:
            StoreUnavailable: Redis did not answer, or refused the connection.
        """
        if not commands:
            return []
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Reply]] = loop.create_future()
        self._waiting.append((commands, answer))
        if len(self._waiting) == 1:
            loop.call_soon(self._send, 0)
        return await answer

    def _send(self, known: int) -> None:
        """Send, once a turn has brought nothing more: who asks may first gather for a turn what others ask."""
        if len(self._waiting) > known:
            asyncio.get_running_loop().call_soon(self._send, len(self._waiting))
            return
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._exchange(batch), name="redis-pipeline")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _exchange(self, batch: _Batch) -> None:
        self.round_trips += 1
        every = [command for commands, _ in batch for command in commands]
        try:
            replies = iter(await self._servers.exchange(every))
        except asyncio.CancelledError:
            for _, answer in batch:
                answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - a bug, too, is told to whoever asked: he would wait for ever
            replies = iter([error] * len(every))
        for commands, answer in batch:
            own = [next(replies) for _ in commands]
            failed = next(filter(None, map(failure, own)), None)
            if answer.done():  # whoever asked was cancelled
                continue
            if failed is not None:
                answer.set_exception(failed)
            else:
                answer.set_result(own)

    def listen(self, channel: str, hear: Callable[[bytes], None]) -> asyncio.Task[None]:
        """Have heard what is published on a channel. The task is done when that is refused, or breaks off.

        `{db}` in the channel's name stands for the number of the database.
        """
        listening = self._listen(channel.replace("{db}", str(self._db)), hear)
        task = asyncio.get_running_loop().create_task(listening, name="redis-channel")
        self._listening.add(task)
        task.add_done_callback(self._listening.discard)
        return task

    async def _listen(self, channel: str, hear: Callable[[bytes], None]) -> None:
        with suppress(StoreUnavailable):
            async for message in self._servers.listen(channel):
                hear(message)

    async def parts(self) -> Sequence[Servers]:
        """The servers that hold all keys between them, for commands such as SCAN that look at one server's.

        Raises:
            StoreUnavailable: nobody says which those are.
        """
        return await self._servers.parts()

    async def close(self) -> None:
        """Close all connections. Whoever still waits for an answer is cancelled."""
        under_way = [*self._listening, *self._sending]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._servers.close()


def _servers(settings: RedisSettings) -> Servers:
    address = settings.address()
    if address.master is not None:
        return Watched(settings, address)
    return Cluster(settings, address) if address.cluster else connect(settings, address)
