"""The pure core over thousands of machines, and the whole tick around it."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter

from autoscaler.core.demand import Demand, TierDemand
from autoscaler.core.evidence import Evidence
from autoscaler.core.instance import Instance, make_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import Load, TierLoad
from autoscaler.core.market import Listing, Remote, Status
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap, Limits, Pool, Tier
from autoscaler.core.sync import sync
from autoscaler.core.units import Span
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.decide import decide
from autoscaler.runtime.decider import PoolSetup
from autoscaler.runtime.entropy import Entropy, seeded
from autoscaler.runtime.loop import Loop
from autoscaler.runtime.ports import Heartbeat
from autoscaler.runtime.supervise import Wake
from autoscaler.store.memory import MemoryState, MemoryStore
from policies import POLICIES, RECOMMENDED, combine
from policies.base import State
from providers.mock import MockProvider, MockSettings
from tests.benchmarks.figures import Figure
from tests.support import build
from tests.support.build import FLEET, NOW
from tests.support.rehearsal import NoProbe, Watcher

_POOLS = 100
_SIZES = (1_000, 2_000, 5_000, 10_000)
_REPEATS = 9
_TARGET_MS = 250.0
_LINEAR = 1.25  # what a machine may cost more in the largest fleet than in the smallest
_PHASES = [Phase.HOT] * 7 + [Phase.BOOTING, Phase.WARM, Phase.DRAINING]
_STATUS = {Phase.BOOTING: Status.STARTING, Phase.WARM: Status.STOPPED}
_POLICIES: tuple[combine.Entry, ...] = tuple((name, POLICIES[name], POLICIES[name].settings()) for name in RECOMMENDED)


class LargeFleet:
    """100 pools with machines in every phase that lasts, all of them listed and all that run at work."""

    def __init__(self, machines: int, *, waiting: Sequence[int]) -> None:
        """`waiting` holds the jobs that wait in the first pool, the second, and so on, over and over."""
        per_pool = machines // _POOLS
        self.pools = {name: _pool(name, per_pool) for name in (f"pool-{number}" for number in range(_POOLS))}
        records = [_record(name, number) for name in self.pools for number in range(per_pool)]
        self.instances = {record.id: record for record in records}
        self.working = [record.id for record in records if record.phase is not Phase.WARM]
        self.listing = Listing(asked_at=NOW, machines=tuple(_remote(record) for record in records))
        self.demand = {
            name: _demand(waiting[number % len(waiting)], in_flight=per_pool * 7 // 10)
            for number, name in enumerate(self.pools)
        }
        self._states: dict[str, Mapping[str, State]] = {name: {} for name in self.pools}
        self._now = NOW

    def decide(self) -> None:
        """Sync all records; then decide, guard and plan for each pool."""
        self._now += 10.0
        synced = sync(
            self.instances, Evidence(now=self._now, fleet=FLEET, pools=self.pools, listings={"mock": self.listing})
        )
        grouped: dict[str, list[Instance]] = {}
        for record in (self.instances | {record.id: record for record in synced.changed}).values():
            grouped.setdefault(record.pool, []).append(record)
        busy = dict.fromkeys(self.working, 1)
        for name, pool in self.pools.items():
            snapshot = PoolSnapshot(
                pool=pool,
                demand=self.demand[name],
                instances=tuple(grouped[name]),
                busy=busy,
                offers={"mock-on-demand": _OFFERS},
                load=_LOAD,
                stoppable=frozenset({"mock"}),
            )
            _, _, self._states[name] = decide(_POLICIES, snapshot, self._states[name], self._now)


_OFFERS = tuple(build.offer(offer_id=f"o-{number}", usd_per_hour=0.7 + number / 1000) for number in range(20))


_TIERS = tuple(
    Tier(name=name, wait_target=target_s)
    for name, target_s in (("enterprise", 30.0), ("pro", 30.0), ("premium", 120.0), ("free", 300.0))
)
_LOAD = Load(
    tiers={tier.name: TierLoad(arrived=10_000, per_s=0.5, jobs=100.0, work_s=2000.0) for tier in _TIERS},
    seen_s=86400.0,
    until=NOW,
)


def _demand(waiting: int, *, in_flight: int) -> Demand:
    tiers = tuple(TierDemand(tier=tier.name, waiting=waiting, oldest_wait_s=60.0) for tier in _TIERS)
    return Demand(taken_at=NOW, tiers=tiers, in_flight=in_flight)


def _pool(name: str, machines: int) -> Pool:
    money = Cap(warn=1_000_000.0, stop=1_000_000.0)
    return build.pool(
        name=name, tiers=_TIERS, limits=Limits(hot=Span(1, 2 * machines), warm=Span(0, machines), usd_per_day=money)
    )


def _record(pool: str, number: int) -> Instance:
    phase = _PHASES[number % len(_PHASES)]
    return build.instance(
        phase,
        id=_token(pool, number),
        pool=pool,
        provider_id=f"m-{pool}-{number}",
        created_at=NOW - 3600.0 - number,
        gpu="RTX 4090",
        burn_usd_per_hour=0.02 if phase is Phase.WARM else 0.8,
    )


def _token(pool: str, number: int) -> str:
    """As ours are: letters and digits alone."""
    return f"{pool}x{number}".replace("-", "")


def _remote(record: Instance) -> Remote:
    return build.remote(
        _STATUS.get(record.phase, Status.RUNNING),
        provider_id=record.provider_id,
        label=make_label(FLEET, record.pool, record.id),
    )


class ListedProvider(MockProvider):
    """Lists a large fleet, which stays as it is, and has nothing to rent."""

    def __init__(self, fleet: LargeFleet) -> None:
        super().__init__("mock", MockSettings(stock=()), now=lambda: NOW, rng=seeded(1))
        self._listing = fleet.listing

    async def list_machines(self) -> Listing:
        return self._listing


class SteadyQueues:
    """The same demand on each tick."""

    def __init__(self, demand: Mapping[str, Demand]) -> None:
        self._demand = demand

    async def read(self, now: float) -> Mapping[str, Demand]:
        return self._demand


def core() -> Iterator[Figure]:
    """Sync, decide, guard and plan, over growing fleets."""
    per_machine_us: dict[int, float] = {}
    for machines in _SIZES:
        fleet = LargeFleet(machines, waiting=(0, 5, 10_000))
        times_ms = [_milliseconds(fleet.decide) for _ in range(_REPEATS)]
        per_machine_us[machines] = 1000.0 * statistics.median(times_ms) / machines
        what = f"sync, decide, plan: {_POOLS} pools, {machines:,} machines"
        yield Figure(what=f"{what}, slowest of {_REPEATS}", value=max(times_ms), unit="ms", target=_TARGET_MS)
        yield Figure(what=f"{what}, median per machine", value=per_machine_us[machines], unit="µs")
    smallest, largest = _SIZES[0], _SIZES[-1]
    growth = per_machine_us[largest] / per_machine_us[smallest]
    yield Figure(
        what=f"a machine among {largest:,} against one among {smallest:,}", value=growth, unit="×", target=_LINEAR
    )


def _milliseconds(work: Callable[[], None]) -> float:
    started = perf_counter()
    work()
    return 1000.0 * (perf_counter() - started)


def tick() -> Iterator[Figure]:
    """The whole loop over the largest fleet."""
    times_ms = asyncio.run(_ticks_ms(LargeFleet(_SIZES[-1], waiting=(5,))))
    what = f"whole tick, store in memory: {_POOLS} pools, {_SIZES[-1]:,} machines"
    yield Figure(what=f"{what}, slowest of {_REPEATS}", value=max(times_ms), unit="ms")
    yield Figure(what=f"{what}, median", value=statistics.median(times_ms), unit="ms")


async def _ticks_ms(fleet: LargeFleet) -> list[float]:
    clock = LoopClock(epoch=NOW)
    state = MemoryState(instances=dict(fleet.instances))
    loop = Loop(
        fleet=FLEET,
        pools=[PoolSetup(pool=pool, policies=_POLICIES) for pool in fleet.pools.values()],
        store=MemoryStore(state, "benchmark", clock),
        demand=SteadyQueues(fleet.demand),
        providers={"mock": ListedProvider(fleet)},
        probe=NoProbe(),
        clock=clock,
        entropy=Entropy(1),
        listener=Watcher(),
        wake=Wake(),
    )
    times_ms: list[float] = []
    for number in range(_REPEATS + 2):
        state.heartbeats = {name: Heartbeat(busy=1, stamp=str(number)) for name in fleet.working}
        started = perf_counter()
        await loop.tick()
        times_ms.append(1000.0 * (perf_counter() - started))
    await loop.stop()
    return times_ms[2:]  # the first loads all records, the second journals the first decisions
