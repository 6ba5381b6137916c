"""One seed's world: a market, a Redis, workers, and daemons that come and go; and the hand that deals the blows."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import zlib
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from autoscaler.core.instance import parse_label
from autoscaler.core.orders import OrderKind
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.entropy import seeded
from autoscaler.sim.provider import SimulatedProvider
from providers.mock.machine import Machine
from providers.mock.scenario import FaultPlan
from tests.chaos.crew import Crew
from tests.chaos.daemon import Daemon, Parts
from tests.chaos.operators import Operators, changed
from tests.chaos.plan import HOUR, Blow, Event, Plan
from tests.chaos.ports import Ground
from tests.chaos.process import Process
from tests.chaos.redis import Redis
from tests.support.build import FLEET, NOW
from tests.support.market import CALM

_MOST_WAITING = 150
_JOURNAL_LINES = 80
_SWITCHES = {
    Blow.UNKNOWN_DEMAND: "queue_unknown",
    Blow.SILENT_WORKERS: "silent",
    Blow.REDIS_LOSS: "refusing",
    Blow.REDIS_HANGS: "hanging",
    Blow.ANSWERS_LOST: "answers_lost",
}
"""What is so for a while."""


class World:
    """Where a plan is lived through."""

    def __init__(self, plan: Plan, parts: Parts) -> None:
        self.plan = plan
        self.parts = parts
        self.config = plan.config
        """What a daemon is told that starts now."""
        self.clock = LoopClock(epoch=NOW)
        self.opened_at = self.clock.now()
        self.ground = Ground(clock=self.clock)
        self.rng = seeded(plan.seed + 1_000_000)
        self.provider = SimulatedProvider("mock", plan.market, now=self.clock.now, rng=self.rng)
        self.market = self.provider.market
        self.crew = Crew(self.market, self.ground, self.rng, plan.slots_service_s)
        self.operators = Operators(self.ground, Process(self.clock, self.rng, 0.0), seeded(plan.seed + 2_000_000))
        self.ground.workers_beat = lambda: self.crew.work(self.clock.now())
        self.daemons: list[Daemon] = []
        self.failed_over_at = self.redis_down_at = self.disturbed_at = self.calm_at = float("-inf")
        """When it last happened: a failover; Redis away; anything that a daemon cannot help; the end of all faults."""
        self.set_back_s = 0.0
        """By how much the leaders' clock was ever set back, by a jump or by a successor's clock that is behind."""
        self.clocks_differ = False
        """Whether any daemon's clock was ever set."""
        self.journal: deque[tuple[float, str]] = deque(maxlen=_JOURNAL_LINES)
        self.digest = 0
        """Of all that was ever told: the same for the same seed."""
        self._leaders_clock_s: dict[str, float] = {}
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
        return {name: each for name, each in self.market.machines.items() if parse_label(each.label, FLEET)}

    def leader(self, pool: str) -> Daemon | None:
        """The daemon that leads a pool, to its own knowledge and in truth."""
        leaders = self.ground.redis.leaders()
        for daemon in self.daemons:
            unit = daemon.unit_of(pool) if daemon.up else None
            if unit is not None and unit in daemon.leads_since and leaders.get(unit) == daemon.owner:
                return daemon
        return None

    def undisturbed_since(self, pool: str) -> float:
        """Since when one daemon has led a pool without a break, with one configuration and beside a Redis that answers;
        the present when none does."""
        leader = self.leader(pool)
        since = leader.leads(pool) if leader else None
        if leader is None or since is None:
            return self.clock.now()
        return max(self.redis_down_at, self.healed_at, since, leader.process.thawed_at)

    @property
    def healed_at(self) -> float:
        """When what a failover to an older replica lost was written again at the latest, each record in its turn.

        A living daemon takes 5 minutes at most for that, at one write a minute.
        """
        return self.failed_over_at + 300.0 + 5 * self.plan.tick_s

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
        for pool in self.config.pools:
            if leader := self.leader(pool):
                clock_s = leader.process.clock_offset_s
                self.set_back_s += max(0.0, self._leaders_clock_s.get(pool, 0.0) - clock_s)
                self._leaders_clock_s[pool] = clock_s
        if self._helpless(now):
            self.disturbed_at = now

    async def calm_down(self) -> None:
        """No more faults, no more jobs, no more orders, and a daemon that runs."""
        self._ahead.clear()
        ground = self.ground
        ground.refusing = ground.hanging = ground.answers_lost = ground.queue_unknown = self.crew.silent = False
        ground.waiting.clear()
        self._next_job_at = float("inf")
        self.market.plan = FaultPlan(CALM.faults, (), self.rng)
        for daemon in self.daemons:
            daemon.process.live_on()
            if daemon.up and daemon.config.spread != self.config.spread:
                self._end(daemon)
            elif daemon.up:
                self._do(daemon.take(self.config, after_s=0.0))
        if not any(daemon.up for daemon in self.daemons):
            self.spawn()
        await self.operators.withdraw_all()
        self.calm_at = self.clock.now()
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
        self.daemons.append(Daemon(self, self._born, self.config))
        self.tell(f"daemon-{self._born} starts")

    def reloaded(self, daemon: Daemon) -> None:
        """A daemon took another configuration."""
        self.disturbed_at = self.clock.now()
        self.tell(f"{daemon.owner} has reloaded")

    def _arrive(self, now: float) -> None:
        while self._next_job_at <= now:
            self._bring(1)
            self._next_job_at += self.rng.expovariate(self.plan.jobs_per_h) * HOUR

    def _bring(self, jobs: int) -> None:
        pool, waiting = self.rng.choice([*self.config.pools]), self.ground.waiting
        waiting[pool] = min(_MOST_WAITING, waiting.get(pool, 0) + jobs)

    def _helpless(self, now: float) -> bool:
        """Whether no daemon could end a machine now that is one too many."""
        if self.crew.silent or not self.ground.redis_up or now - self.ground.refused_at < 600.0:
            return True
        leaders = [self.leader(pool) for pool in self.config.pools]
        paused = any(each.order.kind is OrderKind.PAUSE for each in self.ground.standing.values())
        return paused or any(leader is None or leader.process.frozen for leader in leaders)

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
            case Blow.BURST | Blow.QUEUE_WIPED:
                self._fill(event)
            case Blow.OLD_REPLICA:
                pass  # its moment was laid down when the replica fell behind
            case Blow.EMPTY_REPLICA:
                self._fail_over(Redis(self.clock.now))
            case Blow.SECOND_DAEMON:
                self.spawn()
                self._after(event.lasting_s, lambda: self._end_one(kill=event.after))
            case Blow.ORDER | Blow.WITHDRAWAL:
                self._order_something(event)
            case Blow.RELOAD | Blow.RESPREAD:
                self._configure(event, up)
            case blow if blow in _SWITCHES:
                self._switch(event)
            case _:
                if up:
                    self._strike(self.rng.choice(up), event)

    def _fill(self, event: Event) -> None:
        if event.blow is Blow.BURST:
            self._bring(event.number)
        else:
            self.ground.waiting[self.rng.choice([*self.config.pools])] = 0

    def _order_something(self, event: Event) -> None:
        if event.blow is Blow.WITHDRAWAL:
            standing = sorted(self.ground.standing)
            if standing:
                self._do(self.operators.withdraw(self.rng.choice(standing)))
            return
        records = self.ground.redis.records.values()
        names = [name for each in records for name in (each.id, f"mock/{each.provider_id}")]
        order = self.operators.draw(names, event.lasting_s, self.clock.now())
        self.tell(order.text)
        self._do(self.operators.give(order))

    def _configure(self, event: Event, up: list[Daemon]) -> None:
        """Let each daemon go on with another configuration, or another daemon in its place."""
        switched = event.blow is Blow.RESPREAD
        self.config = (
            replace(self.config, spread=not self.config.spread) if switched else changed(self.config, self.rng)
        )
        self.tell(f"from now on {'each pool' if self.config.spread else 'all'} of {', '.join(self.config.pools)}")
        for daemon in up:
            after_s = self.rng.uniform(0.0, event.lasting_s)
            if switched:
                self._after(after_s, partial(self._replace, daemon))
            else:
                self._do(daemon.take(self.config, after_s=after_s))

    def _replace(self, daemon: Daemon) -> None:
        if daemon.up:
            self._end(daemon)
            self.spawn()

    def _strike(self, daemon: Daemon, event: Event) -> None:
        """A blow that hits one daemon."""
        if event.blow is Blow.CRASH:
            if not daemon.process.doomed:
                self._after(event.lasting_s, lambda: self._succeed(daemon))
            daemon.process.die_at(event.number, after=event.after)
        elif event.blow is Blow.RESTART:
            self._end(daemon)
            self._after(event.lasting_s, self.spawn)
        elif event.blow is Blow.FREEZE:
            daemon.process.freeze(event.lasting_s)
        else:
            daemon.process.clock_offset_s += event.lasting_s
            self.disturbed_at, self.clocks_differ = self.clock.now(), True

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
            self._end(daemon)

    def _end(self, daemon: Daemon) -> None:
        daemon.ending = True  # at once: whoever looks before the task runs must not count on it
        self._do(daemon.stop())

    def _prepare_replica(self, event: Event) -> None:
        def fall_behind() -> None:
            replica = self.ground.redis.copy()
            self._later(event.at_s, lambda: self._fail_over(replica))

        self._later(max(0.0, event.at_s - event.lasting_s), fall_behind)

    def _fail_over(self, to: Redis) -> None:
        self.ground.fail_over(to)
        self.failed_over_at = self.disturbed_at = self.clock.now()
        self.tell(f"--- failover to a Redis with {len(to.records)} records")

    def _switch(self, event: Event) -> None:
        flag = _SWITCHES[event.blow]
        what = self.crew if event.blow is Blow.SILENT_WORKERS else self.ground
        setattr(what, flag, True)
        self._after(event.lasting_s, lambda: setattr(what, flag, False))

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        self._acts.append(asyncio.get_running_loop().create_task(work))
