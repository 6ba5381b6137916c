"""The demo's own world in Redis: traffic that fills a queue of lists, and the queue as simulated workers see it.

Neither is part of the daemon, which only ever reads a queue.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterable, Mapping, Sequence

from autoscaler.link import RedisLink
from autoscaler.queues.list import ListQueue
from autoscaler.runtime.ports import Clock, Heartbeat
from autoscaler.sim.traffic import Traffic, arrivals
from autoscaler.sim.workers import Job
from autoscaler.store.keys import Keys

DEMO_TRAFFIC = Traffic(
    quiet_per_h=12.0,
    burst_per_h=400.0,
    period_s=3600.0,
    sharpness=4.0,
    shares={"pro": 2.0, "premium": 3.0, "free": 5.0},
    service_s=45.0,
)
"""A burst every hour, which takes five machines at its height."""

_SERVICE_S = 30.0  # a job that does not say how long it takes
_LOOK_EVERY_S = 2.0


class DemoTraffic:
    """A producer: pushes jobs as JSON that carries the daemon's time."""

    def __init__(
        self, link: RedisLink, queue: ListQueue, clock: Clock, rng: random.Random, traffic: Traffic = DEMO_TRAFFIC
    ) -> None:
        self._link = link
        self._keys = {tier.name: tier.key for tier in queue.tiers}
        self._push = "RPUSH" if queue.pop_side == "left" else "LPUSH"
        self._clock = clock
        self._arrivals = arrivals(traffic, rng)

    async def run(self) -> None:
        """Push jobs for ever.

        Raises:
            StoreUnavailable: Redis does not answer.
        """
        started = self._clock.now()
        for number, arrival in enumerate(self._arrivals, start=1):
            await self._clock.sleep(max(0.0, started + arrival.t_s - self._clock.now()))
            job = {
                "id": f"job-{number}",
                "tier": arrival.tier,
                "service_s": round(arrival.service_s, 3),
                "enqueued_at": self._clock.now(),
            }
            await self._link.execute([(self._push, self._keys[arrival.tier], json.dumps(job))])


class RedisJobSource:
    """A queue of lists as simulated workers see it; in-flight jobs lie in the first of its `in_flight_keys`.

    Any element is a job: what is not JSON with a `service_s` takes half a minute. Every method raises
    `StoreUnavailable` when Redis does not answer.
    """

    def __init__(self, link: RedisLink, queue: ListQueue, fleet: str, clock: Clock) -> None:
        self._link = link
        self._tiers = queue.tiers
        self._from = queue.pop_side.upper()
        self._processing = queue.in_flight_keys[0]
        self._keys = Keys(fleet)
        self._clock = clock

    async def pop(self, _instance: str, least: str | None, /) -> Job | None:
        """Move the most urgent job, down to the tier `least`, to the list of those in flight, in one step."""
        for tier in self._tiers:
            [job] = await self._link.execute([("LMOVE", tier.key, self._processing, self._from, "RIGHT")])
            if isinstance(job, bytes):
                return Job(id=job, tier=tier.name, service_s=_service_s(job))
            if tier.name == least:
                break
        return None

    async def wait(self, seconds: float, /) -> None:
        """Look again soon: a command that blocks would hold up all others of the connection."""
        await self._clock.sleep(min(seconds, _LOOK_EVERY_S))

    async def complete(self, job: Job, /) -> None:
        """Take a served job out of the list."""
        await self._link.execute([("LREM", self._processing, 1, job.id)])

    async def lose(self, job: Job, /) -> None:
        """Take a lost job out of the list; whoever asked for it has waited in vain."""
        await self.complete(job)

    async def marked(self, instances: Sequence[str], /) -> Collection[str]:
        """Those of the machines that carry a drain mark."""
        replies = await self._link.execute([("EXISTS", self._keys.drain(instance)) for instance in instances])
        return {instance for instance, reply in zip(instances, replies, strict=True) if reply == 1}

    async def set_apart(self, instances: Sequence[str], /) -> Mapping[str, str]:
        """The tiers of those of the machines that are set apart for one, as the endpoints say."""
        [endpoints] = await self._link.execute([("HMGET", self._keys.endpoints, *instances)])
        said = {each: json.loads(found) for each, found in zip(instances, endpoints, strict=True) if found}
        return {instance: endpoint["tier"] for instance, endpoint in said.items() if endpoint.get("tier")}

    async def beat(self, beats: Mapping[str, Heartbeat], /) -> None:
        """Write the heartbeats."""
        await self._link.execute([("HSET", self._keys.workers, *_flat(beats))])


def _flat(beats: Mapping[str, Heartbeat]) -> Iterable[str]:
    for instance, beat in beats.items():
        yield instance
        yield json.dumps(
            {
                "busy": beat.busy,
                "slots": beat.slots,
                "drained": beat.drained,
                "taken": beat.taken,
                "done": beat.done,
                "stamp": beat.stamp,
            }
        )


def _service_s(payload: bytes) -> float:
    try:
        seconds = float(json.loads(payload)["service_s"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return _SERVICE_S
    return seconds if 0.0 <= seconds < float("inf") else _SERVICE_S
