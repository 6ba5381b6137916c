"""What a configuration needs that is made of its settings: links, readers, adapters. A part of ``autoscaler.app``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Generic, TypeVar

from autoscaler.config import Config
from autoscaler.config.secrets import secrets_of
from autoscaler.link import RedisLink, RedisSettings
from autoscaler.queues import make_reader
from autoscaler.queues.pool import PoolReader
from autoscaler.runtime.entropy import seeded
from autoscaler.runtime.ports import Clock
from autoscaler.telemetry.redact import quiet_about
from providers.base import Provider
from providers.breaker import Breaker
from providers.cleaned import Cleaned
from providers.dry_run import DryRun
from providers.http import Http, Service
from providers.installed import provider_kinds
from providers.instrumented import Instrumented, Tell
from providers.mock import Market, MockProvider
from providers.pace import Paced
from providers.session import Session
from providers.shared import Shared

K = TypeVar("K", bound=Hashable)
S = TypeVar("S")
T = TypeVar("T")


class Kept(Generic[K, S, T]):
    """Things by name, each made once and kept as long as what it is made of stays the same."""

    def __init__(self, make: Callable[[K, S], T]) -> None:
        self._make = make
        self._made: dict[K, tuple[S, T]] = {}

    def adapt(self, wanted: Mapping[K, S]) -> list[T]:
        """Make what is wanted and not there; gives what is not wanted any more. Where one cannot be made, all stays."""
        before = self._made
        self._made = {
            name: before[name] if name in before and before[name][0] == of else (of, self._make(name, of))
            for name, of in wanted.items()
        }
        return [thing for name, (_, thing) in before.items() if self._made.get(name, (None, None))[1] is not thing]

    @property
    def things(self) -> dict[K, T]:
        """All that is there."""
        return {name: thing for name, (_, thing) in self._made.items()}


class Parts:
    """The parts of one daemon, which follow its configuration."""

    def __init__(self, clock: Clock, tell: Tell, *, preview: bool) -> None:
        """Nothing is made yet. `tell` hears of each call to a provider; with `preview` none can change anything."""
        self._clock = clock
        self._tell = tell
        self._preview = preview
        self._means = _Means(clock)
        self._secrets: frozenset[str] = frozenset()
        self._quiet = quiet_about(())
        self.markets: dict[str, Market] = {}
        """The markets of the mock providers."""
        self._links: Kept[RedisSettings, RedisSettings, RedisLink] = Kept(lambda _, redis: RedisLink(redis))
        self._readers: Kept[str, tuple[RedisSettings, Any], tuple[RedisLink, PoolReader]] = Kept(self._reader)
        self._providers: Kept[str, Any, Provider] = Kept(self._provider)

    def adapt(self, config: Config) -> list[RedisLink | Provider]:
        """Make what a configuration needs, keep what it goes on using; gives what it needs no more, to be closed.

        Raises:
            SettingsError: a provider's settings name a file that cannot be used; nothing has changed.
        """
        providers = self._providers.adapt(config.providers)
        secrets = secrets_of(config)
        self._quiet = quiet_about(secrets | self._secrets)  # a call under way may still repeat an old one
        self._secrets = secrets
        links = self._links.adapt({redis: redis for redis in named(config)})
        self._readers.adapt({name: (pool.redis or config.redis, pool.queue) for name, pool in config.pools.items()})
        return [*links, *providers]

    @property
    def links(self) -> Mapping[RedisSettings, RedisLink]:
        """Each Redis that is used."""
        return self._links.things

    @property
    def readers(self) -> Mapping[str, tuple[RedisLink, PoolReader]]:
        """What reads the queue of each pool."""
        return self._readers.things

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Each account to rent from."""
        return self._providers.things

    def _reader(self, _pool: str, of: tuple[RedisSettings, Any]) -> tuple[RedisLink, PoolReader]:
        redis, queue = of
        return self._links.things[redis], make_reader(queue)

    def _provider(self, name: str, settings: Any) -> Provider:
        adapter = provider_kinds()[settings.kind].make(name, settings, self._means)
        if isinstance(adapter, MockProvider):
            self.markets[name] = adapter.market
        cleaned = Cleaned(adapter, self._without_secrets)
        watched = Shared(Instrumented(Breaker(cleaned, self._clock.now), self._tell, self._clock.now))
        return DryRun(watched) if self._preview else watched

    def _without_secrets(self, text: str) -> str:
        return self._quiet(text)


class _Means:
    """What every adapter is given to work with."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now = clock.now
        self.random = seeded

    def http(self, service: Service) -> Http:
        """A way to a vendor's API over the network that keeps to its pace."""
        return Paced(Session(service), service, self._clock)


def named(config: Config) -> dict[RedisSettings, str]:
    """Each Redis that is used, and the first setting that names it."""
    found: dict[RedisSettings, str] = {}
    for name, pool in config.pools.items():
        found.setdefault(pool.redis or config.redis, f"pools.{name}.redis" if pool.redis else "redis")
    found.setdefault(config.store or config.redis, "store" if config.store else "redis")
    return found
