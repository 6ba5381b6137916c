"""Simulated workers: they serve a queue on the machines of a mock market.

One task plays all of them. It keeps the ends of the jobs in hand in a heap and wakes for whatever comes first: the end
of a job, a new job while a slot is free, the next heartbeat. Nothing is polled in between, so an hour of virtual time
costs no more than what happens in it.

A worker lives as long as its machine's start: when the machine is interrupted, what it had in hand is lost.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from autoscaler.runtime.ports import Clock, Heartbeat
from providers.mock import Market
from providers.mock.machine import Machine

_BEAT_EVERY_S = 10.0
_SAME_MOMENT_S = 1e-6
"""Epoch seconds as floats are about this coarse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job as a worker has it."""

    id: bytes
    """What its source knows it by."""
    tier: str
    service_s: float
    """How long one slot works on it."""


class JobSource(Protocol):
    """Where workers get jobs, and where they report."""

    async def pop(self, instance: str, least: str | None, /) -> Job | None:
        """Take the next job of the most urgent tier that has one, down to `least`, for a worker on this machine."""
        ...

    async def wait(self, seconds: float, /) -> None:
        """Return when a job may wait that the last `pop` did not find, or after `seconds`."""
        ...

    async def complete(self, job: Job, /) -> None:
        """A job that was taken is served."""
        ...

    async def lose(self, job: Job, /) -> None:
        """A job that was taken will never be served: its machine was interrupted."""
        ...

    async def marked(self, instances: Sequence[str], /) -> Collection[str]:
        """Those of the machines that carry a drain mark."""
        ...

    async def set_apart(self, instances: Sequence[str], /) -> Mapping[str, str]:
        """The tiers of those of the machines that are set apart for one."""
        ...

    async def beat(self, beats: Mapping[str, Heartbeat], /) -> None:
        """Report for each machine."""
        ...


@dataclass(kw_only=True, slots=True)
class _Station:
    """A machine since its latest start, and its workers."""

    machine: Machine
    instance: str
    starts: int
    marked: bool = False
    """Its workers have seen the drain mark and pull no more."""
    tier: str | None = None
    """The least urgent tier whose jobs they pull; None while they pull all."""
    busy: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    """Jobs that its workers took, by tier."""
    done: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Jobs that they finished and how long those took, by tier."""

    @property
    def free(self) -> bool:
        return not self.marked and self.busy < self.machine.slots


@dataclass(order=True, slots=True)
class _Work:
    """A job in hand."""

    ends_at: float
    number: int
    station: _Station = field(compare=False)
    job: Job = field(compare=False)


class SimulatedWorkers:
    """The workers of all machines of a market that were rented by a daemon, `slots` on each."""

    def __init__(self, market: Market, source: JobSource, clock: Clock) -> None:
        self._market = market
        self._source = source
        self._clock = clock
        self._beat_at = -math.inf
        self._stations: dict[tuple[str, int], _Station] = {}
        self._in_hand: list[_Work] = []
        self._taken = 0
        self.served = 0
        """Jobs done."""
        self.interrupted = 0
        """Jobs lost with their machine: by the market, as long as `SimulatedProvider.killed` is 0."""

    async def run(self) -> None:
        """Work for ever."""
        while True:
            await self._muster()
            await self._finish()
            await self._heed_orders()
            waiting_for_jobs = await self._pull()
            await self._beat()
            first_end = self._in_hand[0].ends_at if self._in_hand else math.inf
            left_s = max(0.0, min(self._beat_at, first_end) - self._clock.now())
            if waiting_for_jobs:
                await self._source.wait(left_s)
            else:
                await self._clock.sleep(left_s)

    async def _muster(self) -> None:
        """Man the machines that came up; those that went took their workers' jobs with them."""
        up = {
            (machine.id, machine.starts): machine
            for machine in self._market.running(self._clock.now())
            if "AUTOSCALER_INSTANCE" in machine.env
        }
        for key in self._stations.keys() - up.keys():
            await self._abandon(self._stations.pop(key))
        for key, machine in up.items():
            if key not in self._stations:
                instance = machine.env["AUTOSCALER_INSTANCE"]
                self._stations[key] = _Station(machine=machine, instance=instance, starts=machine.starts)

    async def _abandon(self, station: _Station) -> None:
        lost = [work for work in self._in_hand if work.station is station]
        self._in_hand = [work for work in self._in_hand if work.station is not station]
        heapq.heapify(self._in_hand)
        self.interrupted += len(lost)
        for work in lost:
            await self._source.lose(work.job)

    async def _finish(self) -> None:
        """Complete the jobs whose time is over."""
        now = self._clock.now() + _SAME_MOMENT_S
        while self._in_hand and self._in_hand[0].ends_at <= now:
            work = heapq.heappop(self._in_hand)
            self._set_busy(work.station, work.station.busy - 1)
            jobs, work_s = work.station.done.get(work.job.tier, (0, 0.0))
            work.station.done[work.job.tier] = (jobs + 1, work_s + work.job.service_s)
            self.served += 1
            await self._source.complete(work.job)

    async def _heed_orders(self) -> None:
        if self._stations:
            instances = [station.instance for station in self._stations.values()]
            marked, tiers = await self._source.marked(instances), await self._source.set_apart(instances)
            for station in self._stations.values():
                station.marked = station.instance in marked
                station.tier = tiers.get(station.instance)

    async def _pull(self) -> bool:
        """Give jobs to free slots, those set apart for a tier first, then the idlest machine first.

        Gives whether slots are left that wait for jobs.
        """
        exhausted: set[str | None] = set()
        while free := [each for each in self._stations.values() if each.free and each.tier not in exhausted]:
            station = min(free, key=lambda s: (s.tier is None, s.busy))
            job = await self._source.pop(station.instance, station.tier)
            if job is None:
                exhausted.add(station.tier)
                continue
            self._taken += 1
            station.taken[job.tier] += 1
            self._set_busy(station, station.busy + 1)
            ends_at = self._clock.now() + job.service_s
            heapq.heappush(self._in_hand, _Work(ends_at, self._taken, station, job))
        return bool(exhausted)

    async def _beat(self) -> None:
        now = self._clock.now()
        if now + _SAME_MOMENT_S < self._beat_at:
            return
        self._beat_at = now + _BEAT_EVERY_S
        if self._stations:
            await self._source.beat({station.instance: _heartbeat(station, now) for station in self._stations.values()})

    def _set_busy(self, station: _Station, slots: int) -> None:
        station.busy = slots
        self._market.set_busy(station.machine.id, slots)


def _heartbeat(station: _Station, now: float) -> Heartbeat:
    return Heartbeat(
        busy=station.busy,
        drained=station.marked,
        slots=station.machine.slots,
        taken=dict(station.taken),
        done=dict(station.done),
        stamp=f"{station.starts}/{now:.6f}",
    )
