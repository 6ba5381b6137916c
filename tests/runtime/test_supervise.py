from __future__ import annotations

import asyncio

import pytest

from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.supervise import Supervisor, Wake, in_half_a_tick
from tests.support.build import NOW


def clock() -> LoopClock:
    made = LoopClock(epoch=NOW)
    made.now()
    return made


async def test_a_wait_ends_when_its_time_is_over_or_when_woken() -> None:
    time, wake = clock(), Wake()
    await wake.wait(time, 10.0)
    assert time.now() == NOW + 10.0

    wake.set()
    await wake.wait(time, 10.0)
    assert time.now() == NOW + 10.0, "a call that came before the wait ends it, too"

    await wake.wait(time, 10.0)
    assert time.now() == NOW + 20.0, "and only one wait"


async def test_however_early_a_wait_is_woken_it_lasts_its_least_and_takes_all_that_woke_it_by_then() -> None:
    time, wake = clock(), Wake()
    asyncio.get_running_loop().call_later(0.2, wake.set)
    asyncio.get_running_loop().call_later(0.5, wake.set)
    await wake.wait(time, 10.0, least_s=1.0)
    assert time.now() == NOW + 1.0

    await wake.wait(time, 10.0, least_s=1.0)
    assert time.now() == NOW + 11.0


async def test_the_first_task_that_fails_ends_the_daemon_with_its_error() -> None:
    supervisor, time = Supervisor(), clock()

    async def breaks() -> None:
        await time.sleep(5.0)
        raise ValueError("broken")

    supervisor.start("healthy", time.sleep(1e6))
    supervisor.start("broken", breaks())
    with pytest.raises(ValueError, match="broken"):
        await supervisor.until(asyncio.Event())
    await supervisor.cancel()
    assert time.now() == NOW + 5.0


async def test_a_task_that_ends_although_it_should_not_is_an_error_that_names_it() -> None:
    supervisor = Supervisor()
    supervisor.start("watcher", clock().sleep(1.0))

    with pytest.raises(RuntimeError, match="watcher"):
        await supervisor.until(asyncio.Event())


async def test_a_stop_ends_the_watch_without_an_error() -> None:
    supervisor, stop = Supervisor(), asyncio.Event()
    supervisor.start("healthy", clock().sleep(1e6))
    asyncio.get_running_loop().call_later(3.0, stop.set)

    await supervisor.until(stop)
    await supervisor.cancel()
    assert len(asyncio.all_tasks()) == 1


async def test_what_is_cancelled_before_it_begins_asks_the_store_nothing() -> None:
    asked = []

    async def store() -> None:
        asked.append("control")

    begun = asyncio.create_task(in_half_a_tick(store, clock(), 10.0))
    begun.cancel()
    await asyncio.wait([begun])
    assert asked == []
    await in_half_a_tick(store, clock(), 10.0)
    assert asked == ["control"]


async def test_a_fast_clock_counts_the_loops_time_many_times_over() -> None:
    loop, fast = asyncio.get_running_loop(), LoopClock(epoch=NOW, speed=60.0)
    began, loop_began = fast.now(), loop.time()

    await fast.sleep(120.0)

    assert fast.now() - began == pytest.approx(120.0)
    assert loop.time() - loop_began == pytest.approx(2.0)
    with pytest.raises(TimeoutError):
        async with fast.timeout(60.0):
            await asyncio.Event().wait()
    assert loop.time() - loop_began == pytest.approx(3.0)
