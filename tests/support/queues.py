"""Helpers for the tests of queue readers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.link import Command, RedisLink, RedisSettings
from autoscaler.queues import QueueSettings, make_reader
from autoscaler.queues.base import Steps
from autoscaler.queues.source import QueueDemand

NOW = 1_800_000_000.0

T = TypeVar("T")


def driven(steps: Steps[T], answer: Callable[[Command], Any]) -> tuple[T, list[list[Command]]]:
    """What a reading gives when its commands are answered so, and what it asked in each step."""
    asked: list[list[Command]] = []
    try:
        commands = next(steps)
        while True:
            asked.append(list(commands))
            commands = steps.send([answer(command) for command in commands])
    except StopIteration as end:
        result: T = end.value
        return result, asked


class QueueUnderTest:
    """One pool's queue, read over a link of its own, and filled over another."""

    def __init__(self, settings: QueueSettings, link: RedisLink, producer: RedisLink) -> None:
        self.link = link
        self._producer = producer
        self.source = QueueDemand({"pool": (link, make_reader(settings))})

    async def read_any(self, now: float = NOW) -> Demand | Unknown:
        """One tick."""
        return (await self.source.read(now))["pool"]

    async def read(self, now: float = NOW) -> Demand:
        """One tick that succeeds."""
        demand = await self.read_any(now)
        assert isinstance(demand, Demand), demand
        return demand

    async def tier(self, now: float = NOW) -> TierDemand:
        """The first tier of one tick that succeeds."""
        return (await self.read(now)).tiers[0]

    async def unknown(self, now: float = NOW) -> Unknown:
        """One tick that fails."""
        demand = await self.read_any(now)
        assert isinstance(demand, Unknown), demand
        return demand

    async def do(self, *command: str | int | float) -> Any:
        """A command of the producer or a worker."""
        (reply,) = await self._producer.execute([command])
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def sent_bytes(self, now: float = NOW) -> int:
        """Bytes that Redis sends in one tick, and in a little bookkeeping."""
        await self.do("CONFIG", "RESETSTAT")
        await self.read_any(now)
        stats: bytes = await self.do("INFO", "stats")
        return int(stats.partition(b"total_net_output_bytes:")[2].split(b"\r\n")[0])

    async def trips(self, now: float = NOW) -> int:
        """Round trips that one tick takes."""
        before = self.link.round_trips
        await self.read_any(now)
        return self.link.round_trips - before


@asynccontextmanager
async def open_queue(url: str, settings: QueueSettings) -> AsyncIterator[QueueUnderTest]:
    """A queue in that Redis, and its reader."""
    link, producer = RedisLink(url), RedisLink(url)
    try:
        yield QueueUnderTest(settings, link, producer)
    finally:
        await link.close()
        await producer.close()


async def as_admin(url: str, *commands: Command) -> None:
    """Commands of whoever runs the Redis, such as one that makes a user."""
    link = RedisLink(url)
    replies = await link.execute(commands)
    await link.close()
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply


@asynccontextmanager
async def linked(redis: RedisSettings | str) -> AsyncIterator[RedisLink]:
    """A link to a Redis, closed at the end."""
    link = RedisLink(redis)
    try:
        yield link
    finally:
        await link.close()
