"""The composition root: the only place that names concrete adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from autoscaler.config import Config
from autoscaler.core.errors import SettingsError, StoreRefused, StoreUnavailable
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Entry
from autoscaler.core.samples import Sample
from autoscaler.core.unit import WHOLE, Unit, units_of
from autoscaler.link import RedisLink
from autoscaler.parts import Parts, named
from autoscaler.probe import ServiceProbe
from autoscaler.queues.source import DemandOf, QueueDemand
from autoscaler.runtime.decider import PoolSetup
from autoscaler.runtime.entropy import Entropy
from autoscaler.runtime.gather import Gathered
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.ports import Clock, Store
from autoscaler.runtime.report import Listener
from autoscaler.runtime.supervise import Wake
from autoscaler.store.common import Common, Share
from autoscaler.store.owner import name_of_this_run
from autoscaler.store.preview import PreviewStore
from autoscaler.store.redis import RedisStore
from autoscaler.telemetry.listeners import Listeners
from autoscaler.telemetry.logging import LogListener
from autoscaler.telemetry.metrics import Metrics
from autoscaler.telemetry.notify import Notifier
from autoscaler.telemetry.notify_ways import way_of
from autoscaler.web.events import Feed
from autoscaler.web.views import Board
from policies import POLICIES
from providers.base import Provider
from providers.mock import Market

if TYPE_CHECKING:
    from autoscaler.embedded import EmbeddedRedis


@dataclass(kw_only=True, slots=True)
class App:
    """A daemon, put together and not started."""

    config: Config
    """What is in force."""
    loops: tuple[Loop, ...]
    """One for all pools, or with `spread` one for each."""
    gathered: Gathered
    """Makes one report of the loops' ticks."""
    wake: Wake
    """Ends the waiting for the next tick."""
    make: Callable[[Unit, Config], Loop]
    """Makes the loop of a unit."""
    share: Share
    """Of the units, this daemon's."""
    demand: QueueDemand
    """What reads the queues."""
    store: Store
    parts: Parts
    """What follows the configuration."""
    board: Board
    feed: Feed
    metrics: Metrics
    notifier: Notifier
    """Tells people."""
    registry: CollectorRegistry
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Whoever holds it is between two ticks."""
    _leaving: list[RedisLink | Provider] = field(default_factory=list)
    """Parts that are used no more, until the calls are over that began with them."""
    _retiring: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def links(self) -> dict[str, RedisLink]:
        """By the first setting that names each: `redis`, `store`, `pools.NAME.redis`; the first pool's comes first."""
        return {setting: self.parts.links[redis] for redis, setting in named(self.config).items()}

    @property
    def providers(self) -> Mapping[str, Provider]:
        """By name."""
        return self.parts.providers

    @property
    def markets(self) -> Mapping[str, Market]:
        """The markets of the mock providers, for a demo to play in."""
        return self.parts.markets

    async def tick(self) -> None:
        """One tick of all loops. What goes wrong is told to the listeners.

        They tick in the same turn of the event loop, so that what they ask of one Redis goes out as one pipeline.

        Raises:
            NewerRecords: the store was written by a newer program; there is no point in going on.
        """
        async with self.turn:
            await asyncio.gather(*(loop.tick_safely() for loop in self.loops))
            self.gathered.over()

    def adapt(self, config: Config) -> None:
        """Go on with another configuration; to be called by who holds the `turn`.

        Raises:
            SettingsError: a provider's settings name a file that cannot be used; nothing has changed.
        """
        before = self.parts.readers
        gone = self.parts.adapt(config)
        self.demand.adapt(self.parts.readers, patience_s=_patience_s(config))
        loops = {loop.unit.name: loop for loop in self.loops}
        units = {unit.name: unit for unit in units_in(config)}
        self.loops = tuple(loops.get(unit.name) or self.make(unit, config) for unit in units.values())
        self.share.units = len(units)
        self.gathered.keep(units)
        retired = [loop for name, loop in loops.items() if name not in units]
        for loop in retired:
            self.share.count(loop.unit.name, leads=False)
        for loop in self.loops:
            unit = units[loop.unit.name]
            loop.adapt(
                pools=pool_setups(config, unit),
                providers=self.providers,
                limits=config.limits,
                tick_s=config.tick,
                requeued=[name for name, reader in self.parts.readers.items() if before.get(name) is not reader],
                unit=unit,
            )
        self.metrics.forget(
            pools=self.config.pools.keys() - config.pools.keys(),
            providers=self.config.providers.keys() - config.providers.keys(),
            placements=_placements(self.config) - _placements(config),
        )
        self.notifier.adapt(config.notify)
        self.config = config
        self._leaving += gone
        task = asyncio.get_running_loop().create_task(self._let_go(gone, retired), name="let go")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        self.wake.set()

    async def records(self) -> list[Instance]:
        """The records of the machines of all pools, tombstones among them.

        Raises:
            StoreUnavailable: another daemon leads, and what it has stored cannot be read.
        """
        kept = await asyncio.gather(*(loop.records() for loop in self.loops))
        return [record for records in kept for record in records]

    def histories(self) -> dict[str, AsyncIterator[Sample]]:
        """The history of the pools of each unit, newest first, by the unit's name."""
        return {loop.unit.name: loop.samples(newest_first=True) for loop in self.loops}

    def look_again(self, provider: str) -> None:
        """List a provider's machines at once: something may have happened to them."""
        for loop in self.loops:
            loop.look_again(provider)
        self.wake.set()

    def note(self, entry: Entry) -> None:
        """Put an entry into the journal, if this daemon leads; it is told to the listeners in any case."""
        leading = next((loop for loop in self.loops if loop.leads), None)
        if leading is not None:
            leading.note(entry)
        else:
            self.gathered.of("").noted(entry)

    async def _let_go(self, parts: Sequence[RedisLink | Provider], retired: Sequence[Loop]) -> None:
        """Close what is used no more, once each call that is under way has ended."""
        await asyncio.gather(*(loop.stop() for loop in retired))
        await asyncio.gather(*(loop.calls_over() for loop in self.loops))
        for part in parts:
            await part.close()
            self._leaving.remove(part)

    async def stop(self) -> None:
        """Let the calls under way end, write what is known, give the leases back. Machines stay as they are."""
        await asyncio.gather(*(loop.stop() for loop in self.loops))
        self.gathered.over()

    async def check_access(self) -> None:
        """Ask each Redis once whether it lets us in. One that is merely away is no error: it may come back.

        Raises:
            SettingsError: it refuses us, and will until the settings change: one line for each.
        """
        if refused := await refusals(self.links):
            raise SettingsError(*refused)

    async def close(self) -> None:
        """Let go of connections."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for part in (*self._leaving, *self.links.values(), *self.providers.values()):
            await part.close()


async def refusals(links: Mapping[str, RedisLink]) -> list[str]:
    """A line for each Redis that refuses us, after the setting that names it. One that is merely away does not."""
    refused = []
    for setting, link in links.items():
        try:
            await link.execute([("PING",)])
        except StoreRefused as error:
            refused.append(f"{setting}: {error}")
        except StoreUnavailable:
            continue
    return refused


def build(config: Config, *, clock: Clock, preview: bool = False) -> App:
    """Put a daemon together; with `preview` one that can only look.

    Raises:
        SettingsError: a provider's settings name a file that cannot be used.
    """
    registry, entropy = CollectorRegistry(), Entropy()
    metrics = Metrics(registry, lambda: {pool for loop in app.loops for pool in loop.led})
    parts = Parts(clock, metrics.asked, preview=preview)
    parts.adapt(config)
    demand = QueueDemand(parts.readers, patience_s=_patience_s(config))
    owner = name_of_this_run(entropy.token())
    own = parts.links[config.store or config.redis]
    board, feed = Board(config.fleet), Feed()
    notifier = Notifier(
        config.fleet, config.notify, registry, way_of=way_of, desks=lambda: app.loops, clock=clock, entropy=entropy
    )
    listeners: list[Listener] = [board] if preview else [board, feed, metrics, LogListener(), notifier]
    gathered, wake, probe = Gathered(Listeners(listeners)), Wake(), ServiceProbe(clock)

    def store_of(unit: Unit) -> Store:
        store = RedisStore(own, config.fleet, owner, config.lease_s, unit=unit, common=common)
        return PreviewStore(store) if preview else store

    def make(unit: Unit, config: Config) -> Loop:
        return Loop(
            fleet=config.fleet,
            pools=pool_setups(config, unit),
            store=store_of(unit),
            demand=DemandOf(demand, unit.name),
            providers=parts.providers,
            probe=probe,
            clock=clock,
            entropy=entropy,
            listener=gathered.of(unit.name),
            wake=wake,
            limits=config.limits,
            tick_s=config.tick,
            unit=unit,
        )

    units = units_in(config)
    common = Common(own, config.fleet, owner, config.lease_s, units=len(units))
    app = App(
        config=config,
        loops=tuple(make(unit, config) for unit in units),
        make=make,
        share=common.share,
        gathered=gathered,
        wake=wake,
        demand=demand,
        store=store_of(WHOLE),
        parts=parts,
        board=board,
        feed=feed,
        metrics=metrics,
        notifier=notifier,
        registry=registry,
    )
    return app


def _placements(config: Config) -> set[str]:
    """The names of all placements."""
    return {place.label for pool in config.pools.values() for place in pool.placements}


def _patience_s(config: Config) -> float:
    """How long a queue may take to be read: a Redis that hangs leaves time for the other pools' tick."""
    return config.tick / 2.0


def units_in(config: Config) -> list[Unit]:
    """What each lease of a configuration leads."""
    return units_of([*config.pools]) if config.spread else [WHOLE]


def pool_setups(config: Config, unit: Unit = WHOLE) -> list[PoolSetup]:
    """The pools of a configuration with their policies, those of one unit."""
    return [
        PoolSetup(
            pool=settings.pool(name),
            policies=tuple((choice.name, POLICIES[choice.name], choice.settings) for choice in settings.policies),
        )
        for name, settings in config.pools.items()
        if unit.owns(name)
    ]


def start_embedded(config: Config) -> list[EmbeddedRedis]:
    """Serve each embedded Redis that a configuration names.

    Raises:
        SettingsError: a port is taken.
    """
    addresses = [redis.address() for redis in named(config)]
    ports = {port for address in addresses if address.embedded for _, port in address.hosts}
    if not ports:
        return []
    from autoscaler.embedded import EmbeddedRedis  # takes a tenth of a daemon's start

    servers = [EmbeddedRedis(port) for port in sorted(ports)]
    for server in servers:
        server.start()
    return servers
