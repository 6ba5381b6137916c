"""The loop: observe → sync → policies → guards → plan → execute → report.

A steady tick costs one round trip to the store's Redis: what has changed and can wait (journal, books, what was
learned) rides along with the reads of the next one. Changed records are written before any call that they lead to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from autoscaler.core.admission import notice
from autoscaler.core.decision import Command, Outcome, Result
from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.errors import AutoscalerError, LeaseLost, StoreUnavailable
from autoscaler.core.evidence import Evidence
from autoscaler.core.fulfilment import World
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry
from autoscaler.core.ledger import Books
from autoscaler.core.lifecycle import Phase
from autoscaler.core.meter import Meter
from autoscaler.core.orders import Orders
from autoscaler.core.samples import Sample
from autoscaler.core.settle import settle
from autoscaler.core.spec import FleetLimits
from autoscaler.core.sync import sync
from autoscaler.core.unit import WHOLE, Unit
from autoscaler.runtime.clock import Jumps
from autoscaler.runtime.decider import Decider, PoolSetup
from autoscaler.runtime.examine import examine
from autoscaler.runtime.execute import Executor
from autoscaler.runtime.fleet import Fleet
from autoscaler.runtime.intents import Call, due, intend, take_back
from autoscaler.runtime.moment import Moment, busy_by_queues
from autoscaler.runtime.observe import Observer
from autoscaler.runtime.ports import Clock, Control, DemandSource, Entropy, ReadinessProbe, Store
from autoscaler.runtime.report import Listener, TickReport
from autoscaler.runtime.statements import Statements
from autoscaler.runtime.supervise import Wake, both, in_half_a_tick
from autoscaler.runtime.told import Told
from autoscaler.runtime.yielding import Yielding
from providers.base import Provider

_FINISH_S = 75.0  # at the end, calls under way may take their full time-out
_LEASE_S = 5.0  # often enough to hold any lease


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
        wake: Wake,
        limits: FleetLimits | None = None,
        tick_s: float = 10.0,
        unit: Unit = WHOLE,
    ) -> None:
        self.unit = unit
        """Whose machines it leads."""
        self._fleet_name = fleet
        self._pools = {setup.pool.name: setup.pool for setup in pools}
        self._store = store
        self._demand = demand
        self._clock = clock
        self._entropy = entropy
        self._listener = listener
        self._limits = limits or FleetLimits()
        self._tick_s = tick_s
        self._observer = Observer(
            pools=self._pools, providers=providers, probe=probe, clock=clock, patience_s=_patience_s(tick_s)
        )
        self._decider = Decider(pools, providers, self._observer, wake)
        self._statements = Statements(providers, clock, speaks=unit.takes_strays)
        self._executor = Executor(
            fleet=fleet, pools=self._pools, providers=providers, store=store, clock=clock, settled=self._settled
        )
        self._fleet: Fleet | None = None
        self._leads_since = 0.0
        self._jumps = Jumps()
        self._books: Books = {}
        self._led_beside: frozenset[str] = frozenset()
        """Pools that are not configured here and are led elsewhere, or were lately."""
        self._yielding = Yielding()
        self._wake = wake

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
        self._jumps.look(now, self._clock.steady())
        if not self._executor.calling and self._store.should_yield(failing=self._yielding.is_due):
            self._yielding.yielded()
            await self._hand_over()
        control, demand = await self._read(now)
        leaders = dict.fromkeys(self._pools, control.leader)
        if control.leads:
            self._yielding.bad()
            report = replace(await self._lead(control, demand, now), leaders=leaders)
            self._yielding.good()
        else:
            self._fleet = None
            self._jumps.take()
            self._yielding.stood_by()
            orders, took_s = Orders(standing=control.orders), self._clock.now() - now
            report = TickReport(at=now, duration_s=took_s, leads=False, leaders=leaders, orders=orders)
        self._listener.ticked(report)
        return report

    async def _hand_over(self) -> None:
        """Let another daemon lead from now on, though what is left to write be refused."""
        fleet, self._fleet = self._fleet, None
        try:
            if fleet is not None:
                await self._save(fleet)
        finally:
            await self._store.resign(stay=True)

    def adapt(
        self,
        *,
        pools: Sequence[PoolSetup],
        providers: Mapping[str, Provider],
        limits: FleetLimits,
        tick_s: float,
        requeued: Collection[str] = (),
        unit: Unit = WHOLE,
    ) -> None:
        """Go on with other settings; to be called between two ticks.

        A provider that is the same object as before keeps what is known of it. Pools in `requeued` have another queue:
        of those, as of pools that are new or gone, the past says nothing. Calls under way end as they began.
        """
        before, self.unit = self._pools.keys(), unit
        self._store.adapt(unit)
        self._pools = {setup.pool.name: setup.pool for setup in pools}
        self._limits, self._tick_s = limits, tick_s
        self._observer.adapt(self._pools, providers, _patience_s(tick_s))
        self._decider.adapt(pools, providers)
        self._decider.begin_anew((before ^ self._pools.keys()) | {*requeued}, self._clock.now())
        self._statements.adapt(providers)
        self._executor.adapt(self._pools, providers)
        if self._fleet is not None:
            self._fleet.meter.begin_anew(tick_s)

    @property
    def leads(self) -> bool:
        """Whether the newest tick led."""
        return self._fleet is not None

    @property
    def led(self) -> Collection[str]:
        """The pools that it certainly leads at this moment; none once the lease may be another daemon's."""
        return self._pools.keys() if self.leads and self._store.may_act() else ()

    def note(self, entry: Entry) -> None:
        """Put an entry into the journal; to be called while it leads."""
        if self._fleet is not None:
            self._fleet.note(entry)

    def look_again(self, provider: str) -> None:
        """List a provider's machines with the next tick."""
        self._observer.look_again(provider)

    @property
    def told(self) -> tuple[Told, ...]:
        """What people were told of its concerns; nothing while another daemon leads."""
        return () if self._fleet is None else self._fleet.told

    def remember_told(self, told: tuple[Told, ...]) -> None:
        """Keep what people were told of, while it leads."""
        if self._fleet is not None:
            self._fleet.remember_told(told)

    async def records(self) -> Iterable[Instance]:
        """The records of its machines, as it keeps them or, while another daemon leads, as they are stored."""
        return (await self._store.load()).instances if self._fleet is None else self._fleet.instances.values()

    def samples(self, *, newest_first: bool = False) -> AsyncIterator[Sample]:
        """The history of its pools, oldest first unless told otherwise."""
        return self._store.samples(newest_first=newest_first)

    async def calls_over(self) -> None:
        """Wait until every provider call that is under way now has ended."""
        await self._executor.over()

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

        Both begin in the same turn of the event loop: what is asked of one Redis in one turn goes out as one pipeline.
        """
        fleet = self._fleet
        if fleet is None:
            control = await in_half_a_tick(self._store.read, self._clock, self._tick_s)
            return control, await self._demand.read(now) if control.leads else {}
        asked = self._observer.ask(now)
        exchange = in_half_a_tick(lambda: self._exchange(fleet), self._clock, self._tick_s)
        demand, control = await both(self._demand.read(now), exchange)
        await self._observer.answers(asked)
        return control, demand

    async def _exchange(self, fleet: Fleet) -> Control:
        if not fleet.worth_saving:
            return await self._store.read()
        saved, control = await asyncio.gather(self._save(fleet), self._store.read(), return_exceptions=True)
        if isinstance(control, BaseException):
            raise control
        if isinstance(saved, BaseException):
            if control.leads:
                self._yielding.bad()  # the lease is held, and nothing can be written
            raise saved
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

    async def _known(self, control: Control, now: float) -> Fleet:
        """What is known of the fleet, loaded where it may not be all, and with its times by the clock as it is now."""
        if self._fleet is not None and self._led_beside - control.led:
            await self._save(self._fleet)
            self._fleet = None  # nobody leads that pool any more: what it has left is to be loaded, too
        self._led_beside = control.led - self._pools.keys()
        if (fleet := self._fleet) is None:
            fleet = Fleet.restored(await self._store.load(), self._listener, Meter(self._tick_s), now)
            fleet.accounts.recall(self._books)
            self._leads_since = now
            self._observer.begin_anew()
            await self._observer.look(now)
            self._fleet = fleet
        if set_s := self._jumps.take():
            fleet.clock_was_set(set_s, now)
            self._leads_since = now  # for nothing tells how long anything has been so
            self._observer.begin_anew()
        return fleet

    async def _lead(self, control: Control, demand: Mapping[str, Demand | Unknown], now: float) -> TickReport:
        fleet = await self._known(control, now)
        unit = self.unit.beside(self._led_beside)
        fleet.disown([record.id for record in fleet.instances.values() if not unit.owns(record.pool)])
        self._observer.hear(control.heartbeats, fleet.instances.keys(), now)
        fleet.book(now)
        self._books = fleet.accounts.books
        orders = self._mirror(fleet, unit, fleet.orders.take(control.orders, now), now)
        examine(fleet, self._observer, self._pools, now)
        fleet.set_apart(self._pools.values(), now)
        busy = self._observer.busy(fleet.instances.values(), busy_by_queues(demand))
        fleet.watch_idle(busy, now)
        moment = Moment.of(
            fleet.instances.values(),
            now=now,
            demand=demand,
            busy=busy,
            orders=orders,
            limits=self._limits,
            pools=self._pools,
            spent=fleet.accounts.spending(now),
            running_for_s=max(0.0, now - self._leads_since),
        )
        reports = self._decider.decide(fleet, moment)
        commands = [command for report in reports.values() for command in report.commands]
        commands += self._decider.give_up_strays(moment)
        fleet.notice = notice([tier for report in reports.values() for tier in report.admission], now, self._tick_s)
        fleet.measure([report.snapshot for report in reports.values()], control.heartbeats, now)
        calls = intend(fleet, commands, self._pools, self._entropy.token, now)
        at_work = busy | dict.fromkeys(self._observer.undrained(fleet.instances.values()), 1)
        calls += due(fleet, self._executor.calling, at_work, orders, now)
        await self._act(fleet, calls, now)
        self._statements.ask(now)
        return TickReport(
            at=now,
            duration_s=self._clock.now() - now,
            leads=True,
            orders=orders,
            limits=self._limits,
            pools=reports,
            instances=dict(fleet.instances),
            listings=self._observer.listings,
            accounts=self._statements.tell(fleet, self._observer.listings, now),
            books={**fleet.accounts.books},
        )

    def _mirror(self, fleet: Fleet, unit: Unit, orders: Orders, now: float) -> Orders:
        """Bring the records in line with what is listed; gives the orders that still stand then."""
        evidence = Evidence(
            now=now,
            fleet=self._fleet_name,
            pools=self._pools,
            unit=unit,
            listings=self._observer.listings,
            calling=self._executor.calling,
            ready=self._observer.ready(i for i in fleet.instances.values() if i.phase is Phase.BOOTING),
            beating=self._observer.beating(fleet.instances.values()),
            orders=orders,
        )
        synced = sync(fleet.instances, evidence)
        for record in synced.changed:
            fleet.put(record, now)
        world = World(records=fleet.instances.values(), listings=evidence.listings, unit=unit)
        orders, news = fleet.orders.follow(orders, world, now)
        for entry in news:
            fleet.note(entry)
        fleet.forget(synced.forgotten)
        return orders

    # --- acting -------------------------------------------------------------------------------------------------------

    async def _act(self, fleet: Fleet, calls: Sequence[Call], now: float) -> None:
        """Store the intents, then make the calls. Without the one there is not the other."""
        if fleet.urgent:
            try:
                await self._save(fleet)
            except BaseException:
                take_back(fleet, calls, now)
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
        fleet.answered(command, record, outcome, self._pools)
        if command.offer is not None and outcome.result is Result.NO_CAPACITY:
            self._observer.missed(record.pool, record.placement, command.offer)
        self._statements.called(fleet, record.provider, outcome)
        for settled in settle(record, outcome):
            fleet.put(settled, outcome.ended_at)
        self._wake.set()


def _patience_s(tick_s: float) -> float:
    """How long a tick waits for providers that answer at once."""
    return min(2.0, tick_s / 4)
