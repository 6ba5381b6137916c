"""One daemon of the fault simulation: the product's own app on ports that may fail, and what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from autoscaler.app import App, pool_setups, units_in
from autoscaler.config import Config
from autoscaler.config.schema import PoolSettings
from autoscaler.core.decision import Outcome
from autoscaler.core.journal import Entry
from autoscaler.core.unit import WHOLE, Unit
from autoscaler.link import RedisLink
from autoscaler.queues.source import DemandOf
from autoscaler.runtime.entropy import Entropy, seeded
from autoscaler.runtime.gather import Gathered
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.report import Listener, TickReport
from autoscaler.runtime.rounds import go_round
from autoscaler.runtime.supervise import Wake
from autoscaler.store.common import Common
from autoscaler.store.redis import RedisStore
from providers.shared import Shared
from tests.chaos.ports import DemandPort, ProviderPort, Way, link
from tests.chaos.process import Process
from tests.support.build import FLEET
from tests.support.rehearsal import NoProbe

if TYPE_CHECKING:
    from tests.chaos.world import World


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What daemons are made of; a mutant has one of them spoilt."""

    pool: Callable[[PoolSettings], PoolSettings] = lambda pool: pool
    store: type[RedisStore] = RedisStore
    provider: type[ProviderPort] = ProviderPort
    spoilt: Callable[[], AbstractContextManager[object]] = nullcontext
    """Puts something else in the place of a part of the product."""


class Daemon:
    """One daemon, and what it tells."""

    def __init__(self, world: World, number: int, config: Config) -> None:
        self.owner = f"daemon-{number}"
        self.config = config
        """What it was told last, as it was meant."""
        self.process = Process(world.clock, seeded(world.plan.seed * 1000 + number), world.plan.latency_s)
        self.reports: dict[str, TickReport] = {}
        """The newest of each unit."""
        self.leads_since: dict[str, float] = {}
        """By unit that it leads, as far as it knows."""
        self.led_at: dict[str, float] = {}
        self.ticked_at: dict[str, float] = {}
        self.ending = False
        self.error = ""
        self._world = world
        self._born_at = world.clock.now()
        self.app = self._build()
        tick_s = lambda: self.app.config.tick  # noqa: E731 - as the daemon itself has it
        self.task = asyncio.get_running_loop().create_task(go_round(self.app.tick, self.app.wake, self.process, tick_s))

    def _build(self) -> App:
        """As `autoscaler.app.build` does, on ports of ours."""
        world, owner, process = self._world, self.owner, self.process
        way = Way(owner, process, world.ground, self._most)
        redis = link(way)
        config = self._spoilt(self.config)
        parts = _Parts(lambda: world.parts.provider(world.provider, way, owner, process, world.ground))
        parts.adapt(config)
        demand: Any = DemandPort(process, world.ground)
        demand.adapt(parts.readers, patience_s=None)
        gathered, wake = Gathered(_Silent()), Wake()
        common = Common(redis, FLEET, owner, config.lease_s, units=len(units_in(config)))
        entropy = Entropy(world.plan.seed * 1000 + int(owner.rpartition("-")[2]))

        def store_of(unit: Unit) -> RedisStore:
            return world.parts.store(redis, FLEET, owner, config.lease_s, unit=unit, common=common)

        def make(unit: Unit, config: Config) -> Loop:
            return Loop(
                fleet=FLEET,
                pools=pool_setups(config, unit),
                store=store_of(unit),
                demand=DemandOf(demand, unit.name),
                providers=parts.providers,
                probe=NoProbe(),
                clock=process,
                entropy=entropy,
                listener=_Told(self, unit.name, gathered.of(unit.name)),
                wake=wake,
                limits=config.limits,
                tick_s=config.tick,
                unit=unit,
            )

        rest: Any = {"board": None, "metrics": _NoMetrics(), "registry": CollectorRegistry()}
        rest |= {"feed": None, "notifier": _NoNotifier()}
        return App(
            config=config,
            loops=tuple(make(unit, config) for unit in units_in(config)),
            make=make,
            share=common.share,
            gathered=gathered,
            wake=wake,
            demand=demand,
            store=store_of(WHOLE),
            parts=parts,  # type: ignore[arg-type]
            **rest,
        )

    @property
    def up(self) -> bool:
        """Whether it runs and is meant to."""
        return not self.process.dead and not self.ending

    @property
    def latest_at(self) -> float:
        """When that of its units ticked which did so longest ago."""
        return min(self.ticked_at.get(loop.unit.name, self._born_at) for loop in self.app.loops)

    def unit_of(self, pool: str) -> str | None:
        """The unit of a pool; None where it is none of its."""
        return next((loop.unit.name for loop in self.app.loops if loop.unit.owns(pool)), None)

    def leads(self, pool: str) -> float | None:
        """Since when it leads a pool without a break, as far as it knows."""
        unit = self.unit_of(pool)
        return None if unit is None else self.leads_since.get(unit)

    async def take(self, config: Config, *, after_s: float) -> None:
        """Go on with another configuration, as at a SIGHUP."""
        await self.process.sleep(after_s)
        if self.up and config.spread == self.config.spread:
            async with self.app.turn:
                self.config, self._born_at = config, self._world.clock.now()
                self.app.adapt(self._spoilt(config))
            self._world.reloaded(self)

    async def stop(self) -> None:
        """End it as SIGTERM does."""
        self.ending = True
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.app.stop()
        self.process.dead = True

    def _spoilt(self, config: Config) -> Config:
        pools = {name: self._world.parts.pool(pool) for name, pool in config.pools.items()}
        return replace(config, pools=pools)

    def _most(self) -> Mapping[str, int]:
        return {name: pool.limits.hot.high for name, pool in self.config.pools.items()}

    # --- what its loops tell ------------------------------------------------------------------------------------------

    def ticked(self, unit: str, report: TickReport) -> None:
        """A loop's tick went well."""
        now = self.ticked_at[unit] = self._world.clock.now()
        self.reports[unit] = report
        if not report.leads:
            self.leads_since.pop(unit, None)
            return
        self.led_at[unit] = now
        self.leads_since.setdefault(unit, now)

    def failed(self, unit: str, reason: str) -> None:
        """A loop's tick failed."""
        self._world.tell(f"{self.owner} {unit} could not tick: {reason}")
        if "internal error" in reason:
            self.error = reason

    def noted(self, entry: Entry) -> None:
        """The journal has a new line."""
        self._world.tell(f"{self.owner} {entry.text}")


