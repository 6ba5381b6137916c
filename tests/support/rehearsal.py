"""A whole daemon on virtual time: the real loop, the store in memory, the mock market, a queue that a test sets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

from autoscaler.core.decision import Outcome
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import FleetLimits, Pool
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.decider import PoolSetup
from autoscaler.runtime.entropy import Entropy
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.ports import ReadinessProbe, Store
from autoscaler.runtime.report import TickReport
from autoscaler.runtime.rounds import go_round
from autoscaler.runtime.supervise import Wake
from autoscaler.store.memory import MemoryState, MemoryStore
from policies import POLICIES
from policies.thresholds import Thresholds
from providers.base import Provider
from providers.mock import MockProvider, MockSettings
from tests.support.build import FLEET, NOW, pool

HOUR = 3600.0
TICK_S = 10.0


class Queue:
    """Queues of one tier whose depth a test sets; those of `others` by pool."""

    def __init__(self) -> None:
        self.waiting: int | Unknown = 0
        self.others: dict[str, int | Unknown] = {}
        self.busy: dict[str, int] = {}
        """Jobs at work by instance, as the library's own workers tell."""

    async def read(self, now: float) -> Mapping[str, Demand | Unknown]:
        return {name: self._demand(depth, now) for name, depth in {"images": self.waiting, **self.others}.items()}

    def _demand(self, waiting: int | Unknown, now: float) -> Demand | Unknown:
        if isinstance(waiting, Unknown):
            return waiting
        return Demand(taken_at=now, tiers=(TierDemand(tier="pro", waiting=waiting),), busy=self.busy)


class Watcher:
    """A listener that remembers everything."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.failures: list[str] = []
        self.outcomes: list[Outcome] = []
        self.report: TickReport | None = None

    def ticked(self, report: TickReport) -> None:
        self.report = report

    def failed(self, reason: str, now: float) -> None:
        self.failures.append(reason)

    def noted(self, entry: Entry) -> None:
        self.entries.append(entry)

    def called(self, provider: str, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def came_up(self, placement: str, seconds: float, *, resumed: bool) -> None:
        """Nothing to remember: the history is asked instead."""


class NoProbe:
    """No machine's service is ever asked."""

    async def ready(self, instance: Instance, check: str) -> bool:
        return False

    async def jobs(self, instance: Instance, question: str) -> int | None:
        return None


class Rehearsal:
    """A market and a store that outlive the daemons run on them."""

    def __init__(
        self,
        settings: MockSettings | None = None,
        *,
        pools: Sequence[Pool] = (),
        policy: Thresholds | None = None,
        limits: FleetLimits | None = None,
    ) -> None:
        self.clock = LoopClock(epoch=NOW)
        self.clock.now()
        self.provider = MockProvider("mock", settings or MockSettings(), now=self.clock.now, rng=random.Random(1))
        self.market = self.provider.market
        self.others: list[Provider] = []
        """Further providers beside the first."""
        self.state = MemoryState()
        self.queue = Queue()
        self.probe: ReadinessProbe = NoProbe()
        self.pools = pools or (pool(),)
        self.policy = policy or Thresholds()
        self.limits = limits
        self._daemons = 0

    def daemon(self, *, store: Store | None = None, provider: Provider | None = None) -> Daemon:
        """One more daemon beside the same market and store."""
        self._daemons += 1
        store = store or MemoryStore(self.state, f"daemon-{self._daemons}", self.clock)
        return Daemon(self, store, provider or self.provider, self._daemons)

    def rented(self) -> dict[str, str]:
        """The machines that exist at the provider under our label: token by provider id."""
        self.market.settle(self.clock.now())
        labels = {name: parse_label(machine.label, FLEET) for name, machine in self.market.machines.items()}
        return {provider_id: ours[1] for provider_id, ours in labels.items() if ours}

    def billed_usd(self) -> float:
        """What the provider has billed for all machines so far."""
        return sum(self.market.billed_usd(self.clock.now()).values())


class Daemon:
    """One running loop."""

    def __init__(self, world: Rehearsal, store: Store, provider: Provider, seed: int) -> None:
        self.watcher = Watcher()
        self.clock = world.clock
        wake = Wake()
        self.loop = Loop(
            fleet=FLEET,
            pools=[
                PoolSetup(pool=p, policies=(("thresholds", POLICIES["thresholds"], world.policy),)) for p in world.pools
            ],
            store=store,
            demand=world.queue,
            providers={each.name: each for each in (provider, *world.others)},
            probe=world.probe,
            clock=world.clock,
            entropy=Entropy(seed),
            listener=self.watcher,
            wake=wake,
            limits=world.limits,
            tick_s=TICK_S,
        )
        self.tick_s = TICK_S
        self.task = asyncio.get_running_loop().create_task(
            go_round(self.loop.tick_safely, wake, world.clock, lambda: self.tick_s)
        )

    async def live(self, seconds: float) -> None:
        """Let virtual time go by."""
        await self.clock.sleep(seconds)
        if self.task.done():
            self.task.result()

    async def kill(self) -> None:
        """End it as `kill -9` would: nothing is finished, nothing written, the lease not given back."""
        self.task.cancel()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def stop(self) -> None:
        """End it as SIGTERM does."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.loop.stop()

    @property
    def report(self) -> TickReport:
        """The last good tick."""
        if self.watcher.report is None:
            raise AssertionError("no tick was ever made")
        return self.watcher.report

    def phases(self) -> dict[str, Phase]:
        """The phases of all machines that are not gone."""
        return {i.id: i.phase for i in self.report.instances.values() if i.phase is not Phase.GONE}

    def count(self, *phases: Phase) -> int:
        """How many machines are in one of these phases."""
        return sum(phase in phases for phase in self.phases().values())

    def texts(self, kind: Kind) -> list[str]:
        """The journal's lines of one kind."""
        return [entry.text for entry in self.watcher.entries if entry.kind is kind]

    def usd_today(self, name: str = "images") -> Any:
        """What the books say that a pool has cost today."""
        return self.report.pools[name].spent_today.usd
