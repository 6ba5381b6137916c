"""The composition root: the only place that names concrete adapters."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from autoscaler.config import Config
from autoscaler.config.secrets import secrets_of
from autoscaler.core.errors import SettingsError, StoreRefused, StoreUnavailable
from autoscaler.embedded import EmbeddedRedis
from autoscaler.link import RedisLink, RedisSettings
from autoscaler.probe import ServiceProbe
from autoscaler.queues import make_reader
from autoscaler.queues.source import QueueDemand
from autoscaler.runtime.decider import PoolSetup
from autoscaler.runtime.entropy import Entropy, seeded
from autoscaler.runtime.gather import Gathered
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.ports import Clock, Store
from autoscaler.runtime.report import Listener
from autoscaler.runtime.supervise import Wake
from autoscaler.store.preview import PreviewStore
from autoscaler.store.redis import RedisStore
from autoscaler.store.rules import LEASE_S
from autoscaler.telemetry.listeners import Listeners
from autoscaler.telemetry.logging import LogListener
from autoscaler.telemetry.metrics import Metrics
from autoscaler.telemetry.redact import quiet_about
from autoscaler.web.views import Board
from policies import POLICIES
from providers.base import Provider
from providers.breaker import Breaker
from providers.cleaned import Cleaned
from providers.dry_run import DryRun
from providers.http import Http, Service
from providers.installed import provider_kinds
from providers.instrumented import Instrumented
from providers.mock import Market, MockProvider
from providers.pace import Paced
from providers.session import Session

_TICKS_PER_LEASE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """A daemon, put together and not started."""

    loops: tuple[Loop, ...]
    """One for all pools, or with `spread` one for each."""
    gathered: Gathered
    """Makes one report of the loops' ticks."""
    wake: Wake
    """Ends the waiting for the next tick."""
    demand: QueueDemand
    """What reads the queues."""
    store: Store
    links: Mapping[str, RedisLink]
    """By the first setting that names each: `redis`, `store`, `pools.NAME.redis`; the first pool's comes first."""
    providers: Mapping[str, Provider]
    markets: Mapping[str, Market]
    """The markets of the mock providers, for a demo to play in."""
    board: Board
    registry: CollectorRegistry

    async def tick(self) -> None:
        """One tick of all loops. What goes wrong is told to the listeners.

        They tick in the same turn of the event loop, so that what they ask of one Redis goes out as one pipeline.

        Raises:
            NewerRecords: the store was written by a newer program; there is no point in going on.
        """
        await asyncio.gather(*(loop.tick_safely() for loop in self.loops))
        self.gathered.over()

    async def stop(self) -> None:
        """Let the calls under way end, write what is known, give the leases back. Machines stay as they are."""
        await asyncio.gather(*(loop.stop() for loop in self.loops))
        self.gathered.over()

    async def check_access(self) -> None:
        """Ask each Redis once whether it lets us in. One that is merely away is no error: it may come back.

        Raises:
            SettingsError: it refuses us, and will until the settings change: one line for each.
        """
        refusals = []
        for setting, link in self.links.items():
            try:
                await link.execute([("PING",)])
            except StoreRefused as error:
                refusals.append(f"{setting}: {error}")
            except StoreUnavailable:
                continue
        if refusals:
            raise SettingsError(*refusals)

    async def close(self) -> None:
        """Let go of connections."""
        for link in self.links.values():
            await link.close()
        for provider in self.providers.values():
            await provider.close()


def build(config: Config, *, clock: Clock, preview: bool = False) -> App:
    """Put a daemon together; with `preview` one that can only look.

    Raises:
        SettingsError: a provider's settings name a file that cannot be used.
    """
    named = _named(config)
    links = {setting: RedisLink(redis) for redis, setting in named.items()}
    asked = {name: links[named[pool.redis or config.redis]] for name, pool in config.pools.items()}
    readers = {name: (asked[name], make_reader(pool.queue)) for name, pool in config.pools.items()}
    demand = QueueDemand(readers, patience_s=config.tick / 2.0)  # a Redis that hangs leaves time for other pools' tick
    entropy = Entropy()
    owner = f"{socket.gethostname()}:{os.getpid()}:{entropy.token()}"
    # A lease shorter than the tick that renews it would pass from daemon to daemon, and none would ever act.
    own = links[named[config.store or config.redis]]
    redis_store = RedisStore(own, config.fleet, owner, ttl_s=max(LEASE_S, _TICKS_PER_LEASE * config.tick))
    store: Store = PreviewStore(redis_store) if preview else redis_store
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    board = Board(config.fleet)
    listeners: list[Listener] = [board] if preview else [board, metrics, LogListener()]
    adapters = _adapters(config, clock)
    quiet = quiet_about(secrets_of(config))
    watched = {
        name: Instrumented(Breaker(Cleaned(each, quiet), clock.now), metrics.asked, clock.now)
        for name, each in adapters.items()
    }
    providers: dict[str, Provider] = {name: DryRun(each) if preview else each for name, each in watched.items()}
    gathered, wake = Gathered(Listeners(listeners)), Wake()
    loop = Loop(
        fleet=config.fleet,
        pools=pool_setups(config),
        store=store,
        demand=demand,
        providers=providers,
        probe=ServiceProbe(clock),
        clock=clock,
        entropy=entropy,
        listener=gathered.of(""),
        wake=wake,
        limits=config.limits,
        tick_s=config.tick,
    )
    return App(
        loops=(loop,),
        gathered=gathered,
        wake=wake,
        demand=demand,
        store=store,
        links=links,
        providers=providers,
        markets={name: each.market for name, each in adapters.items() if isinstance(each, MockProvider)},
        board=board,
        registry=registry,
    )


def pool_setups(config: Config) -> list[PoolSetup]:
    """The pools of a configuration with their policies."""
    return [
        PoolSetup(
            pool=settings.pool(name),
            policies=tuple((choice.name, POLICIES[choice.name], choice.settings) for choice in settings.policies),
        )
        for name, settings in config.pools.items()
    ]


def _adapters(config: Config, clock: Clock) -> dict[str, Provider]:
    means, kinds = _Means(clock), provider_kinds()
    return {name: kinds[settings.kind].make(name, settings, means) for name, settings in config.providers.items()}


class _Means:
    """What every adapter is given to work with."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now = clock.now
        self.random = seeded

    def http(self, service: Service) -> Http:
        """A way to a vendor's API over the network that keeps to its pace."""
        return Paced(Session(service), service, self._clock)


def _named(config: Config) -> dict[RedisSettings, str]:
    """Each Redis that is used, and the first setting that names it."""
    named: dict[RedisSettings, str] = {}
    for name, pool in config.pools.items():
        named.setdefault(pool.redis or config.redis, f"pools.{name}.redis" if pool.redis else "redis")
    named.setdefault(config.store or config.redis, "store" if config.store else "redis")
    return named


def start_embedded(config: Config) -> list[EmbeddedRedis]:
    """Serve each embedded Redis that a configuration names.

    Raises:
        SettingsError: a port is taken.
    """
    addresses = [redis.address() for redis in _named(config)]
    ports = {port for address in addresses if address.embedded for _, port in address.hosts}
    servers = [EmbeddedRedis(port) for port in sorted(ports)]
    for server in servers:
        server.start()
    return servers
