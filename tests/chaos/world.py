"""One seed's world: a market, a Redis, workers, and daemons that come and go; and the hand that deals the blows."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import zlib
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from autoscaler.core.decision import Outcome
from autoscaler.core.journal import Entry
from autoscaler.core.spec import Pool
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.decider import PoolSetup
from autoscaler.runtime.entropy import Entropy, seeded
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.ports import Store
from autoscaler.runtime.report import TickReport
from autoscaler.runtime.rounds import go_round
from autoscaler.runtime.supervise import Wake
from autoscaler.sim.provider import SimulatedProvider
from autoscaler.store.memory import MemoryState, MemoryStore
from policies import POLICIES
from providers.mock.machine import Machine
from providers.mock.scenario import FaultPlan
from tests.chaos.crew import Crew
from tests.chaos.plan import HOUR, Blow, Event, Plan
from tests.chaos.ports import DemandPort, Ground, ProviderPort, StorePort
from tests.chaos.process import Process
from tests.support.build import FLEET, NOW
from tests.support.market import CALM
from tests.support.rehearsal import NoProbe

FOREIGN = "foreign-1"
"""The machine of somebody else in the same account."""
_MOST_WAITING = 150
_JOURNAL_LINES = 80


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What daemons are made of; a mutant has one of them spoilt."""

    pool: Callable[[Pool], Pool] = lambda pool: pool
    store: type[MemoryStore] = MemoryStore
    provider: type[ProviderPort] = ProviderPort


class Daemon:
    """One daemon, and what it tells."""

    def __init__(self, world: World, number: int) -> None:
        plan, ground = world.plan, world.ground
        self.owner = f"daemon-{number}"
        self.process = Process(world.clock, seeded(plan.seed * 1000 + number), plan.latency_s)
        self.report: TickReport | None = None
        self.born_at = self.ticked_at = world.clock.now()
        self.leads_since: float | None = None
        self.led_at = float("-inf")
        self.ending = False
        self.error = ""
        self._world = world
        store: Store = world.parts.store(ground.state, self.owner, world.clock, plan.lease_s)
        provider = world.parts.provider(world.provider, self.owner, self.process, ground)
        pool = world.parts.pool(plan.pool)
        wake = Wake()
        self.loop = Loop(
            fleet=FLEET,
            pools=[PoolSetup(pool=pool, policies=(("thresholds", POLICIES["thresholds"], plan.policy),))],
            store=StorePort(store, self.owner, self.process, ground),
            demand=DemandPort(self.process, ground),
            providers={"mock": provider},
            probe=NoProbe(),
            clock=self.process,
            entropy=Entropy(plan.seed * 1000 + number),
            listener=self,
            wake=wake,
            tick_s=plan.tick_s,
        )
        self.task = asyncio.get_running_loop().create_task(
            go_round(self.loop.tick_safely, wake, self.process, lambda: plan.tick_s)
        )

    @property
    def up(self) -> bool:
        """Whether it runs and is meant to."""
        return not self.process.dead and not self.ending

    async def stop(self) -> None:
        """End it as SIGTERM does."""
        self.ending = True
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.loop.stop()
        self.process.dead = True

    def ticked(self, report: TickReport) -> None:
        self.report, self.ticked_at = report, self._world.clock.now()
        if not report.leads:
            self.leads_since = None
            return
        self.led_at = self.ticked_at
        if self.leads_since is None:
            self.leads_since = self.ticked_at

    def failed(self, reason: str, now: float) -> None:
        self._world.tell(f"{self.owner} could not tick: {reason}")
        if "internal error" in reason:
            self.error = reason

    def noted(self, entry: Entry) -> None:
        self._world.tell(f"{self.owner} {entry.text}")

    def called(self, provider: str, outcome: Outcome) -> None: ...

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None: ...


