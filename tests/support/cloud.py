"""A whole daemon on virtual time over a cloud's adapter, its emulator, and the pacing between the two."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import Any

from autoscaler.core.instance import parse_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Buy, Limits, Placement
from autoscaler.core.units import DurationRange, Secret, Span
from autoscaler.emulate import Emulator
from autoscaler.emulate.loopback import Loopback
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.entropy import seeded
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.rules import DRAIN_MARK
from policies.thresholds import Thresholds
from providers.http import Http, Service
from providers.installed import provider_kinds
from providers.mock import Fault, Step
from providers.pace import Paced
from tests.support.build import FLEET, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, Daemon, Rehearsal

KEY = Secret("s3cret-key-of-a-test")
STEP_S = 10.0
_PARTS = ("running_usd", "stopped_usd")
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

        self.unknown_usd = 0.0
        """Billed for machines of our label of which the daemon had no live record."""
        self.most_per_token = 0
        """The most machines that there were at a time for one token."""
        self._ours: set[str] = set()
        self._beats = 0

    def begin(self) -> Daemon:
        """A daemon over this account."""
        return self.daemon(provider=self.cloud)

    async def live(self, daemon: Daemon, seconds: float, *, waiting: int) -> None:
        """Let time go by with so many jobs in the queue; workers beat, and are idle where none waits."""
        self.queue.waiting = waiting
        for _ in range(round(seconds / STEP_S)):
            self._beat(busy=min(1, waiting))
            await daemon.live(STEP_S)
            self._watch()

    async def day(self, daemon: Daemon) -> None:
        """A rush, a pause in which machines stop, a second rush out of WARM, and the end, when all are given back."""
        await self.live(daemon, 25 * 60, waiting=40)
        await self.live(daemon, 15 * 60, waiting=0)
        await self.live(daemon, 25 * 60, waiting=40)
        await self.live(daemon, 30 * 60, waiting=0)

    async def close_down(self, daemon: Daemon) -> Daemon:
        """The pool may have no machine any more: all are given back. Gives the daemon that did it."""
        await daemon.stop()
        none = Limits(hot=Span(0, 0), warm=Span(0, 0))
        self.pools = tuple(replace(each, limits=none) for each in self.pools)
        last = self.begin()
        await self.live(last, 40 * 60, waiting=0)
        return last

    def billed(self) -> float:
        """What the vendor has billed for machines of our label, in USD."""
        self.market.settle(self.clock.now())
        billed = self.market.billed_usd(self.clock.now())
        return sum(billed[name] for name in self._ours)

    def booked(self) -> float:
        """What the books say that machines have cost, in USD."""
        days: list[dict[str, Any]] = [json.loads(ledger) for ledger in self.state.ledger.values()]
        return math.fsum(spent[part] for day in days for spent in day["pools"].values() for part in _PARTS)

    def _beat(self, *, busy: int) -> None:
        """What the workers of the machines that run say of themselves."""
        self._beats += 1
        for machine in self.market.running(self.clock.now()):
            ours = parse_label(machine.label, FLEET)
            if ours is not None:
                record = self.state.instances.get(ours[1])
                drained = record is not None and record.phase in DRAIN_MARK
                beat = Heartbeat(busy=0 if drained else busy, drained=drained, stamp=f"{machine.starts}/{self._beats}")
                self.state.heartbeats[ours[1]] = beat

    def _watch(self) -> None:
        self._ours |= self.rented().keys()
        tokens = Counter(self.rented().values())
        self.most_per_token = max([self.most_per_token, *tokens.values()])
        known = {each.id for each in self.state.instances.values() if each.phase is not Phase.GONE}
        self.unknown_usd += sum(
            self.market.machines[name].burn_usd_per_hour * STEP_S / HOUR
            for name, token in self.rented().items()
            if token not in known
        )
