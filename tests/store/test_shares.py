"""Daemons whose files name different pools, as while a new file is rolled out: each pool that one of them knows is led.

Shares become even where files are alike, and nothing changes hands without end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis

from autoscaler.core.unit import units_of
from autoscaler.link import RedisLink
from autoscaler.store.common import Common
from autoscaler.store.redis import RedisStore
from tests.support.ahead import AheadLoop
from tests.support.stores import FLEET, TTL_S

POOLS = "abcdef"
TICK_S = 10.0
SETTLED = 24
"""Ticks after which nothing changes hands any more."""

File = Sequence[str]
FILES: st.SearchStrategy[list[File]] = st.lists(
    st.lists(st.sampled_from(POOLS), min_size=1, unique=True), min_size=2, max_size=4
)


class Daemon:
    """The stores of one daemon."""

    def __init__(self, url: str, owner: str, file: File) -> None:
        self.file = file
        self._link = RedisLink(url)
        common = Common(self._link, FLEET, owner, TTL_S, units=len(file))
        self._stores = {
            unit.name: RedisStore(self._link, FLEET, owner, TTL_S, unit=unit, common=common) for unit in units_of(file)
        }

    async def tick(self) -> None:
        for store in self._stores.values():
            if store.should_yield(failing=False):
                await store.resign(stay=True)
        await asyncio.gather(*(store.read() for store in self._stores.values()))

    async def led(self) -> set[str]:
        """The pools for which it may call a provider now."""
        return {pool for pool, store in self._stores.items() if store.may_act()}

    async def close(self) -> None:
        await self._link.close()


class Fleet:
    """Daemons that come and go, tick by tick."""

    def __init__(self, loop: AheadLoop, url: str, redis: Any) -> None:
        self.daemons: list[Daemon] = []
        self._loop, self._url, self._redis = loop, url, redis
        self._unled_s: dict[str, float] = {}

    def start(self, name: str, file: File) -> None:
        self.daemons.append(Daemon(self._url, name, file))

    def kill_the_first(self) -> None:
        self._loop.run_until_complete(self.daemons.pop(0).close())

    def tick(self) -> list[set[str]]:
        """All daemons tick; gives what each leads."""
        self._loop.let_pass(TICK_S, self._redis)
        for daemon in self.daemons:
            self._loop.run_until_complete(daemon.tick())
        shares = [self._loop.run_until_complete(daemon.led()) for daemon in self.daemons]
        led = [pool for share in shares for pool in share]
        assert len(led) == len(set(led)), f"a pool is led twice: {shares}"
        known = {pool for daemon in self.daemons for pool in daemon.file}
        self._unled_s = {pool: self._unled_s.get(pool, 0.0) + TICK_S for pool in known - set(led)}
        files = [daemon.file for daemon in self.daemons]
        assert max(self._unled_s.values(), default=0.0) <= TTL_S + TICK_S, f"nobody leads a pool: {shares} of {files}"
        return shares

    def settle(self) -> None:
        """Go on for a while, and see that all is led then and stays where it is."""
        for _ in range(SETTLED - 1):
            self.tick()
        shares = self.tick()
        assert set().union(*shares) == {pool for daemon in self.daemons for pool in daemon.file}
        assert [self.tick() for _ in range(6)] == [shares] * 6, "pools change hands without end"
        if len({frozenset(daemon.file) for daemon in self.daemons}) == 1:
            sizes = [len(share) for share in shares]
            assert max(sizes) - min(sizes) <= 1, f"shares are even: {shares}"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES, emptied=st.booleans())
@example(files=["ab", "ac"], emptied=False)  # the first would give back what the second cannot take
@example(files=["abc", "ab"], emptied=True)
@example(files=["abcdef"] * 4, emptied=False)
def test_each_pool_that_a_daemon_knows_is_led_soon_and_nothing_changes_hands_without_end(
    redis_url: str, files: list[File], *, emptied: bool
) -> None:
    loop = AheadLoop()
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        fleet = Fleet(loop, redis_url, redis)
        for number, file in enumerate(files):
            fleet.start(f"daemon-{number}", file)
            fleet.tick()
        fleet.settle()
        if emptied:
            redis.flushall()
        fleet.kill_the_first()
        fleet.settle()
        while fleet.daemons:
            fleet.kill_the_first()
    loop.close()
