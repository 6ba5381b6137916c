"""Daemons that come, go, pause, fail and change between the two ways to lead, in any order: what holds throughout."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis import Redis

from autoscaler.core.errors import LeaseLost
from autoscaler.core.unit import WHOLE, units_of
from autoscaler.link import RedisLink
from autoscaler.runtime.ports import Changes
from autoscaler.store.common import Common
from autoscaler.store.redis import RedisStore
from tests.support.ahead import AheadLoop
from tests.support.stores import FLEET, TTL_S, an_instance

POOLS = ("a", "b", "c")
TICK_S = 10.0
DAY = "2026-11-21"

T = TypeVar("T")


class Daemon:
    """The stores of one daemon, and what it holds for true of the pools it leads."""

    def __init__(self, url: str, owner: str, *, spread: bool) -> None:
        self.link = RedisLink(url)
        units = units_of(POOLS) if spread else [WHOLE]
        self.common = Common(self.link, FLEET, owner, TTL_S, units=len(units))
        self.owner, self.spread, self.paused = owner, spread, False
        self.units = {unit: RedisStore(self.link, FLEET, owner, TTL_S, unit=unit, common=self.common) for unit in units}
        self.books: dict[str, dict[str, float]] = {}
        """By unit, what was spent on each pool, while it leads."""

    async def led(self) -> list[str]:
        """The pools for which it may call a provider now."""
        return [pool for unit, store in self.units.items() if store.may_act() for pool in POOLS if unit.owns(pool)]


class Leases(RuleBasedStateMachine):
    """Three daemons and three pools on one Redis."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.redis: Any = Redis.from_url(url, decode_responses=True)
        self.redis.flushall()
        self.loop = AheadLoop()
        self.started = 0
        self.daemons: list[Daemon] = []
        self.generation = dict.fromkeys(POOLS, 0)
        """What was last written of each pool's machine, and how often its books were raised by a dollar."""
        self.fences: dict[str, tuple[int, str]] = {}

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        for daemon in self.daemons:
            self.do(daemon.link.close())
        self.loop.close()
        self.redis.close()

    def begin(self, *, spread: bool) -> Daemon:
        self.started += 1
        return Daemon(self.url, f"daemon-{self.started}", spread=spread)

    async def round(self, daemon: Daemon, *, failing: bool = False) -> None:
        for unit, store in daemon.units.items():
            if store.should_yield(failing=failing):
                daemon.books.pop(unit.name, None)
                await store.resign(stay=True)
        controls = await asyncio.gather(*(store.read() for store in daemon.units.values()))
        for (unit, store), control in zip(daemon.units.items(), controls, strict=True):
            if not control.leads:
                daemon.books.pop(unit.name, None)
            elif unit.name not in daemon.books:
                saved = await store.load()
                known = {record.pool: record.slots for record in saved.instances}
                spent = json.loads(saved.ledger.get(DAY, '{"pools": {}}'))["pools"]
                daemon.books[unit.name] = {pool: each["running_usd"] for pool, each in spent.items()}
                for pool in filter(unit.owns, POOLS):
                    assert known.get(pool, 0) == self.generation[pool], "whoever takes the lead knows the newest record"
                    assert daemon.books[unit.name].get(pool, 0.0) == self.generation[pool], "no budget begins anew"

    # --- what may happen ----------------------------------------------------------------------------------------------

    @initialize(spread=st.lists(st.booleans(), min_size=3, max_size=3))
    def start(self, spread: list[bool]) -> None:
        self.daemons = [self.begin(spread=each) for each in spread]

    @rule(number=st.integers(0, 2), failing=st.booleans())
    def tick(self, number: int, failing: bool) -> None:
        if not self.daemons[number].paused:
            self.do(self.round(self.daemons[number], failing=failing))

    @rule(seconds=st.sampled_from([1.0, TICK_S, TTL_S * 0.7, TTL_S]))
    def time_passes(self, seconds: float) -> None:
        self.loop.let_pass(seconds, self.redis)

    @rule(number=st.integers(0, 2), paused=st.booleans())
    def pause_or_wake(self, number: int, paused: bool) -> None:
        self.daemons[number].paused = paused

    @rule(number=st.integers(0, 2), spread=st.booleans(), killed=st.booleans())
    def restart(self, number: int, spread: bool, killed: bool) -> None:
        daemon = self.daemons[number]
        if not killed:
            for store in daemon.units.values():
                self.do(store.resign())
        self.do(daemon.link.close())
        self.daemons[number] = self.begin(spread=spread)

    @rule(number=st.integers(0, 2), pool=st.sampled_from(POOLS))
    def write(self, number: int, pool: str) -> None:
        daemon = self.daemons[number]
        unit, store = next((unit, store) for unit, store in daemon.units.items() if unit.owns(pool))
        books = daemon.books.get(unit.name)
        if books is None:
            return
        newest = self.generation[pool] + 1
        pools = {
            name: {"running_usd": usd, "stopped_usd": 0.0} for name, usd in (books | {pool: float(newest)}).items()
        }
        day = json.dumps({"day": 20778, "booked_from": 1.0, "booked_until": 2.0, "pools": pools})
        record = an_instance(f"machine-of-{pool}", slots=newest)
        changes = Changes(instances=(replace(record, pool=pool),), ledger={DAY: day})
        try:
            self.do(store.commit(changes))
        except LeaseLost:
            assert pool not in self.do(daemon.led())
            return
        books[pool] = float(newest)
        self.generation[pool] = newest

    @rule(spread=st.booleans(), living=st.integers(1, 3))
    def settle(self, spread: bool, living: int) -> None:
        """Some daemons are started anew in one way, one by one, and the others die: soon each pool is led again."""
        for number, daemon in enumerate(self.daemons):
            daemon.paused = number >= living
            if not daemon.paused and daemon.spread is not spread:
                self.restart(number, spread=spread, killed=False)
        at_work = self.daemons[:living]
        unled_s = dict.fromkeys(POOLS, 0.0)
        for _ in range(int(2 * TTL_S / TICK_S) + (len(POOLS) if spread else 0)):
            self.time_passes(TICK_S)
            for daemon in at_work:
                self.do(self.round(daemon))
                self.at_most_one_may_act_for_a_pool()
            led = [pool for daemon in at_work for pool in self.do(daemon.led())]
            unled_s = {pool: 0.0 if pool in led else unled_s[pool] + TICK_S for pool in POOLS}
            assert max(unled_s.values()) <= TTL_S + TICK_S, "a pool was led by nobody for too long"
        shares = [len(self.do(daemon.led())) for daemon in at_work]
        assert sum(shares) == len(POOLS), "each pool is led"
        assert not spread or max(shares) - min(shares) <= 1, f"shares are even: {shares}"

    # --- what holds throughout ----------------------------------------------------------------------------------------

    @invariant()
    def at_most_one_may_act_for_a_pool(self) -> None:
        led = [pool for daemon in self.daemons for pool in self.do(daemon.led())]
        assert len(led) == len(set(led)), f"two daemons may act for one pool: {led}"

    @invariant()
    def fences_rise_with_each_new_leader(self) -> None:
        for key in self.redis.keys("*lease"):
            owner, _, fence = self.redis.get(key).rpartition(":")
            if owner == "spread":
                continue
            before, by = self.fences.get(key, (0, owner))
            assert int(fence) > before or (int(fence), owner) == (before, by)
            self.fences[key] = int(fence), owner


def test_at_most_one_daemon_acts_for_a_pool_and_takes_over_all_that_is_known_of_it(redis_url: str) -> None:
    run_state_machine_as_test(
        partial(Leases, redis_url),  # type: ignore[arg-type]  # whatever makes one will do
        settings=settings(max_examples=40, stateful_step_count=25, deadline=None),
    )
