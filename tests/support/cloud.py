"""A whole daemon on virtual time over a cloud's adapter, its emulator, and the pacing between the two."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import Any

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Buy, Placement
from autoscaler.core.units import DurationRange, Secret
from autoscaler.emulate import Emulator
from autoscaler.emulate.loopback import Loopback
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.entropy import seeded
from policies.thresholds import Thresholds
from providers.http import Http, Service
from providers.installed import provider_kinds
from providers.mock import Fault, Step
from providers.pace import Paced
from tests.support.build import pool
from tests.support.market import CALM
from tests.support.rehearsal import Daemon, Rehearsal

KEY = Secret("s3cret-key-of-a-test")
NONE: Mapping[Any, Any] = MappingProxyType({})
QUICK: Mapping[str, Any] = {
    "setup": DurationRange(300.0, 300.0),
    "resume": DurationRange(60.0, 60.0),
    "stop": DurationRange(10.0, 10.0),
    "let_to_others": DurationRange(3600.0, 3600.0),
    "listing_lag": DurationRange(60.0, 60.0),
    "foreign": ("somebody's notebook",),
    "balance_usd": None,
    "price_swing": 0.0,
}
"""A market in which machines are up within minutes and every duration is known."""


class Means:
    """What an adapter is given here: virtual time, and an emulator in place of the vendor."""

    def __init__(self, clock: LoopClock, emulator: Emulator) -> None:
        self.now = clock.now
        self.random = seeded
        self._clock = clock
        self._emulator = emulator

    def http(self, service: Service) -> Http:
        return Paced(Loopback(self._emulator, service), service, self._clock)


class Cloud(Rehearsal):
    """A vendor's account that outlives the daemons run on it."""

    def __init__(
        self,
        kind: str,
        *,
        faults: Mapping[Fault, float] = NONE,
        scenario: tuple[Step, ...] = (),
        quirks: tuple[str, ...] = (),
        buy: Buy = "on_demand",
        settings: Mapping[str, Any] = NONE,
        of_pool: Mapping[str, Any] = NONE,
        of_market: Mapping[str, Any] = NONE,
        policy: Thresholds | None = None,
    ) -> None:
        placements = (Placement(provider=kind, buy=buy, max_usd_per_hour=2.0),)
        super().__init__(pools=(pool(**{"placements": placements, **of_pool}),), policy=policy)
        emulation = import_module(f"autoscaler.emulate.{kind}")
        market = replace(
            emulation.Emulation().market,
            **{**QUICK, "faults": {**CALM.faults, **faults}, "scenario": scenario, **of_market},
        )
        asked = emulation.Emulation(market=market, quirks=tuple(emulation.Quirk(name) for name in quirks))
        self.emulator: Emulator = emulation.make(asked, now=self.clock.now, rng=random.Random(1))
        self.market = self.emulator.market
        adapter = provider_kinds()[kind]
        own = adapter.settings(api_key=KEY, **settings)
        self.cloud = adapter.make(kind, own, Means(self.clock, self.emulator))

    def begin(self) -> Daemon:
        """A daemon over this account."""
        return self.daemon(provider=self.cloud)

    def told(self, daemon: Daemon) -> dict[str, Instance]:
        """The daemon's machines that are not gone, by provider id; those without one under their own."""
        machines = daemon.report.instances.values()
        return {each.provider_id or each.id: each for each in machines if each.phase is not Phase.GONE}

    def unknown(self, daemon: Daemon) -> set[str]:
        """Machines of our label that exist and that no record of the daemon speaks of, by their token."""
        return set(self.rented().values()) - {each.id for each in daemon.report.instances.values()}
