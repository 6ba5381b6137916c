"""The stores under test, each with what a test must do behind their backs."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hypothesis import strategies as st
from redis.asyncio import Redis

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import PoolSample, Sample, Stay, TierSample
from autoscaler.link import RedisLink, RedisSettings
from autoscaler.runtime.ports import Heartbeat, Store
from autoscaler.store.codec import encode_notice
from autoscaler.store.keys import Keys
from autoscaler.store.memory import MemoryState, MemoryStore
from autoscaler.store.redis import RedisStore

FLEET = "attic"
TTL_S = 30.0
_PATIENCE_S = 60.0  # a busy machine takes its time over ten thousand records


class Backend(Protocol):
    """One store that several daemons may open."""

    def open(self, owner: str) -> Store:
        """A daemon's view of it."""
        ...

    async def expire_lease(self) -> None:
        """Let the lease's time run out."""
        ...

    async def beat(self, instance: str, busy: int) -> None:
        """Report as a worker."""
        ...

    async def admission(self) -> dict[str, Any]:
        """What whoever accepts jobs finds."""
        ...

    async def close(self) -> None:
        """Close all that was opened."""
        ...


class HandClock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def steady(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, callback)


class MemoryBackend:
    """The store in memory."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.clock = HandClock()

    def open(self, owner: str) -> Store:
        return MemoryStore(self.state, owner, self.clock, TTL_S)

    async def expire_lease(self) -> None:
        self.clock.time += TTL_S

    async def beat(self, instance: str, busy: int) -> None:
        self.state.heartbeats[instance] = Heartbeat(busy=busy, stamp=str(busy))

    async def admission(self) -> dict[str, Any]:
        return {} if self.state.notice is None else _decoded(encode_notice(self.state.notice))

    async def close(self) -> None:
        pass


class RedisBackend:
    """The store in a Redis, with a second client for what others do there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys = Keys(FLEET)
        self.client: Any = Redis.from_url(url, decode_responses=True)
        self.links: list[RedisLink] = []

    def open(self, owner: str) -> RedisStore:
        self.links.append(RedisLink(RedisSettings(url=self.url, timeout=_PATIENCE_S)))
        return RedisStore(self.links[-1], FLEET, owner, TTL_S)

    async def expire_lease(self) -> None:
        assert 0 < await self.client.pttl(self.keys.lease) <= TTL_S * 1000
        await self.client.delete(self.keys.lease)

    async def beat(self, instance: str, busy: int) -> None:
        await self.client.hset(self.keys.workers, instance, str(busy))

    async def admission(self) -> dict[str, Any]:
        return _decoded(await self.client.hgetall(self.keys.admission))

    async def close(self) -> None:
        for link in self.links:
            await link.close()
        await self.client.aclose()


def _decoded(fields: Mapping[str, str | bytes]) -> dict[str, Any]:
    return {name: json.loads(stored) for name, stored in fields.items()}


def an_instance(name: str = "i1", phase: Phase = Phase.HOT, **fields: Any) -> Instance:
    """A record with only what a test cares for."""
    return Instance(
        id=name,
        phase=phase,
        pool="images",
        placement="mock",
        provider="mock",
        phase_since=1.0,
        created_at=0.0,
        **fields,
    )


_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_NUMBERS: dict[Any, Any] = {"float": _FINITE, "float | None": st.none() | _FINITE}
INSTANCES: st.SearchStrategy[Instance] = st.builds(
    Instance, **{field.name: _NUMBERS.get(field.type, ...) for field in dataclasses.fields(Instance)}
)
"""Records with anything in every field."""

_COUNTS = st.integers(0, 10**9)
SAMPLES: st.SearchStrategy[Sample] = st.builds(
    Sample,
    at=_FINITE,
    until=_FINITE,
    pools=st.dictionaries(
        st.text(),
        st.builds(
            PoolSample,
            tiers=st.dictionaries(st.text(), st.builds(TierSample, _COUNTS, _COUNTS, _COUNTS, st.none() | _FINITE)),
            seen_s=_FINITE,
            counted=st.booleans(),
            in_flight=st.none() | _COUNTS,
            busy_s=st.none() | _FINITE,
            machine_s=st.dictionaries(st.sampled_from(Phase), _FINITE),
            usd=_FINITE,
            offered_usd_per_hour=st.none() | _FINITE,
            wanted=st.none() | _COUNTS,
        ),
        max_size=2,
    ),
    stays=st.lists(st.builds(Stay, since=_FINITE, until=_FINITE, usd_per_hour=_FINITE), max_size=2).map(tuple),
)
"""Samples with anything in every field."""
