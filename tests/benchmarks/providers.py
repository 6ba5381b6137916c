"""A slow provider, and one that hangs, beside a quick one: what ticks and decisions wait for them.

Time is virtual, so that only waits count: each answer of Vast.ai's emulator takes 0.3 s, and it refuses what comes
sooner than Vast.ai allows.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from autoscaler.core.units import DurationRange, Secret
from autoscaler.emulate import vastai as emulated
from autoscaler.emulate.loopback import Loopback
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.entropy import seeded
from autoscaler.sim.virtual import VirtualLoop
from providers import vastai
from providers.base import Provider
from providers.breaker import Breaker
from providers.http import Answer, Http, Request, Service
from providers.mock import Fault, MockProvider
from providers.pace import Paced
from tests.benchmarks.figures import Figure
from tests.support.market import CALM
from tests.support.rehearsal import Daemon, Rehearsal

_MACHINES = 200
_LATENCY_S = 0.3
_INTERVAL_S = 1.0  # between two pages
_LISTED_S = 12.0
_SECONDS = 600
_WAITED_S = 2.5  # a tick of 10 s waits a moment for those that answer at once
_JOBS = 50
_QUICK = replace(CALM, setup=DurationRange(60.0, 60.0))


class Distant:
    """Means whose every request goes to an emulator some way off; it notes when pages are asked for, and refusals."""

    def __init__(self, clock: LoopClock) -> None:
        self.now = clock.now
        self.random = seeded
        self.pages_at: list[float] = []
        self.refused = 0
        self._clock = clock
        own = emulated.Emulation()
        market = replace(own.market, foreign=tuple(f"not-ours-{number}" for number in range(_MACHINES)))
        strict = replace(own, market=market, quirks=(emulated.Quirk.MINIMUM_INTERVALS,))
        self._emulator = emulated.make(strict, now=clock.now, rng=random.Random(1))

    def http(self, service: Service) -> Http:
        self._vendor = Loopback(self._emulator, service)
        return Paced(self, service, self._clock)

    async def send(self, request: Request) -> Answer:
        if request.endpoint == "list":
            self.pages_at.append(self.now())
        answer = await self._vendor.send(request)
        self.refused += answer.status == 429
        await self._clock.sleep(_LATENCY_S)
        return answer

    async def close(self) -> None:
        """Nothing is held open."""


def beside() -> Iterator[Figure]:
    """Two hundred machines listed page by page, then a provider that answers nothing."""
    for measure in (_listing, _hanging):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            yield from runner.run(measure())


async def _listing() -> list[Figure]:
    world = Rehearsal(_QUICK)
    means = Distant(world.clock)
    slow = vastai.KIND.make("vastai", vastai.VastSettings(api_key=Secret("k")), means)
    began = world.clock.now()
    listing = await slow.list_machines()
    listed_s = world.clock.now() - began
    assert len(listing.machines) == _MACHINES
    of_ticks = await _of_ticks(world, slow, f"{_MACHINES} machines at Vast.ai")
    gap_s = min(later - earlier for earlier, later in pairwise(means.pages_at))
    return [
        Figure(what=f"listing {_MACHINES} machines at Vast.ai, 25 a page", value=listed_s, unit="s", target=_LISTED_S),
        Figure(
            what="what the least time between two pages falls short of 1 s",
            value=_INTERVAL_S - gap_s,
            unit="s",
            target=0.0,
        ),
        Figure(what="requests that Vast.ai refused as too frequent", value=means.refused, unit="", target=0.0),
        *of_ticks,
    ]


async def _hanging() -> list[Figure]:
    world = Rehearsal(_QUICK)
    settings = replace(CALM, faults={Fault.HANGS: 1.0})
    hangs = MockProvider("hangs", settings, now=world.clock.now, rng=random.Random(1))
    return await _of_ticks(world, Breaker(hangs, world.clock.now), "a provider that hangs")


async def _of_ticks(world: Rehearsal, other: Provider, what: str) -> list[Figure]:
    """The ticks of a fleet at a quick provider beside another one; jobs come in the middle."""
    world.others = [other]
    daemon = world.daemon()
    waited_s = await _ticks_s(daemon)
    world.queue.waiting, jobs_at = _JOBS, world.clock.now()
    waited_s += await _ticks_s(daemon)
    rented_at = min(call.started_at for call in daemon.watcher.outcomes if call.started_at >= jobs_at)
    missed = len(daemon.watcher.failures)
    await daemon.kill()
    return [
        Figure(
            what=f"beside {what}: ticks without an end in time, of {len(waited_s)}", value=missed, unit="", target=0
        ),
        Figure(what=f"beside {what}: slowest tick", value=max(waited_s), unit="s", target=_WAITED_S),
        Figure(
            what=f"beside {what}: from jobs to a rent elsewhere",
            value=rented_at - jobs_at,
            unit="s",
            target=10 + _WAITED_S,
        ),
    ]


async def _ticks_s(daemon: Daemon) -> list[float]:
    """How long each tick of ten minutes took."""
    took_s: dict[float, float] = {}
    for _ in range(_SECONDS):
        await daemon.live(1.0)
        if daemon.watcher.report is not None:
            took_s[daemon.report.at] = daemon.report.duration_s
    return list(took_s.values())
