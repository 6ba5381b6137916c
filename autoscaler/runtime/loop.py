"""The loop: observe → sync → policies → guards → plan → execute → report.

A steady tick costs one round trip to the store's Redis: the changes of the last tick that can wait (journal, books, what
was learned) ride along with the reads of this one. Changed records cannot wait: they are written before any call they
lead to is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscaler.core.decision import Action, Command, Decision, Outcome
from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.errors import LeaseLost, StoreUnavailable
from autoscaler.core.guards import guard
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.ledger import DAY_S, day_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.plan import plan
from autoscaler.core.settle import CALLS, begin, begin_rent, owed, settle
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Pool
from autoscaler.core.sync import Evidence, sync
from autoscaler.runtime.execute import Executor
from autoscaler.runtime.fleet import Fleet, day_name
from autoscaler.runtime.observe import Observer
from autoscaler.runtime.ports import Clock, Control, DemandSource, Entropy, ReadinessProbe, Store
from autoscaler.runtime.report import Listener, PoolReport, TickReport
from autoscaler.runtime.supervise import Wake
from policies import combine
from providers.base import Provider

_FINISH_S = 75.0  # at the end, calls under way may take their full time-out


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
        self._tick_s = tick_s
        self._stoppable = frozenset(name for name, p in providers.items() if p.capabilities.can_stop)
        self._observer = Observer(
            pools=self._pools, providers=providers, probe=probe, clock=clock, patience_s=min(2.0, tick_s / 4)
        )
        self._executor = Executor(
            fleet=fleet, pools=self._pools, providers=providers, store=store, clock=clock, settled=self._settled
        )
        self._fleet: Fleet | None = None
        self._leads_since = 0.0
        self._last: dict[str, Decision] = {}
        self.wake = Wake()

    async def run(self) -> None:
        """Tick for ever. A tick that fails or takes too long changes nothing, is told, and the next one follows."""
        while True:
            started = self._clock.now()
            await self.tick_safely()
            await self.wake.wait(self._clock, max(0.0, started + self._tick_s - self._clock.now()))

    async def tick_safely(self) -> TickReport | None:
        """One tick; what goes wrong is told to the listener."""
        try:
            async with self._clock.timeout(self._tick_s):
                return await self.tick()
        except (StoreUnavailable, LeaseLost) as error:
            self._listener.failed(str(error), self._clock.now())
        except TimeoutError:
            self._listener.failed(f"the tick did not end within {self._tick_s:g}s", self._clock.now())
        return None

    async def tick(self) -> TickReport:
        """One tick.

        Raises:
            StoreUnavailable: the store cannot be read or written; nothing was done.
            LeaseLost: another daemon took over; nothing was done.
        """
        now = self._clock.now()
        control, demand = await self._read(now)
        if not control.leads:
            self._fleet = None
            report = TickReport(at=now, duration_s=self._clock.now() - now, leads=False)
        else:
            report = await self._lead(control, demand, now)
        self._listener.ticked(report)
        return report

    async def _read(self, now: float) -> tuple[Control, Mapping[str, Demand | Unknown]]:
        waiting = self._fleet.take_changes() if self._fleet and not self._fleet.urgent else None
        writes = [self._write(waiting)] if waiting else []
        _, control, demand, *_ = await asyncio.gather(
            self._observer.look(), self._store.read(), self._demand.read(now), *writes
        )
        return control, demand

    async def _write(self, changes: Changes) -> None:
        try:
            await self._store.commit(changes)
        except BaseException:
            if self._fleet:
                self._fleet.restore_changes(changes)
            raise

    async def _lead(self, control: Control, demand: Mapping[str, Demand | Unknown], now: float) -> TickReport:
        fleet = self._fleet
        if fleet is None:
            fleet = self._fleet = Fleet.restored(await self._store.load(), self._listener)
            self._leads_since = now
        self._observer.hear(control.heartbeats)
        days = fleet.book(now)
        self._mirror(fleet, now)
        paused_by = (control.paused_by or "an operator") if control.paused else None
        reports = {name: self._decide(fleet, name, demand, paused_by, now) for name in self._setups}
        rents = self._begin(fleet, [c for report in reports.values() for c in report.commands], now)
        calls = [] if control.paused else self._due(fleet, rents, now)
        if fleet.urgent:
            await self._write(fleet.take_changes(days))
        for command, record in calls:
            self._executor.start(command, record)
        return TickReport(
            at=now,
            duration_s=self._clock.now() - now,
            leads=True,
            paused_by=paused_by,
            pools=reports,
            instances=dict(fleet.instances),
            listings=self._observer.listings,
        )