class _Told:
    """What one loop tells, and the daemon's own listener after it."""

    def __init__(self, daemon: Daemon, unit: str, further: Listener) -> None:
        self._daemon = daemon
        self._unit = unit
        self._further = further

    def ticked(self, report: TickReport) -> None:
        self._daemon.ticked(self._unit, report)
        self._further.ticked(report)

    def failed(self, reason: str, now: float) -> None:
        self._daemon.failed(self._unit, reason)
        self._further.failed(reason, now)

    def noted(self, entry: Entry) -> None:
        self._daemon.noted(entry)

    def called(self, provider: str, outcome: Outcome) -> None: ...

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None: ...


class _Silent:
    """Whoever hears of a daemon as a whole: nobody."""

    def ticked(self, report: TickReport) -> None: ...

    def failed(self, reason: str, now: float) -> None: ...

    def noted(self, entry: Entry) -> None: ...

    def called(self, provider: str, outcome: Outcome) -> None: ...

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None: ...


class _NoNotifier:
    def adapt(self, _settings: object) -> None: ...


class _NoMetrics:
    def forget(self, **_gone: object) -> None: ...


class _Parts:
    """The parts that follow the configuration: a port is another one when the provider's settings are."""

    def __init__(self, provider: Callable[[], ProviderPort]) -> None:
        self._make = provider
        self._settings: object = None
        self.readers: dict[str, Any] = {}
        self.providers: dict[str, Any] = {}
        self.links: dict[str, RedisLink] = {}

    def adapt(self, config: Config) -> list[Any]:
        """Make what is new; gives what is not used any more."""
        self.readers = {
            name: old if (old := self.readers.get(name)) and old == pool.queue else pool.queue
            for name, pool in config.pools.items()
        }
        if config.providers == self._settings:
            return []
        self._settings, gone = config.providers, [*self.providers.values()]
        self.providers = {"mock": Shared(self._make())}
        return gone
