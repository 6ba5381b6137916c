"""The composition root: the only place that names concrete adapters."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from autoscaler.config import Config
from autoscaler.core.errors import SettingsError, StoreRefused, StoreUnavailable
from autoscaler.embedded import EmbeddedRedis
from autoscaler.link import RedisLink
from autoscaler.probe import ServiceProbe
from autoscaler.queues import make_reader
from autoscaler.queues.source import QueueDemand
from autoscaler.runtime.entropy import Entropy, seeded
from autoscaler.runtime.loop import Loop, PoolSetup
from autoscaler.runtime.ports import Clock, Store
from autoscaler.runtime.report import Listener
from autoscaler.store.preview import PreviewStore
from autoscaler.store.redis import RedisStore
from autoscaler.store.rules import LEASE_S
from autoscaler.telemetry.listeners import Listeners
from autoscaler.telemetry.logging import LogListener
from autoscaler.telemetry.metrics import Metrics
from autoscaler.web.views import Board
from policies import POLICIES
from providers.base import Provider
from providers.breaker import Breaker
from providers.dry_run import DryRun
from providers.http import Http, Service
from providers.installed import provider_kinds
from providers.instrumented import Instrumented
from providers.mock import Market, MockProvider
from providers.pace import Paced
from providers.session import Session

_TICKS_PER_LEASE = 3

EMBEDDED_PORT = 6390
"""Where `redis: embedded` listens unless told otherwise, so that every command finds it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """A daemon, put together and not started."""

    loop: Loop
    demand: QueueDemand
    """What reads the queues."""
    store: Store
    links: Mapping[str, RedisLink]
    """By URL; the queue's first."""
    providers: Mapping[str, Provider]
    markets: Mapping[str, Market]
    """The markets of the mock providers, for a demo to play in."""
    board: Board
    registry: CollectorRegistry

    async def check_access(self) -> None:
        """Ask each Redis once whether it lets us in. One that is merely away is no error: it may come back.

        Raises:
            SettingsError: it refuses the user name or password.
        """
        for link in self.links.values():
            try:
                await link.execute([("PING",)])
            except StoreRefused as error:
                raise SettingsError(f"redis: {error}") from error
            except StoreUnavailable:
                continue

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
    queue_url = redis_url(config.redis)
    store_url = redis_url(config.store) if config.store else queue_url
    links = {url: RedisLink(url) for url in (queue_url, store_url)}
    entropy = Entropy()
    owner = f"{socket.gethostname()}:{os.getpid()}:{entropy.token()}"
    # A lease shorter than the tick that renews it would pass from daemon to daemon, and none would ever act.
    redis_store = RedisStore(links[store_url], config.fleet, owner, ttl_s=max(LEASE_S, _TICKS_PER_LEASE * config.tick))
    store: Store = PreviewStore(redis_store) if preview else redis_store
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    board = Board(config.fleet)
    listeners: list[Listener] = [board] if preview else [board, metrics, LogListener()]
    adapters = _adapters(config, clock)
    watched = {
        name: Instrumented(Breaker(each, clock.now), metrics.asked, clock.now) for name, each in adapters.items()
    }
    providers: dict[str, Provider] = {name: DryRun(each) if preview else each for name, each in watched.items()}
    demand = QueueDemand({name: (links[queue_url], make_reader(pool.queue)) for name, pool in config.pools.items()})
    loop = Loop(
        fleet=config.fleet,
        pools=pool_setups(config),
        store=store,
        demand=demand,
        providers=providers,
        probe=ServiceProbe(clock),
        clock=clock,
        entropy=entropy,
        listener=Listeners(listeners),
        limits=config.limits,
        tick_s=config.tick,
    )
    return App(
        loop=loop,
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


def embedded_port(redis: str) -> int | None:
    """The port of `embedded` or `embedded:PORT`; None for any other Redis."""
    kind, _, port = redis.partition(":")
    if kind != "embedded":
        return None
    return int(port) if port else EMBEDDED_PORT


def redis_url(redis: str) -> str:
    """The URL of a configured Redis; for `embedded` that of the one a running daemon serves."""
    port = embedded_port(redis)
    return redis if port is None else f"redis://127.0.0.1:{port}"


def start_embedded(config: Config) -> list[EmbeddedRedis]:
    """Serve each embedded Redis that a configuration names.

    Raises:
        SettingsError: a port is taken.
    """
    ports = {port for redis in (config.redis, config.store or config.redis) if (port := embedded_port(redis))}
    servers = [EmbeddedRedis(port) for port in sorted(ports)]
    for server in servers:
        server.start()
    return servers
