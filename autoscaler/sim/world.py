"""The world of a simulation: markets, queues and workers on one clock, for whatever controls the machines in it.

The daemon's own loop and the policies of peers live in the same world and see it through the same ports. Whoever looks
at it or acts on it first lets it catch up with the clock; between two looks it stands still and costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from autoscaler.core.demand import Demand
from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.market import Status
from autoscaler.runtime.entropy import seeded
from autoscaler.runtime.ports import Changes, Clock, Control
from autoscaler.sim.books import PRICE_DIGITS, TIME_DIGITS, PhaseRow
from autoscaler.sim.floor import Floor
from autoscaler.sim.provider import SimulatedProvider
from autoscaler.store.memory import MemoryState, MemoryStore
from autoscaler.store.rules import DRAIN_MARK
from providers.mock import MockSettings, Series
from providers.mock.machine import Machine

Meter = Callable[[Machine, float, float], None]
"""Told of each time, from and to in epoch seconds, in which a machine kept its state and price."""

_PHASES: Mapping[Status, str] = {
    Status.STARTING: "booting",
    Status.RUNNING: "hot",
    Status.STOPPED: "warm",
    Status.QUEUED: "resuming",
    Status.FAILED: "booting",
    Status.OFFLINE: "lost",
}
"""What the books call a machine's true state. A boot that failed bills on as one."""


