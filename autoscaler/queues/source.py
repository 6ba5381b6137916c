"""All pools' queues, read at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.errors import StoreUnavailable
from autoscaler.link import Command, RedisLink, Reply
from autoscaler.queues.base import READ_ONLY, Steps
from autoscaler.queues.heard import Heard
from autoscaler.queues.pool import PoolReader

T = TypeVar("T")


class QueueDemand:
    """Reads the queue of each pool, over its own link or over one that it shares.

    All pools ask in the same turn of the event loop, and once more in a later one; a link sends what it is asked in one
    turn as one pipeline. So each link costs one round trip a tick, or two, however many pools there are.
    """

    def __init__(self, queues: Mapping[str, tuple[RedisLink, PoolReader]], *, patience_s: float | None = None) -> None:
        """Readers by pool. One that takes longer than so many seconds is given up, however long its link waits."""
        self._queues: dict[str, tuple[RedisLink, PoolReader]] = {}
        self._ears: dict[str, _Ear] = {}
        self._unknown_since: dict[str, float] = {}
        self.adapt(queues, patience_s=patience_s)

    def adapt(self, queues: Mapping[str, tuple[RedisLink, PoolReader]], *, patience_s: float | None) -> None:
        """Read these queues from now on; to be called while nothing is being read."""
        for pool, queue in self._queues.items():
            if queues.get(pool) is not queue:
                self._unknown_since.pop(pool, None)
                if ear := self._ears.pop(pool, None):
                    ear.close()
        for pool, (link, reader) in queues.items():
            if reader.heard is not None and pool not in self._ears:
                self._ears[pool] = _Ear(link, reader.heard)
        self._queues, self._patience_s = dict(queues), patience_s

    async def read(self, now: float, *, only: str = "") -> Mapping[str, Demand | Unknown]:
        """What each pool's queue holds, or only one's.

        A queue that cannot be read is Unknown since its first failure in a row.
        """
        queues = {pool: queue for pool, queue in self._queues.items() if only in ("", pool)}
        for pool in queues:
            if ear := self._ears.get(pool):
                ear.listen()
        readings = await asyncio.gather(*(self._read(*queue, now) for queue in queues.values()))
        return {pool: self._dated(pool, reading) for pool, reading in zip(queues, readings, strict=True)}

    async def _read(self, link: RedisLink, reader: PoolReader, now: float) -> Demand | Unknown:
        steps = reader.read(now)
        try:
            async with asyncio.timeout(self._patience_s):
                return await answered(link, steps)
        except StoreUnavailable as error:
            reason = str(error)
        except TimeoutError:
            reason = f"Redis did not answer within {self._patience_s:g}s, half a tick"
        steps.close()
        return Unknown(reason, now)

    def _dated(self, pool: str, reading: Demand | Unknown) -> Demand | Unknown:
        if isinstance(reading, Unknown):
            return replace(reading, since=self._unknown_since.setdefault(pool, reading.since))
        self._unknown_since.pop(pool, None)
        return reading


class DemandOf:
    """What one pool's queue holds, or for no name what all hold."""

    def __init__(self, demand: QueueDemand, pool: str) -> None:
        self._demand = demand
        self._pool = pool

    async def read(self, now: float) -> Mapping[str, Demand | Unknown]:
        """As `QueueDemand` reads it."""
        return await self._demand.read(now, only=self._pool)


class _Ear:
    """Listens for a reader while the link is open. No reading waits for it."""

    def __init__(self, link: RedisLink, heard: Heard) -> None:
        self._link = link
        self._heard = heard
        self._listening: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Begin to, or begin anew where it was refused or broke off since the last tick."""
        self._heard.broke_off = self._listening is not None and self._listening.done()
        if self._listening is None or self._listening.done():
            self._listening = self._link.listen(self._heard.channel, self._heard.hear)

    def close(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            self._listening.cancel()


async def answered(link: RedisLink, steps: Steps[T]) -> T:
    """Ask what a reading asks, and give what it read.

    Raises:
        StoreUnavailable: Redis did not answer.
    """
    try:
        commands = next(steps)
        while True:
            commands = steps.send(await _ask(link, commands))
    except StopIteration as end:
        result: T = end.value
        return result


async def _ask(link: RedisLink, commands: Sequence[Command]) -> Sequence[Reply]:
    writing = next((command for command in commands if command[0] not in READ_ONLY), None)
    if writing is not None:
        raise ValueError(f"{writing[0]!r} is not among the commands that only read")
    return await link.execute(commands)
