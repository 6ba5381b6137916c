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
from providers.dry_run import DryRun
from providers.installed import provider_kinds
from providers.session import Session

_TICKS_PER_LEASE = 3

EMBEDDED_PORT = 6390
"""Where `redis: embedded` listens unless told otherwise, so that every command finds it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class App:
    """A daemon, put together and not started."""

    loop: Loop
    store: Store
    links: Mapping[str, RedisLink]
    """By URL; the queue's first."""
    providers: Mapping[str, Provider]
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
    providers = _providers(config, clock, dry_run=preview)
    registry = CollectorRegistry()
    board = Board(config.fleet)
    listeners: list[Listener] = [board] if preview else [board, Metrics(registry), LogListener()]
    loop = Loop(
        fleet=config.fleet,
        pools=pool_setups(config),
        store=store,
        demand=QueueDemand({name: (links[queue_url], make_reader(pool.queue)) for name, pool in config.pools.items()}),
        providers=providers,
        probe=ServiceProbe(clock),
        clock=clock,
        entropy=entropy,
        listener=Listeners(listeners),
        limits=config.limits,
        tick_s=config.tick,
    )
    return App(loop=loop, store=store, links=links, providers=providers, board=board, registry=registry)


def pool_setups(config: Config) -> list[PoolSetup]:
    """The pools of a configuration with their policies."""
    return [
        PoolSetup(
            pool=settings.pool(name),
            policies=tuple((choice.name, POLICIES[choice.name], choice.settings) for choice in settings.policies),
        )
        for name, settings in config.pools.items()
    ]


def _providers(config: Config, clock: Clock, *, dry_run: bool) -> dict[str, Provider]:
    means, kinds = _Means(clock), provider_kinds()
    providers: dict[str, Provider] = {}
    for name, settings in config.providers.items():
        provider = kinds[settings.kind].make(name, settings, means)
        providers[name] = DryRun(provider) if dry_run else provider
    return providers


class _Means:
    """What every adapter is given to work with."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now
        self.random = seeded
        self.http = Session


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