class World:
    """Where a plan is lived through."""

    def __init__(self, plan: Plan, parts: Parts) -> None:
        self.plan = plan
        self.parts = parts
        self.clock = LoopClock(epoch=NOW)
        self.opened_at = self.clock.now()
        self.ground = Ground(clock=self.clock)
        self.rng = seeded(plan.seed + 1_000_000)
        self.provider = SimulatedProvider("mock", plan.market, now=self.clock.now, rng=self.rng)
        self.market = self.provider.market
        self.crew = Crew(self.market, self.ground, self.rng, plan.slots_service_s)
        self.ground.workers_beat = lambda: self.crew.work(self.clock.now())
        self.daemons: list[Daemon] = []
        self.failed_over_at = self.redis_down_at = self.disturbed_at = float("-inf")
        """When it last happened: a failover; Redis away; anything that a daemon cannot help."""
        self.set_back_s = 0.0
        """By how much the leaders' clock was ever set back, by a jump or by a successor's clock that is behind."""
        self.journal: deque[tuple[float, str]] = deque(maxlen=_JOURNAL_LINES)
        self.digest = 0
        """Of all that was ever told: the same for the same seed."""
        self._leaders_clock_s = 0.0
        self._born = 0
        self._order = itertools.count()
        self._ahead: list[tuple[float, int, Callable[[], None]]] = []
        self._acts: list[asyncio.Task[None]] = []
        self._next_job_at = self.opened_at
        self._script()
        self.spawn()

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    def elapsed_s(self) -> float:
        """Since the beginning of the day."""
        return self.clock.now() - self.opened_at

    def machines(self) -> dict[str, Machine]:
        """The machines that truly exist under our label, by provider id."""
        self.market.settle(self.clock.now())
        return {name: machine for name, machine in self.market.machines.items() if name != FOREIGN}

    def leader(self) -> Daemon | None:
        """The daemon that leads, to its own knowledge and in truth."""
        for daemon in self.daemons:
            if daemon.up and daemon.leads_since is not None and daemon.owner == self.ground.state.owner:
                return daemon
        return None

    def tell(self, text: str) -> None:
        """Add a line to what is shown of a failure."""
        self.journal.append((self.elapsed_s, text))
        self.digest = zlib.crc32(f"{self.elapsed_s:.3f} {text}".encode(), self.digest)

    # --- living -------------------------------------------------------------------------------------------------------

    async def step(self) -> None:
        """Let some seconds go by."""
        await self.clock.sleep(self.rng.uniform(5.0, 75.0))
        now = self.clock.now()
        while self._ahead and self._ahead[0][0] <= now:
            heapq.heappop(self._ahead)[2]()
        for act in self._acts:
            if act.done():
                act.result()
        self._acts = [act for act in self._acts if not act.done()]
        for daemon in self.daemons:
            if daemon.task.done() and daemon.up:
                daemon.task.result()
        self._arrive(now)
        self.crew.work(now)
        if not self.ground.redis_up:
            self.redis_down_at = now
        if leader := self.leader():
            self.set_back_s += max(0.0, self._leaders_clock_s - leader.process.clock_offset_s)
            self._leaders_clock_s = leader.process.clock_offset_s
        if self._helpless(now):
            self.disturbed_at = now

    def calm_down(self) -> None:
        """No more faults, no more jobs, and a daemon that runs."""
        self._ahead.clear()
        ground = self.ground
        ground.refusing = ground.hanging = ground.answers_lost = ground.queue_unknown = self.crew.silent = False
        ground.waiting = 0
        self._next_job_at = float("inf")
        self.market.plan = FaultPlan(CALM.faults, (), self.rng)
        for daemon in self.daemons:
            daemon.process.live_on()
        if not any(daemon.up for daemon in self.daemons):
            self.spawn()
        self.tell("all is calm from here on")

    async def end(self) -> None:
        """Let nothing run on."""
        for daemon in self.daemons:
            daemon.process.dead = True
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)  # what a dead process awaits in its `finally` is cancelled next

    def spawn(self) -> None:
        """Start a daemon."""
        self._born += 1
        self.daemons.append(Daemon(self, self._born))
        self.tell(f"daemon-{self._born} starts")

    def _arrive(self, now: float) -> None:
        while self._next_job_at <= now:
            self.ground.waiting = min(_MOST_WAITING, self.ground.waiting + 1)
            self._next_job_at += self.rng.expovariate(self.plan.jobs_per_h) * HOUR

    def _helpless(self, now: float) -> bool:
        """Whether no daemon could end a machine now that is one too many."""
        leader = self.leader()
        if leader is None or leader.process.frozen or self.crew.silent or not self.ground.redis_up:
            return True
        return now - self.ground.refused_at < 600.0

    # --- blows --------------------------------------------------------------------------------------------------------

    def _script(self) -> None:
        for event in self.plan.events:
            self._later(event.at_s, partial(self._deal, event))
            if event.blow is Blow.OLD_REPLICA:
                self._prepare_replica(event)

    def _later(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._ahead, (self.opened_at + at_s, next(self._order), act))

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._later(self.elapsed_s + seconds, act)

    def _deal(self, event: Event) -> None:
        up = [daemon for daemon in self.daemons if daemon.up]
        self.tell(f"--- {event.blow}, {event.lasting_s:.0f}s")
        match event.blow:
            case Blow.BURST:
                self.ground.waiting = min(_MOST_WAITING, self.ground.waiting + event.number)
            case Blow.UNKNOWN_DEMAND:
                self._switch(self.ground, "queue_unknown", event.lasting_s)
            case Blow.SILENT_WORKERS:
                self._switch(self.crew, "silent", event.lasting_s)
            case Blow.REDIS_LOSS:
                self._switch(self.ground, "refusing", event.lasting_s)
            case Blow.REDIS_HANGS:
                self._switch(self.ground, "hanging", event.lasting_s)
            case Blow.ANSWERS_LOST:
                self._switch(self.ground, "answers_lost", event.lasting_s)
            case Blow.EMPTY_REPLICA:
                self._fail_over(MemoryState())
            case Blow.OLD_REPLICA:
                pass  # its moment was laid down when the replica fell behind
            case Blow.SECOND_DAEMON:
                self.spawn()
                self._after(event.lasting_s, lambda: self._end_one(kill=event.after))
            case _:
                if up:
                    self._strike(self.rng.choice(up), event)

    def _strike(self, daemon: Daemon, event: Event) -> None:
        """A blow that hits one daemon."""
        if event.blow is Blow.CRASH:
            daemon.process.die_at(event.number, after=event.after)
            self._after(event.lasting_s, lambda: self._succeed(daemon))
        elif event.blow is Blow.RESTART:
            daemon.ending = True  # at once: whoever looks before the task runs must not count on it
            self._do(daemon.stop())
            self._after(event.lasting_s, self.spawn)
        elif event.blow is Blow.FREEZE:
            daemon.process.freeze(event.lasting_s)
        else:
            daemon.process.clock_offset_s += event.lasting_s
            self.disturbed_at = self.clock.now()

    def _succeed(self, daemon: Daemon) -> None:
        """Start the successor of a daemon that is to die, once it is dead."""
        if daemon.process.dead:
            self.spawn()
        else:
            self._after(self.plan.tick_s, lambda: self._succeed(daemon))

    def _end_one(self, *, kill: bool) -> None:
        up = [daemon for daemon in self.daemons if daemon.up]
        if len(up) < 2:
            return
        daemon = self.rng.choice(up)
        self.tell(f"{daemon.owner} ends")
        if kill:
            daemon.process.dead = True
        else:
            self._do(daemon.stop())

    def _prepare_replica(self, event: Event) -> None:
        def fall_behind() -> None:
            replica = self.ground.copy_of_redis()
            self._later(event.at_s, lambda: self._fail_over(replica))

        self._later(max(0.0, event.at_s - event.lasting_s), fall_behind)

    def _fail_over(self, to: MemoryState) -> None:
        self.ground.fail_over(to)
        self.failed_over_at = self.disturbed_at = self.clock.now()
        self.tell(f"--- failover to a Redis with {len(to.instances)} records")

    def _switch(self, what: object, flag: str, seconds: float) -> None:
        setattr(what, flag, True)
        self._after(seconds, lambda: setattr(what, flag, False))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self._acts.append(asyncio.get_running_loop().create_task(work))
