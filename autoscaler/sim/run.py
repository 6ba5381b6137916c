"""One rehearsal: the daemon's very loop, or a peer's policy, in a simulated world on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from autoscaler.core.decision import Outcome
from autoscaler.core.journal import Entry
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.decider import PoolSetup
from autoscaler.runtime.entropy import Entropy
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.report import TickReport
from autoscaler.runtime.rounds import go_round
from autoscaler.runtime.supervise import Wake
from autoscaler.sim.baselines import BASELINES
from autoscaler.sim.baselines.controller import Controller
from autoscaler.sim.books import Books
from autoscaler.sim.floor import Floor
from autoscaler.sim.scenario import Scenario
from autoscaler.sim.virtual import VirtualLoop
from autoscaler.sim.world import World
from autoscaler.store.memory import MemoryState
from policies import POLICIES

EPOCH = 1_767_571_200.0
"""When every simulation begins: Monday, 5 January 2026, 00:00 UTC."""
_STEP_S = 3600.0
_PATIENCE_S = 24 * 3600.0
"""How long after the last arrival a simulation goes on while jobs are left."""
_SOME_S = 1.0
"""The mean service time that a peer is told where there are no jobs, or they take no time: it may divide by it."""


def simulate(scenario: Scenario, *, progress: Callable[[float], None] | None = None) -> Books:
    """Play a scenario to the first full hour after its last job is done, or a day after the last one came.

    `progress` is told after each simulated hour how many seconds have been simulated.

    Raises:
        SettingsError: a trace is faulty or does not fit its pool.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_play(scenario, progress or _ignore))


def _ignore(_simulated_s: float) -> None: ...


async def _play(scenario: Scenario, progress: Callable[[float], None]) -> Books:
    clock = LoopClock(epoch=EPOCH)
    floors = {
        each.pool.name: Floor(
            each.pool,
            each.jobs(scenario.seed + place),
            order=each.workload.order,
            model_load_s=each.workload.model_load,
        )
        for place, each in enumerate(scenario.pools)
    }
    world = World(
        fleet=scenario.fleet,
        floors=floors,
        providers=scenario.providers,
        series=scenario.market,
        clock=clock,
        seed=scenario.seed,
    )
    chronicle = Chronicle()
    controllers = list(_peers(scenario, world)) if scenario.peers else [_daemon(scenario, world, chronicle)]
    tasks = [asyncio.get_running_loop().create_task(controller) for controller in controllers]
    while not _over(world):
        await clock.sleep(_STEP_S)
        world.catch_up()
        for task in tasks:
            if task.done():
                task.result()
        progress(world.now_s)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    world.close()
    return _books(scenario, world, chronicle)


def _daemon(scenario: Scenario, world: World, chronicle: Chronicle) -> Coroutine[Any, Any, None]:
    wake = Wake()
    loop = Loop(
        fleet=scenario.fleet,
        pools=[
            PoolSetup(
                pool=each.pool, policies=tuple((name, POLICIES[name], settings) for name, settings in each.policies)
            )
            for each in scenario.pools
        ],
        store=world.store("simulation", MemoryState()),
        demand=world,
        providers=world.providers,
        probe=world,
        clock=world.clock,
        entropy=Entropy(scenario.seed),
        listener=chronicle,
        wake=wake,
        limits=scenario.limits,
        tick_s=scenario.tick_s,
    )
    return go_round(loop.tick_safely, wake, world.clock, lambda: scenario.tick_s)


def _peers(scenario: Scenario, world: World) -> Iterator[Coroutine[Any, Any, None]]:
    """Each pool's peer at work."""
    surveys = scenario.surveys()
    entropy = Entropy(scenario.seed)  # one for all: a machine's token is its own in the whole fleet
    for each in scenario.pools:
        name, settings = scenario.peers[each.pool.name]
        baseline, pool = BASELINES[name], each.pool
        controller = Controller(
            baseline.make(settings, pool.limits.hot),
            pool,
            world,
            mean_service_s=surveys[pool.name].mean_service_s or _SOME_S,
            # A peer whose deadline is shorter than any boot would never have a machine; whoever runs it would raise it.
            boot_deadline_s=max(baseline.boot_deadline_s, pool.deadlines.booting),
            entropy=entropy,
        )
        yield controller.run()


def _over(world: World) -> bool:
    floors = world.floors.values()
    if any(not floor.arrivals_over for floor in floors):
        return False
    last_s = max((floor.log.arrived_s[-1] for floor in floors if len(floor.log)), default=0.0)
    done = all(floor.waiting == floor.in_hand == 0 for floor in floors)
    return (done and world.now_s > 0) or world.now_s >= last_s + _PATIENCE_S


class Chronicle:
    """Remembers what a daemon did and said."""

    def __init__(self) -> None:
        self.ticks = 0
        self.entries: list[Entry] = []
        self.failures: list[str] = []
        """Why ticks could not be made."""

    def ticked(self, _report: TickReport) -> None:
        """A tick ended well."""
        self.ticks += 1

    def failed(self, reason: str, _now: float) -> None:
        """A tick could not be made."""
        self.failures.append(reason)

    def noted(self, entry: Entry) -> None:
        """Something went into the journal."""
        self.entries.append(entry)

    def called(self, provider: str, outcome: Outcome) -> None:
        """The journal tells of it, too."""

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        """The books tell of it, too."""


def _books(scenario: Scenario, world: World, chronicle: Chronicle) -> Books:
    providers = world.providers.values()
    return Books(
        pools={each.pool.name: each.pool for each in scenario.pools},
        jobs={name: floor.log for name, floor in world.floors.items()},
        phases=world.phases,
        entries=chronicle.entries,
        until_s=world.now_s,
        epoch=world.epoch,
        ticks=chronicle.ticks,
        launches=sum(provider.market.rented for provider in providers),
        resumes=sum(provider.resumes for provider in providers),
        refused_resumes=sum(provider.refused_resumes for provider in providers),
        interruptions=world.interruptions,
        interrupted=world.interrupted,
        killed=world.killed,
        failed_ticks=chronicle.failures,
    )
