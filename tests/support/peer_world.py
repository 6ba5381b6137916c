"""A small simulated world in which a peer's autoscaler is at work on one pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from autoscaler.core.spec import Pool
from autoscaler.core.units import DurationRange
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.entropy import Entropy
from autoscaler.sim.baselines.base import Orders, Peer, PeerView
from autoscaler.sim.baselines.controller import Controller
from autoscaler.sim.floor import Floor
from autoscaler.sim.virtual import VirtualLoop
from autoscaler.sim.workload import Job
from autoscaler.sim.world import World
from providers.mock import MockSettings
from providers.mock.faults import Fault
from tests.support.build import FLEET, NOW, pool

SETUP_S = 60.0
RESUME_S = 20.0
STOP_S = 5.0
CALM: dict[Fault, float] = {Fault.RESUME_REFUSED: 0.0, Fault.OUTBID: 0.0}


def market(**changes: Any) -> MockSettings:
    """A market in which nothing goes wrong and everything takes a known time."""
    values: dict[str, Any] = {
        "setup": DurationRange(SETUP_S, SETUP_S),
        "resume": DurationRange(RESUME_S, RESUME_S),
        "stop": DurationRange(STOP_S, STOP_S),
        "faults": CALM,
    }
    return MockSettings(**(values | changes))


class Scripted:
    """A peer that does what a test says, and remembers what it saw."""

    def __init__(self, script: Callable[[PeerView], Orders], *, every_s: float = 1.0, grace_s: float = 30.0) -> None:
        self.every_s = every_s
        self.grace_s = grace_s
        self.views: list[PeerView] = []
        self._script = script

    def step(self, view: PeerView) -> Orders:
        self.views.append(view)
        return self._script(view)

    def at(self, now_s: float) -> PeerView:
        """What it saw at its first look from then on."""
        return next(view for view in self.views if view.now >= now_s - 1e-3)


def jobs_at(*arrivals: float, service_s: float = 30.0) -> list[Job]:
    return [Job(arrived_s=at, tier=0, service_s=service_s, model=None) for at in arrivals]


def play(
    looker: Peer,
    jobs: Iterable[Job] = (),
    *,
    until_s: float,
    pool: Pool = pool(),  # noqa: B008 - a frozen value
    providers: dict[str, MockSettings] | None = None,
    boot_deadline_s: float = 900.0,
    mean_service_s: float = 30.0,
    seed: int = 1,
) -> World:
    """The world after the peer was at work in it for so long."""
    loop = VirtualLoop()

    async def run() -> World:
        clock = LoopClock(epoch=NOW)
        floor = Floor(pool, iter(jobs), order="priority", model_load_s=0.0)
        settings = providers or {"mock": market()}
        world = World(fleet=FLEET, floors={pool.name: floor}, providers=settings, clock=clock, seed=seed)
        controller = Controller(
            looker,
            pool,
            world,
            mean_service_s=mean_service_s,
            boot_deadline_s=boot_deadline_s,
            entropy=Entropy(1),
        )
        task = loop.create_task(controller.run())
        await clock.sleep(until_s)
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        world.close()
        return world

    try:
        return loop.run_until_complete(run())
    finally:
        loop.close()
