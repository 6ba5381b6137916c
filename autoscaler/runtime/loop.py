"""The loop: observe → sync → policies → guards → plan → execute → report.

A steady tick costs one round trip to the store's Redis: the changes of the last tick that can wait (journal, books,
what was learned) ride along with the reads of this one. Changed records cannot wait: they are written before any call
they lead to is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from autoscaler.core.admission import notice
from autoscaler.core.decision import Action, Command, Decision, Outcome
from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.diagnosis import ImageHistory
from autoscaler.core.errors import AutoscalerError, LeaseLost, StoreUnavailable
from autoscaler.core.evidence import Evidence
from autoscaler.core.instance import Instance
from autoscaler.core.journal import command_entry, decision_entry, outcome_entry
from autoscaler.core.ledger import DAY_S, Books, day_of, month_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import Load
from autoscaler.core.meter import Meter
from autoscaler.core.more import RENT
from autoscaler.core.plan import plan
from autoscaler.core.settle import CALLED_AT_ONCE, begin, begin_rent, owed, settle
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import FleetLimits, MachineSpec, Pool
from autoscaler.core.sync import sync
from autoscaler.core.trouble import booting, held_by
from autoscaler.runtime.accounts import Turns
from autoscaler.runtime.decide import decide
from autoscaler.runtime.examine import examine
from autoscaler.runtime.execute import Executor
from autoscaler.runtime.fleet import Fleet
from autoscaler.runtime.moment import Moment, busy_by_queues, by_pool
from autoscaler.runtime.observe import Observer
from autoscaler.runtime.ports import Clock, Control, DemandSource, Entropy, ReadinessProbe, Store
from autoscaler.runtime.report import Listener, PoolReport, TickReport
from autoscaler.runtime.statements import Statements
from autoscaler.runtime.supervise import Wake
from policies import combine
from providers.base import Provider

_FINISH_S = 75.0  # at the end, calls under way may take their full time-out
_LEASE_S = 5.0  # often enough to hold any lease
_LEAST_GAP = 0.1  # of a tick: however often the loop is woken, providers are not hammered
_STRAY_GRACE_S = 600.0  # machines of a pool that is not configured are left alone for this long after a start

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSetup:
    """A pool and the policies that decide for it."""

    pool: Pool
    policies: tuple[combine.Entry, ...]


class Loop:
    """One fleet's control loop."""

    def __init__(
        self,
        *,
        fleet: str,
        pools: Sequence[PoolSetup],
        store: Store,
        demand: DemandSource,
        providers: Mapping[str, Provider],
        probe: ReadinessProbe,
        clock: Clock,
        entropy: Entropy,
        listener: Listener,
        limits: FleetLimits | None = None,
        tick_s: float = 10.0,
    ) -> None:
        self._fleet_name = fleet
        self._setups = {setup.pool.name: setup for setup in pools}
        self._pools = {setup.pool.name: setup.pool for setup in pools}
        self._store = store
        self._demand = demand
        self._clock = clock
        self._entropy = entropy
        self._listener = listener
        self._limits = limits or FleetLimits()
        self._tick_s = tick_s
        self._stoppable = frozenset(name for name, p in providers.items() if p.capabilities.can_stop)
        self._rebids = frozenset(name for name, p in providers.items() if p.capabilities.can_bid)
        at_once = {name: p.capabilities.orders_at_once for name, p in providers.items()}
        self._orders_at_once = {name: count for name, count in at_once.items() if count is not None}
        self._observer = Observer(
            pools=self._pools, providers=providers, probe=probe, clock=clock, patience_s=min(2.0, tick_s / 4)
        )
        self._statements = Statements(providers, clock)
        self._executor = Executor(
            fleet=fleet, pools=self._pools, providers=providers, store=store, clock=clock, settled=self._settled
        )
        self._fleet: Fleet | None = None
        self._leads_since = 0.0
        self._books: Books = {}
        self._said: dict[str, object] = {}
        self.wake = Wake()

    async def run(self) -> None:
        """Tick for ever. A tick that fails or takes too long changes nothing, is told, and the next one follows."""
        while True:
            started = self._clock.now()
            await self.tick_safely()
            least_s = self._tick_s * _LEAST_GAP
            left_s = started + self._tick_s - self._clock.now()  # an hour too much, where the clock was set back by one
            await self.wake.wait(self._clock, min(self._tick_s, max(least_s, left_s)), least_s=least_s)

    async def tick_safely(self) -> TickReport | None:
        """One tick; what goes wrong is told to the listener.

        Raises:
            NewerRecords: the store was written by a newer program; there is no point in going on.
        """
        try:
            async with self._clock.timeout(self._tick_s):
                return await self.tick()
        except (StoreUnavailable, LeaseLost) as error:
            self._listener.failed(str(error), self._clock.now())
        except TimeoutError:
            self._listener.failed(f"the tick did not end within {self._tick_s:g}s", self._clock.now())
        except AutoscalerError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not end the watch over machines that bill
            self._listener.failed(f"internal error, please report it: {error!r}", self._clock.now())
        return None

    async def tick(self) -> TickReport:
        """One tick.

        Raises:
            StoreUnavailable: the store cannot be read or written; nothing was done.
            LeaseLost: another daemon took over; nothing was done.
        """
        now = self._clock.now()
        control, demand = await self._read(now)
        if control.leads:
            report = await self._lead(control, demand, now)
        else:
            self._fleet = None
            report = TickReport(at=now, duration_s=self._clock.now() - now, leads=False)
        self._listener.ticked(report)
        return report

    async def stop(self) -> None:
        """Let the calls under way end, write what is known, give the lease back. Machines stay as they are."""
        try:
            await self._observer.close()
            await self._statements.close()
            until = self._clock.now() + _FINISH_S
            while self._executor.calling and self._clock.now() < until:
                await self._store.read()  # holds the lease while calls are under way
                await self._executor.wait(_LEASE_S)
            if self._fleet is not None:
                await self._save(self._fleet)
            await self._store.resign()
        except (StoreUnavailable, LeaseLost) as error:
            self._listener.failed(f"while stopping: {error}", self._clock.now())

    # --- reading and writing ------------------------------------------------------------------------------------------

    async def _read(self, now: float) -> tuple[Control, Mapping[str, Demand | Unknown]]:
        """Everything from outside at once; what the last tick left to write goes along.

        The queues' readers and the exchange with the store begin in the same turn of the event loop, the next one; what
        is asked of one Redis in one turn goes out as one pipeline.
        """
        if self._fleet is None:
            demand, control = await _both(self._demand.read(now), self._store.read())
            return control, demand
        asked = self._observer.ask(now)
        demand, control = await _both(self._demand.read(now), self._exchange(self._fleet))
        await self._observer.answers(asked)
        return control, demand

    async def _exchange(self, fleet: Fleet) -> Control:
        if not fleet.worth_saving:
            return await self._store.read()
        _, control = await _both(self._save(fleet), self._store.read())
        return control

    async def _save(self, fleet: Fleet) -> None:
        changes = fleet.take_changes()
        try:
            await self._store.commit(changes)
        except BaseException as error:
            fleet.restore_changes(changes)
            if isinstance(error, LeaseLost):
                self._fleet = None  # its records are another daemon's now
            raise

    # --- deciding -----------------------------------------------------------------------------------------------------

    async def _lead(self, control: Control, demand: Mapping[str, Demand | Unknown], now: float) -> TickReport:
        fleet = self._fleet
        if fleet is None:
            fleet = Fleet.restored(await self._store.load(), self._listener, Meter(self._tick_s))
            fleet.accounts.recall(self._books)
            self._leads_since = now
            self._observer.begin_anew()
            await self._observer.look(now)
            self._fleet = fleet
        self._leads_since = min(self._leads_since, now)
        self._observer.hear(control.heartbeats, now)
        fleet.book(now)
        self._books = fleet.accounts.books
        self._mirror(fleet, now)
        examine(fleet, self._observer, self._pools, now)
        fleet.set_apart(self._pools.values(), now)
        busy = self._observer.busy(fleet.instances.values(), busy_by_queues(demand))
        fleet.watch_idle(busy, now)
        grouped, drained_at = by_pool(fleet.instances.values())
        moment = Moment(
            now=now,
            demand=demand,
            grouped=grouped,
            drained_at=drained_at,
            busy=busy,
            turns=Turns(self._limits, self._pools, grouped, fleet.accounts.spending(now)),
            paused_by=(control.paused_by or "an operator") if control.paused else None,
            held=held_by(fleet.instances.values()),
            booting=booting(fleet.instances.values()),
        )
        reports = {name: self._decide(fleet, setup, moment) for name, setup in self._setups.items()}
        commands = [command for report in reports.values() for command in report.commands]
        commands += self._give_up_strays(moment)
        fleet.notice = notice([tier for report in reports.values() for tier in report.admission], now, self._tick_s)
        fleet.measure([report.snapshot for report in reports.values()], control.heartbeats, now)
        calls = self._begin(fleet, commands, now)
        if moment.paused_by is None:
            due = owed(fleet.instances.values(), self._executor.calling, moment.busy, now)
            calls += [(command, fleet.instances[str(command.instance)]) for command in due]
        await self._act(fleet, calls, now)
        self._statements.ask(now)
        return TickReport(
            at=now,
            duration_s=self._clock.now() - now,
            leads=True,
            paused_by=moment.paused_by,
            limits=self._limits,
            pools=reports,
            instances=dict(fleet.instances),
            listings=self._observer.listings,
            accounts=self._statements.tell(fleet, self._observer.listings, now),
        )

    def _mirror(self, fleet: Fleet, now: float) -> None:
        booting = [i for i in fleet.instances.values() if i.phase is Phase.BOOTING]
        evidence = Evidence(
            now=now,
            fleet=self._fleet_name,
            pools=self._pools,
            listings=self._observer.listings,
            calling=self._executor.calling,
            ready=self._observer.ready(booting),
            beating=self._observer.beating(fleet.instances.values()),
        )
        synced = sync(fleet.instances, evidence)
        for record in synced.changed:
            fleet.put(record, now)
        fleet.forget(synced.forgotten)

    def _snapshot(self, fleet: Fleet, pool: Pool, moment: Moment) -> PoolSnapshot:
        instances = tuple(moment.grouped.get(pool.name, ()))
        spending = fleet.accounts.spending(moment.now, pool.name)
        today = day_of(moment.now)
        return PoolSnapshot(
            pool=pool,
            demand=moment.demand.get(pool.name) or Unknown("nothing reads this pool's queue", moment.now),
            instances=instances,
            busy=moment.busy,
            offers=moment.left_of(self._observer.offers(pool.name)),
            history=fleet.history.get(pool.name, {}),
            places=fleet.places.places(moment.held, moment.booting),
            load=fleet.loads.get(pool.name, Load()),
            image=fleet.images.get(pool.machine.image, ImageHistory()),
            idle_since=fleet.idle_since,
            stoppable=self._stoppable,
            rebids=self._rebids,
            orders_at_once=self._orders_at_once,
            spent_today_usd=spending.today,
            day_left_s=(today + 1) * DAY_S - moment.now,
            spent_month_usd=spending.month,
            month_left_s=month_of(today).stop * DAY_S - moment.now,
            forecast_usd=spending.forecast,
            fleet=moment.turns.money(pool.name),
            drained_at=moment.drained_at.get(pool.name, ()),
            paused_by=moment.paused_by,
            running_for_s=moment.now - self._leads_since,
        )

    def _decide(self, fleet: Fleet, setup: PoolSetup, moment: Moment) -> PoolReport:
        name, now = setup.pool.name, moment.now
        snapshot = self._snapshot(fleet, setup.pool, moment)
        decision, commands, states = decide(setup.policies, snapshot, fleet.policies.get(name, {}), now)
        fleet.remember_policies(name, states)
        moment.over(setup.pool, commands)
        if any(reason.rule == RENT for reason in decision.why_not) and self._observer.want_offers(name):
            self.wake.set()
        said = (decision.hot, decision.warm, tuple(reason.rule for reason in decision.why))
        if self._said.get(name) != said:
            self._said[name] = said
            if decision.why:
                fleet.note(decision_entry(snapshot, decision, now))
        return PoolReport(
            snapshot=snapshot,
            decision=decision,
            commands=commands,
            spent_today=fleet.accounts.spent_today(name),
            admission=fleet.admit(snapshot, now),
        )

    def _give_up_strays(self, moment: Moment) -> list[Command]:
        """Commands for machines whose pool is no longer configured: drained, and released once known idle."""
        if moment.paused_by is not None or moment.now - self._leads_since < _STRAY_GRACE_S:
            return []
        commands: list[Command] = []
        for name in sorted(moment.grouped.keys() - self._pools.keys()):
            instances = tuple(moment.grouped[name])
            pool = Pool(name=name, tiers=(), machine=MachineSpec(image="", gpus=()), placements=())
            snapshot = PoolSnapshot(
                pool=pool,
                demand=Unknown("this pool is not configured", moment.now),
                instances=instances,
                busy=moment.busy,
            )
            commands += plan(snapshot, Decision(hot=0, warm=0), moment.now)[0]
        return commands

    # --- acting -------------------------------------------------------------------------------------------------------

    def _begin(self, fleet: Fleet, commands: Sequence[Command], now: float) -> list[tuple[Command, Instance]]:
        """Move records into the phases that commands ask for; gives the calls that no phase owes."""
        calls = []
        for command in commands:
            fleet.note(command_entry(command, now))
            if command.action is Action.RENT:
                record = begin_rent(command, self._pools[command.pool], self._entropy.token(), now)
                calls.append((command, record))
            else:
                record = begin(command, fleet.instances[str(command.instance)], now)
                if command.action in CALLED_AT_ONCE:
                    calls.append((command, record))
            fleet.put(record, now, ordered=True)
        return calls

    async def _act(self, fleet: Fleet, calls: Sequence[tuple[Command, Instance]], now: float) -> None:
        """Store the intents, then make the calls. Without the one there is not the other."""
        if fleet.urgent:
            try:
                await self._save(fleet)
            except BaseException:
                for command, record in calls:
                    if command.action is Action.RENT:
                        fleet.put(record.moved(Phase.GONE, now, "not rented: its intent could not be stored"), now)
                raise
        for command, record in calls:
            if command.offer is not None:
                self._observer.take(command.offer)
            self._executor.start(command, record)

    def _settled(self, command: Command, outcome: Outcome) -> None:
        """A call has ended."""
        fleet = self._fleet
        record = fleet.instances.get(outcome.instance) if fleet else None
        if fleet is None or record is None:
            return  # another daemon leads by now; it finds the machine by its record or its label
        self._listener.called(record.provider, outcome)
        fleet.note(outcome_entry(command, record, outcome))
        fleet.learn_outcome(record, outcome, self._pools.values())
        self._statements.called(fleet, record.provider, outcome)
        for settled in settle(record, outcome):
            fleet.put(settled, outcome.ended_at)
        self.wake.set()


async def _both(first: Awaitable[T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Both answers, asked for at the same time. The second is brought to its end even where the first fails."""
    other = asyncio.get_running_loop().create_task(second)
    try:
        one = await first
    except asyncio.CancelledError:
        other.cancel()
        raise
    except Exception:
        await asyncio.gather(other, return_exceptions=True)
        raise
    return one, await other
