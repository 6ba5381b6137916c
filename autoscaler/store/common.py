"""What the stores of one daemon have in common, where each pool has a lease of its own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError

from autoscaler.link import RedisLink, Reply
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.codec import decode_heartbeat
from autoscaler.store.keys import Keys


def pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A hash as RESP2 gives it: field, value, field, value."""
    return {flat[i].decode(errors="replace"): flat[i + 1] for i in range(0, len(flat), 2)}


class Share:
    """How many leases one daemon may hold: as many as any other, of those that live."""

    def __init__(self, units: int = 1) -> None:
        self.units = units
        """Leases there are."""
        self.living = 1
        """Daemons that were heard of within the time of a lease, this one included."""
        self._held: set[str] = set()

    def too_many(self) -> bool:
        """Whether one is to be given back: where they do not come out even, some daemons hold one fewer, or several."""
        return len(self._held) > math.ceil(self.units / self.living)

    def count(self, unit: str, *, leads: bool) -> None:
        """Note whether a lease is held, or is about to be given back."""
        (self._held.add if leads else self._held.discard)(unit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What is the same for all pools."""

    version: Reply
    orders: Sequence[bytes]
    heartbeats: Mapping[str, Heartbeat]


class Common:
    """One daemon's share, and what all its stores read alike."""

    def __init__(self, link: RedisLink, fleet: str, units: int = 1) -> None:
        self.share = Share(units)
        self._link = link
        self._keys = Keys(fleet)
        self._asked: asyncio.Task[Shown | RedisError] | None = None

    def read(self) -> asyncio.Task[Shown | RedisError]:
        """What all stores read, asked and read once for all that ask in one turn of the event loop, in its pipeline."""
        if self._asked is None:
            loop = asyncio.get_running_loop()
            self._asked = loop.create_task(self._read(), name="read what is common")
        return self._asked

    async def _read(self) -> Shown | RedisError:
        self._asked = None
        version, orders, beats = await self._link.execute(
            [("GET", self._keys.version), ("HGETALL", self._keys.orders), ("HGETALL", self._keys.workers)]
        )
        for reply in (version, orders, beats):
            if isinstance(reply, RedisError):
                return reply
        return Shown(version=version, orders=orders, heartbeats=_heartbeats(beats))


def _heartbeats(flat: Sequence[bytes]) -> dict[str, Heartbeat]:
    """Heartbeats by instance. A worker whose value cannot be read is absent: unknown, and so counted as busy."""
    beats = {name: decode_heartbeat(value) for name, value in pairs(flat).items()}
    return {name: beat for name, beat in beats.items() if beat is not None}