class World:
    """Markets, one a provider, and floors, one a pool."""

    def __init__(
        self,
        *,
        fleet: str,
        floors: Mapping[str, Floor],
        providers: Mapping[str, MockSettings],
        series: Sequence[Series] = (),
        clock: Clock,
        seed: int,
    ) -> None:
        self.fleet = fleet
        self.floors = floors
        self.clock = clock
        self.epoch = clock.now()
        self.providers = {
            name: SimulatedProvider(name, settings, now=self.catch_up, rng=seeded(seed + number), series=series)
            for number, (name, settings) in enumerate(providers.items())
        }
        self.phases: list[PhaseRow] = []
        self.interruptions = 0
        """Running machines that the market took."""
        self.interrupted = 0
        """Attempts at a job that ended with them."""
        self.killed = 0
        """Attempts at a job that our own orders to stop or release a machine cut off. The daemon's must stay 0."""
        self._markets = [provider.market for provider in self.providers.values()]
        self._changes = -1
        self._caught_up = -math.inf
        self._up: dict[tuple[str, str, int], tuple[Floor, str]] = {}
        """The machines that were last seen to run, by provider, id and start: their floor and instance."""
        for name, provider in self.providers.items():
            provider.market.metered = self._meter_of(name, provider)
            provider.market.settle(self.epoch)

    @property
    def now_s(self) -> float:
        """Seconds since the simulation began."""
        return self.clock.now() - self.epoch

    def catch_up(self) -> float:
        """Let everything happen up to now; gives the clock's time."""
        now = self.clock.now()
        if now == self._caught_up and self._changes == self._count_changes():
            return now
        while (due := min(market.due for market in self._markets)) <= now:
            self._work(due)
            for market in self._markets:
                market.settle(due)
        self._work(now)
        self._caught_up = now
        return now

    def _count_changes(self) -> int:
        """A number that rises with every change of a machine."""
        return sum([market.changes for market in self._markets])

    def _work(self, until: float) -> None:
        """Let the floors work up to a moment before which no machine changes by itself."""
        self._muster()
        for floor in self.floors.values():
            floor.advance(until - self.epoch)
        if any(floor.changed for floor in self.floors.values()):
            self._report_busy()

    def _report_busy(self) -> None:
        """Let the markets know how many slots are at work, as their listings show it."""
        for (provider, machine_id, _), (floor, instance) in self._up.items():
            station = floor.stations[instance]
            if station in floor.changed:
                self.providers[provider].market.set_busy(machine_id, station.busy)
        for floor in self.floors.values():
            floor.changed.clear()

    def _muster(self) -> None:
        """Man the machines that came up, and abandon those that went down."""
        changes = self._count_changes()
        if changes == self._changes:
            return
        self._changes = changes
        up = {
            (name, machine.id, machine.starts): machine
            for name, provider in self.providers.items()
            for machine in provider.market.machines.values()
            if machine.serves
        }
        for key in [key for key in self._up if key not in up]:
            floor, instance = self._up.pop(key)
            cut_off = floor.abandon(instance)
            name, machine_id, _ = key
            if machine_id in self.providers[name].ordered_to_end:
                self.killed += cut_off
            else:
                self.interruptions += 1
                self.interrupted += cut_off
        for key, machine in up.items():
            ours = None if key in self._up else parse_label(machine.label, self.fleet)
            if ours is not None and (manned := self.floors.get(ours[0])) is not None:
                self._up[key] = (manned, ours[1])
                manned.man(ours[1], machine.slots)

    def _meter_of(self, name: str, provider: SimulatedProvider) -> Meter:
        """What books the time of one provider's machines."""

        def meter(machine: Machine, from_at: float, to_at: float) -> None:
            ours = parse_label(machine.label, self.fleet)
            if ours is None:
                return
            phase = _PHASES[machine.status] if machine.gpu_count or not machine.on_gpu else "booting"
            self.phases.append(
                PhaseRow(
                    instance=ours[1],
                    provider=name,
                    placement=provider.placements.get(machine.label, ""),
                    phase=phase,
                    from_s=round(from_at - self.epoch, TIME_DIGITS),
                    to_s=round(to_at - self.epoch, TIME_DIGITS),
                    usd_per_hour=round(machine.burn_usd_per_hour, PRICE_DIGITS),
                )
            )

        return meter

    def close(self) -> None:
        """Let everything happen up to now, and close the meters."""
        now = self.catch_up()
        self._muster()
        for market in self._markets:
            market.close_meters(now)

    # --- the ports through which a daemon sees it ---------------------------------------------------------------------

    async def read(self, _now: float) -> Mapping[str, Demand]:
        """What each pool's queue holds."""
        now = self.catch_up()
        return {name: floor.demand(now) for name, floor in self.floors.items()}

    async def ready(self, instance: Instance, _check: str) -> bool:
        """Whether a machine's service answers."""
        self.catch_up()
        return instance.id in self.floors[instance.pool].stations

    async def jobs(self, instance: Instance, _question: str) -> int | None:
        """Jobs on a machine, as its service says."""
        self.catch_up()
        station = self.floors[instance.pool].stations.get(instance.id)
        return station.busy if station else None

    def store(self, owner: str, state: MemoryState) -> MemoryStore:
        """A store in which this world's workers beat and look for drain marks."""
        return _StoreWithWorkers(self, owner, state)


class _StoreWithWorkers(MemoryStore):
    """The store in memory as the world's workers use it."""

    def __init__(self, world: World, owner: str, state: MemoryState) -> None:
        # Nobody else is there to lead, so the lease lasts, however long a tick is.
        super().__init__(state, owner, world.clock, ttl_s=math.inf)
        self._world = world

    async def read(self) -> Control:
        """Take or renew the lease; read settings and heartbeats."""
        self._world.catch_up()
        self._state.heartbeats = dict(beat for floor in self._world.floors.values() for beat in floor.heartbeats())
        return await super().read()

    async def commit(self, changes: Changes) -> None:
        """Write all of it or nothing; workers see the new drain marks and tiers at once."""
        self._world.catch_up()
        await super().commit(changes)
        if changes.instances or changes.forgotten:
            records = self._state.instances.values()
            marked = [record.id for record in records if record.phase in DRAIN_MARK]
            tiers = {record.id: record.tier for record in records if record.tier}
            for floor in self._world.floors.values():
                floor.mark(marked)
                floor.set_apart(tiers)
