"""Whatever is called, in whatever order: the meter is Σ price × time, and no machine is ever lost."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.errors import ProviderError
from autoscaler.core.market import Status
from providers.mock import Change, Fault, MockProvider, MockSettings, Series
from providers.mock.machine import Machine
from tests.support.market import ON_DEMAND, SPOT, Bench

RANDOM_FAULTS = [fault for fault in Fault if fault not in {Fault.HANGS, Fault.ANSWER_HANGS, Fault.BALANCE_SPENT}]
PRICED_AS = {
    Status.STARTING: "usd_per_hour",
    Status.RUNNING: "usd_per_hour",
    Status.FAILED: "usd_per_hour",
    Status.STOPPED: "disk_usd_per_hour",
    Status.QUEUED: "disk_usd_per_hour",
}
CALLS = st.sampled_from(["rent", "rent_spot", "resume", "stop", "release", "set_bid"])
STEPS = st.lists(st.tuples(CALLS, st.integers(0, 7), st.integers(0, 7200)), max_size=25)
CHANGES = st.lists(
    st.builds(
        Change,
        t_s=st.integers(0, 20_000).map(float),
        buy=st.sampled_from(["spot", "on_demand"]),
        usd_per_hour=st.sampled_from([None, 0.2, 0.7]),
        available=st.sampled_from([None, 0, 1, 3]),
    ),
    max_size=8,
)
FAULTS = st.dictionaries(st.sampled_from(RANDOM_FAULTS), st.sampled_from([0.0, 0.2, 0.8]), max_size=6)


class Books:
    """Books of its own: the price of each machine's state, from each moment at which a state may change to the next."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.usd: dict[str, float] = {}
        self.prices: dict[str, float] = {}

    def advance(self, seconds: float) -> None:
        market, end = self.bench.market, self.bench.now + seconds
        while self.bench.now < end:
            self.look()
            step = min(end, max(market.due, self.bench.now)) - self.bench.now
            for machine, price in self.prices.items():
                self.usd[machine] = self.usd.get(machine, 0.0) + price * step / 3600.0
            self.bench.now += step
            market.settle(self.bench.now)

    def look(self) -> None:
        self.bench.market.settle(self.bench.now)
        self.prices = {
            machine.id: getattr(machine, PRICED_AS[machine.status]) if machine.status in PRICED_AS else 0.0
            for machine in self.bench.market.machines.values()
        }


async def call(bench: Bench, what: str, which: int) -> str | None:
    """Make one call; the id of a machine that was given, if any."""
    known = [*bench.market.machines, *bench.market.released, "nobody"]
    machine = known[which % len(known)]
    try:
        match what:
            case "rent":
                return await bench.rent(ON_DEMAND)
            case "rent_spot":
                return await bench.rent(SPOT)
            case "set_bid":
                await bench.provider.set_bid(machine, 0.05 + which / 10)
            case _:
                await getattr(bench.provider, what)(machine)
    except (ProviderError, IndexError):  # IndexError: nothing was on offer
        pass
    return None


@settings(max_examples=150)
@given(steps=STEPS, faults=FAULTS, seed=st.integers(0, 2**16), balance=st.sampled_from([None, 3.0]))
def test_the_meter_is_price_times_time_and_no_machine_is_lost(
    steps: list[tuple[str, int, int]], faults: dict[Fault, float], seed: int, balance: float | None
) -> None:
    bench = Bench(replace(MockSettings(faults=faults), balance_usd=balance, foreign=("notebook",)), seed=seed)
    books = Books(bench)

    async def play() -> None:
        for what, which, pause in steps:
            made = bench.market.rented
            given_id = await call(bench, what, which)
            assert bench.market.rented - made in ((1,) if given_id else (0, 1))
            books.advance(pause)

    asyncio.run(play())
    billed = bench.market.billed_usd(bench.now)
    known = {f"m{number}" for number in range(1, bench.market.rented + 1)} | ({"foreign-1"} if steps else set())
    assert set(billed) - {"foreign-1"} == known - {"foreign-1"}
    assert not set(bench.market.machines) & set(bench.market.released)
    for machine, usd in billed.items():
        assert abs(usd - books.usd.get(machine, 0.0)) < 1e-9


@settings(max_examples=150)
@given(steps=STEPS, faults=FAULTS, seed=st.integers(0, 2**16), balance=st.sampled_from([None, 3.0]), changes=CHANGES)
def test_the_metered_intervals_follow_one_another_and_add_up_to_the_bill(
    steps: list[tuple[str, int, int]],
    faults: dict[Fault, float],
    seed: int,
    balance: float | None,
    changes: list[Change],
) -> None:
    bench = Bench(replace(MockSettings(faults=faults), balance_usd=balance, foreign=("notebook",)), seed=seed)
    recorded = Series(gpu="RTX 4090", changes=tuple(sorted(changes, key=lambda change: change.t_s)))
    bench.provider = MockProvider(
        "mock", bench.market.settings, now=lambda: bench.now, rng=random.Random(seed), series=(recorded,)
    )
    market = bench.market
    intervals: dict[str, list[tuple[float, float, float]]] = {}

    def note(machine: Machine, start: float, end: float) -> None:
        intervals.setdefault(machine.id, []).append((start, end, machine.burn_usd_per_hour))
        if machine.status in PRICED_AS:
            assert machine.burn_usd_per_hour == getattr(machine, PRICED_AS[machine.status])

    async def play() -> None:
        for what, which, pause in steps:
            await call(bench, what, which)
            bench.now += pause

    market.metered = note
    asyncio.run(play())
    market.close_meters(bench.now)
    market.close_meters(bench.now)
    for machine, usd in market.billed_usd(bench.now).items():
        metered = intervals.get(machine, [])
        assert all(start < end for start, end, _ in metered)
        assert all(earlier[1] == later[0] for earlier, later in pairwise(metered))
        if machine in market.machines and metered:
            assert (metered[0][0], metered[-1][1]) == (market.machines[machine].created_at, market.clock)
        assert abs(sum((end - start) / 3600.0 * price for start, end, price in metered) - usd) < 1e-9


@settings(max_examples=60)
@given(steps=STEPS, faults=FAULTS, seed=st.integers(0, 2**16))
def test_hosts_never_run_more_machines_than_they_have_gpus(
    steps: list[tuple[str, int, int]], faults: dict[Fault, float], seed: int
) -> None:
    bench = Bench(MockSettings(faults=faults), seed=seed)

    async def play() -> None:
        for what, which, pause in steps:
            await call(bench, what, which)
            bench.now += pause
            bench.market.settle(bench.now)
            for host in bench.market.hosts.values():
                held = [m for m in bench.market.machines.values() if m.host == host.id and m.holds_gpu]
                assert len(held) <= host.stock.gpus_per_host

    asyncio.run(play())
