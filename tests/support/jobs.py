"""A queue in memory for simulated workers, which a daemon can read as well, and a bench to run them on."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.lifecycle import Phase
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.ports import Clock, Heartbeat
from autoscaler.runtime.supervise import Wake
from autoscaler.sim.provider import SimulatedProvider
from autoscaler.sim.workers import Job, SimulatedWorkers
from autoscaler.store.memory import MemoryState
from providers.mock import MockSettings
from tests.support.build import NOW
from tests.support.market import CALM, MACHINE, ON_DEMAND, SPOT

_MARKED = frozenset({Phase.DRAINING, Phase.STOPPING, Phase.RELEASING})


class MemoryQueue:
    """Jobs of several tiers, most urgent first, and what became of them."""

    def __init__(self, clock: Clock, tiers: Sequence[str], state: MemoryState | None = None) -> None:
        """With a store's state the workers beat there and heed the drain marks that follow from its records."""
        self.waiting: dict[str, deque[tuple[Job, float]]] = {tier: deque() for tier in tiers}
        self.marks: set[str] = set()
        self.tiers: dict[str, str] = {}
        """By instance that is set apart."""
        self._state = MemoryState() if state is None else state
        self.beats = self._state.heartbeats
        self.beaten_at: dict[str, list[float]] = {}
        self.started: list[tuple[Job, str, float]] = []
        """Each job, the machine it started on, and when."""
        self.served: list[tuple[Job, float]] = []
        self.lost: list[Job] = []
        self.looks = 0
        """How often a worker asked for a job."""
        self._clock = clock
        self._pushed = Wake()
        self._count = 0

    def push(self, tier: str, service_s: float) -> Job:
        self._count += 1
        job = Job(id=b"%d" % self._count, tier=tier, service_s=service_s)
        self.waiting[tier].append((job, self._clock.now()))
        self._pushed.set()
        return job

    async def pop(self, instance: str, least: str | None, /) -> Job | None:
        self.looks += 1
        for tier, jobs in self.waiting.items():
            if jobs:
                job, _ = jobs.popleft()
                self.started.append((job, instance, self._clock.now()))
                return job
            if tier == least:
                break
        return None

    async def wait(self, seconds: float, /) -> None:
        await self._pushed.wait(self._clock, seconds)

    async def complete(self, job: Job, /) -> None:
        self.served.append((job, self._clock.now()))

    async def lose(self, job: Job, /) -> None:
        self.lost.append(job)

    async def marked(self, instances: Sequence[str], /) -> Collection[str]:
        records = self._state.instances
        ending = {name for name in instances if name in records and records[name].phase in _MARKED}
        return ending | self.marks.intersection(instances)

    async def set_apart(self, instances: Sequence[str], /) -> Mapping[str, str]:
        records = self._state.instances
        given_out = {name: tier for name in instances if name in records and (tier := records[name].tier)}
        return given_out | {name: tier for name, tier in self.tiers.items() if name in instances}

    async def beat(self, beats: Mapping[str, Heartbeat], /) -> None:
        self.beats.update(beats)
        for instance in beats:
            self.beaten_at.setdefault(instance, []).append(self._clock.now())

    async def read(self, now: float) -> Mapping[str, Demand | Unknown]:
        tiers = [
            TierDemand(tier=tier, waiting=len(jobs), oldest_wait_s=now - jobs[0][1] if jobs else None)
            for tier, jobs in self.waiting.items()
        ]
        at_work = len(self.started) - len(self.served) - len(self.lost)
        return {"images": Demand(taken_at=now, tiers=tuple(tiers), in_flight=at_work)}


class WorkersBench:
    """A market without a daemon, simulated workers on it, and a queue of two tiers, on virtual time."""

    def __init__(self, settings: MockSettings = CALM) -> None:
        self.clock = LoopClock(epoch=NOW)
        self.clock.now()
        self.provider = SimulatedProvider("mock", settings, now=self.clock.now, rng=random.Random(1))
        self.queue = MemoryQueue(self.clock, ["pro", "free"])
        self.workers = SimulatedWorkers(self.provider.market, self.queue, self.clock)
        self.task = asyncio.get_running_loop().create_task(self.workers.run())

    async def rent(self, name: str | None = "a", *, slots: int = 1, spot: bool = False) -> str:
        """Rent a machine for this instance, or for nobody; it boots for half an hour."""
        placement = SPOT if spot else ON_DEMAND
        [offer, *_] = await self.provider.list_offers(placement, MACHINE)
        env = {} if name is None else {"AUTOSCALER_INSTANCE": name}
        return await self.provider.rent(offer, replace(MACHINE, slots=slots, env=env), label=f"label of {name}")

    async def rent_up(self, name: str | None = "a", *, slots: int = 1, spot: bool = False) -> str:
        """Rent a machine and wait until its workers are there."""
        provider_id = await self.rent(name, slots=slots, spot=spot)
        await self.live(CALM.setup.high + 10.0)
        return provider_id

    async def live(self, seconds: float) -> None:
        """Let virtual time go by."""
        await self.clock.sleep(seconds)
        if self.task.done():
            self.task.result()

    @property
    def elapsed_s(self) -> float:
        return self.clock.now() - NOW
