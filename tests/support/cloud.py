"""A whole daemon on virtual time over a cloud's adapter, its emulator, and the pacing between the two."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import Any

from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Buy, Limits, Placement
from autoscaler.core.units import DurationRange, Secret, Span
from autoscaler.emulate import Emulator
from autoscaler.emulate.loopback import Loopback
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.ports import Heartbeat
from autoscaler.store.rules import DRAIN_MARK
from policies.thresholds import Thresholds
from providers.base import Provider
from providers.http import Answer, Http, Request, Service
from providers.installed import provider_kinds
from providers.mock import Step
from providers.pace import Paced
from tests.support.bench import Means
from tests.support.build import FLEET, pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, Daemon, Rehearsal

KEY = Secret("s3cret-key-of-a-test")
STEP_S = 10.0
NOTEBOOK = "somebody's notebook"
CLOSING_S = 2400.0
_PARTS = ("running_usd", "stopped_usd")
NONE: Mapping[Any, Any] = MappingProxyType({})
QUICK: Mapping[str, Any] = {
    "setup": DurationRange(300.0, 300.0),
    "resume": DurationRange(60.0, 60.0),
    "stop": DurationRange(10.0, 10.0),
    "let_to_others": DurationRange(3600.0, 3600.0),
    "listing_lag": DurationRange(60.0, 60.0),
    "foreign": (NOTEBOOK,),
    "balance_usd": None,
    "price_swing": 0.0,
}
"""A market in which machines are up within minutes and every duration is known."""


Line = Callable[[Http, Service, LoopClock], Http]
"""What lies between an adapter and its vendor."""
Around = Callable[[Provider], Provider]
"""What lies between an adapter and the daemon."""


def means_of(emulator: Emulator, clock: LoopClock, line: Line = Paced) -> Means:
    """What an adapter is given here: virtual time, and an emulator in place of the vendor."""
    return Means(now=clock.now, http=lambda service: line(Loopback(emulator, service), service, clock))


class Cloud(Rehearsal):
    """A vendor's account that outlives the daemons run on it."""

    def __init__(
        self,
        kind: str,
        *,
        scenario: tuple[Step, ...] = (),
        quirks: tuple[str, ...] = (),
        buy: Buy = "on_demand",
        of_pool: Mapping[str, Any] = NONE,
        of_market: Mapping[str, Any] = NONE,
        policy: Thresholds | None = None,
        line: Line = Paced,
        around: Around | None = None,
    ) -> None:
        """What lies before the adapter, or around it, may take a rule away from it."""
        placements = (Placement(provider=kind, buy=buy, max_usd_per_hour=2.0),)
        super().__init__(pools=(pool(**{"placements": placements, **of_pool}),), policy=policy)
        emulation = import_module(f"autoscaler.emulate.{kind}")
        market = replace(
            emulation.Emulation().market,
            **{**QUICK, "faults": CALM.faults, "scenario": scenario, **of_market},
        )
        asked = emulation.Emulation(market=market, quirks=tuple(emulation.Quirk(name) for name in quirks))
        self.emulator: Emulator = emulation.make(asked, now=self.clock.now, rng=random.Random(1))
        self.market = self.emulator.market
        self._kind = kind
        self._line = line
        self._around = around

        self.unknown_usd = 0.0
        """Billed for machines of our label of which the daemon had no live record."""
        self.unknown_s = 0.0
        """The longest that such a machine was unknown for."""
        self.most_per_token = 0
        """The most machines that there were at a time for one token."""
        self.served_s = 0.0
        """Machine-seconds of service: the machine is up, the daemon knows that it is, and jobs wait."""
        self._unknown_since: dict[str, float] = {}
        self._beats = 0
        self.market.settle(self.clock.now())
        self._foreign = frozenset(self.market.machines)

    def begin(self) -> Daemon:
        """A daemon over this account. Its adapter is new, too, and remembers nothing."""
        kind = provider_kinds()[self._kind]
        means = means_of(self, self.clock, self._line)
        adapter = kind.make(self._kind, kind.settings(api_key=KEY), means)
        return self.daemon(provider=self._around(adapter) if self._around else adapter)

    async def live(self, daemon: Daemon, seconds: float, *, waiting: int) -> None:
        """Let time go by with so many jobs in the queue; workers beat, and are idle where none waits."""
        self.queue.waiting = waiting
        for _ in range(round(seconds / STEP_S)):
            await self.step(daemon)

    async def step(self, daemon: Daemon, seconds: float = STEP_S) -> None:
        """Let a moment go by, and look at what there is."""
        self._beat(seconds)
        await daemon.live(seconds)
        self._watch(seconds)

    async def day(self, daemon: Daemon) -> None:
        """A rush, a pause in which machines stop, a second rush out of WARM, and the end, when all are given back."""
        await self.live(daemon, 20 * 60, waiting=40)
        await self.live(daemon, 12 * 60, waiting=0)
        await self.live(daemon, 20 * 60, waiting=40)
        await self.live(daemon, 18 * 60, waiting=0)

    async def close_down(self, daemon: Daemon) -> None:
        """The pool may have no machine any more: another daemon gives all back, within forty minutes or not at all."""
        await daemon.stop()
        none = Limits(hot=Span(0, 0), warm=Span(0, 0))
        self.pools = tuple(replace(each, limits=none) for each in self.pools)
        self.queue.waiting = 0
        last = self.begin()
        until = self.clock.now() + CLOSING_S
        while (self.let_to_us() or self.live_records()) and self.clock.now() < until:
            await self.step(last)
        await last.stop()

    def let_to_us(self) -> list[str]:
        """The machines that there are besides those of the account's other user, whatever their labels say."""
        self.market.settle(self.clock.now())
        return [name for name in self.market.machines if name not in self._foreign]

    @property
    def foreign_is_whole(self) -> bool:
        """Whether the account's other user has the machines he had, under their names."""
        there = [self.market.machines.get(name) for name in self._foreign]
        return all(machine is not None and machine.label == NOTEBOOK for machine in there)

    def live_records(self) -> list[Instance]:
        """What the store holds of machines that are not gone."""
        return [each for each in self.state.instances.values() if each.phase is not Phase.GONE]

    def billed(self) -> float:
        """What the vendor has billed for the machines that it let to us, in USD."""
        billed = self.market.billed_usd(self.clock.now())
        return sum(usd for name, usd in billed.items() if name not in self._foreign)

    def booked(self) -> float:
        """What the books say that machines have cost, in USD."""
        days: list[dict[str, Any]] = [json.loads(ledger) for ledger in self.state.ledger.values()]
        return math.fsum(spent[part] for day in days for spent in day["pools"].values() for part in _PARTS)

    def _beat(self, seconds: float) -> None:
        """What the workers of the machines that run say of themselves; without a label they are not heard."""
        self._beats += 1
        depth = self.queue.waiting
        busy = min(1, depth) if isinstance(depth, int) else 0
        for machine in self.market.running(self.clock.now()):
            ours = parse_label(machine.label, FLEET)
            if ours is not None:
                record = self.state.instances.get(ours[1])
                drained = record is not None and record.phase in DRAIN_MARK
                beat = Heartbeat(busy=0 if drained else busy, drained=drained, stamp=f"{machine.starts}/{self._beats}")
                self.state.heartbeats[ours[1]] = beat
                if busy and record is not None and record.phase is Phase.HOT:
                    self.served_s += seconds

    def unknown(self) -> list[str]:
        """The machines that there are and that no live record speaks of, by their id or while their token is sought."""
        records, rented = self.live_records(), self.rented()
        named = {each.provider_id for each in records}
        sought = {each.id for each in records if each.provider_id is None}
        return [name for name in self.let_to_us() if name not in named and rented.get(name) not in sought]

    def _watch(self, seconds: float) -> None:
        now = self.clock.now()
        self._unknown_since = {name: self._unknown_since.get(name, now - seconds) for name in self.unknown()}
        for name, since in self._unknown_since.items():
            self.unknown_usd += self.market.machines[name].burn_usd_per_hour * seconds / HOUR
            self.unknown_s = max(self.unknown_s, now - since)

    async def handle(self, request: Request) -> Answer:
        """The vendor's answer, and a look at whether a token has two machines now."""
        try:
            return await self.emulator.handle(request)
        finally:
            self.most_per_token = max([self.most_per_token, *Counter(self.rented().values()).values()])
