"""What a daemon may conclude of its lease."""

from __future__ import annotations

import asyncio
import time

import pytest

from autoscaler.runtime.clock import SteadyLoop
from autoscaler.store.lease import SAFE_SHARE, Lead
from tests.support.ahead import AheadLoop
from tests.support.stores import TTL_S, MemoryBackend, RedisBackend


def test_the_lease_is_certain_from_its_asking_until_the_margin() -> None:
    lead = Lead(30.0)
    lead.answered(1, taken=True, asked_at=100.0)
    assert lead.certain(100.0 + 30.0 * SAFE_SHARE - 0.001)
    assert not lead.certain(100.0 + 30.0 * SAFE_SHARE)


@pytest.mark.parametrize(
    ("held", "fence", "taken", "leads"),
    [
        (None, 1, True, True),
        (None, None, False, False),
        (4, 4, False, True),
        (4, 5, True, True),  # it had expired, and nobody took it
        (4, 6, True, False),  # another led in between
        (4, 5, False, False),  # the answer to a renewal was lost; perhaps another led before it
        (4, None, False, False),
        (1, 1, True, False),  # the store was emptied and counts anew
    ],
)
def test_who_leads_follows_from_the_fence_numbers(
    held: int | None, fence: int | None, taken: bool, leads: bool
) -> None:
    lead = Lead(30.0)
    if held is not None:
        lead.answered(held, taken=True, asked_at=0.0)
    assert lead.answered(fence, taken=taken, asked_at=1.0) is leads
    assert lead.certain(2.0) is leads
    assert lead.fence == (fence if leads else None)


async def test_an_emptied_store_is_left_to_whoever_led_as_he_alone_knows_what_was_spent(
    redis_backend: RedisBackend,
) -> None:
    leader, follower = redis_backend.open("a"), redis_backend.open("b")
    assert [(await store.read()).leads for store in (leader, follower)] == [True, False]
    await redis_backend.client.flushall()
    assert not (await follower.read()).leads
    await leader.read()  # takes it, and learns that what it knows is to be loaded anew
    assert [(await store.read()).leads for store in (follower, leader)] == [False, True]


def test_an_emptied_store_whose_leader_is_dead_is_led_after_the_time_of_a_lease() -> None:
    follower = Lead(30.0)
    follower.heard("a", asked_at=0.0)
    for nobody_at in (10.0, 20.0):
        follower.heard("", asked_at=nobody_at)
    assert follower.leaves_to_former(39.9)
    assert not follower.leaves_to_former(40.0)
    assert not Lead(30.0).leaves_to_former(0.0), "a fleet that is new is led at once"


async def test_a_daemon_in_memory_that_slept_may_not_act() -> None:
    backend = MemoryBackend()
    store = backend.open("a")
    await store.read()
    backend.clock.time += TTL_S * SAFE_SHARE
    assert not store.may_act()


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no such clock")
def test_the_time_of_leases_goes_on_while_the_computer_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, suspended_s = SteadyLoop(), {time.CLOCK_MONOTONIC: 0.0, time.CLOCK_BOOTTIME: 3600.0}
    before = loop.time()
    read = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: read(clock) + suspended_s[clock])
    assert loop.time() >= before + 3600.0
    loop.close()


def test_a_process_that_was_stopped_may_not_act_when_it_wakes(redis_url: str) -> None:
    loop = AheadLoop()

    async def sleep_through_the_lease() -> None:
        backend = RedisBackend(redis_url)
        store = backend.open("a")
        await store.read()
        assert store.may_act()
        loop.ahead_s += TTL_S * SAFE_SHARE
        assert not store.may_act()
        await store.read()
        assert store.may_act()
        await backend.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(sleep_through_the_lease())
