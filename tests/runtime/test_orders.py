"""Operators' orders on a whole daemon: from the store to the machines, and what the journal tells of them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from autoscaler.core.journal import Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind
from autoscaler.core.spec import Placement
from autoscaler.store.memory import MemoryStore
from providers.mock import MockProvider
from tests.support.build import pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal

K = OrderKind
MINUTE = 60.0


async def up(world: Rehearsal, waiting: int = 0) -> Daemon:
    """A daemon whose machines for that many jobs are HOT."""
    world.queue.waiting = waiting
    daemon = world.daemon()
    await daemon.live(HOUR)
    return daemon


async def say(world: Rehearsal, kind: OrderKind, subject: str = "", **changes: Any) -> Order:
    """Give an order as the command line does: with another clock."""
    order = Order(kind=kind, subject=subject, by="ada", at=0.0, **changes)
    await MemoryStore(world.state, "operator", world.clock).give(order)
    return order


def ends(daemon: Daemon) -> list[str]:
    return daemon.texts(Kind.OPERATOR)


async def test_a_floor_is_dated_by_the_daemons_clock_and_over_by_it() -> None:
    world = Rehearsal(CALM)
    daemon = await up(world)
    order = await say(world, K.FLOOR, "images", count=3, for_s=2 * HOUR)
    await daemon.live(HOUR)
    assert daemon.count(Phase.HOT) == 3
    until = world.state.orders[order.name].until
    assert until is not None
    assert 0.0 < until - world.clock.now() <= HOUR + TICK_S
    await daemon.live(HOUR + TICK_S)
    assert not world.state.orders
    assert ends(daemon) == ["order is over: floor 3 images by ada, for 2h"]
    await daemon.stop()


async def test_an_order_stands_through_a_failover_and_goes_on_counting() -> None:
    world = Rehearsal(CALM)
    first = await up(world)
    order = await say(world, K.CEILING, count=0, for_s=2 * HOUR)
    await first.live(HOUR)
    until = world.state.orders[order.name].until
    await first.kill()
    second = world.daemon()
    await second.live(10 * MINUTE)
    assert world.state.orders[order.name].until == until
    assert second.report.orders.standing == (world.state.orders[order.name],)
    await second.stop()


async def test_a_daemon_that_stands_by_shows_what_is_ordered() -> None:
    world = Rehearsal(CALM)
    first = await up(world)
    order = await say(world, K.PAUSE)
    await first.live(MINUTE)
    second = world.daemon()
    await second.live(TICK_S)
    assert not second.report.leads
    assert second.report.orders.standing == (order,)
    await second.stop()
    await first.stop()


async def test_a_released_machine_is_drained_first_and_gone_then() -> None:
    world = Rehearsal(CALM)
    daemon = await up(world)
    [name] = daemon.phases()
    world.queue.busy[name] = 1
    await say(world, K.RELEASE, name)
    await daemon.live(MINUTE)
    assert daemon.phases()[name] is Phase.DRAINING
    assert world.state.orders
    world.queue.busy[name] = 0
    await daemon.live(5 * MINUTE)
    assert name not in daemon.phases()
    assert ends(daemon) == [f"order is fulfilled, the machine is gone: release {name} by ada"]
    assert not world.state.orders
    await daemon.stop()


async def test_a_release_that_may_lose_jobs_ends_a_machine_whose_worker_says_that_it_works() -> None:
    world = Rehearsal(CALM)
    daemon = await up(world)
    [name] = daemon.phases()
    world.queue.busy[name] = 1
    await say(world, K.RELEASE, name, lose_jobs=True)
    await daemon.live(5 * MINUTE)
    assert name not in world.rented().values()
    assert any("whatever runs on it" in text for text in daemon.texts(Kind.COMMAND))
    await daemon.stop()


async def test_what_serves_at_an_evacuated_provider_is_replaced_elsewhere_and_released() -> None:
    both = pool(
        placements=(Placement(provider="mock", max_usd_per_hour=1.0), Placement(provider="b", max_usd_per_hour=2.0))
    )
    world = Rehearsal(CALM, pools=[both])
    world.others.append(MockProvider("b", CALM, now=world.clock.now, rng=random.Random(2)))
    daemon = await up(world)
    [old] = daemon.phases()
    world.queue.busy[old] = 1
    await say(world, K.EVACUATE, "mock")
    await daemon.live(HOUR)
    assert daemon.phases()[old] is Phase.DRAINING
    assert daemon.count(Phase.HOT) == 1, "its replacement came first"
    world.queue.busy[old] = 0
    await daemon.live(10 * MINUTE)
    assert [daemon.report.instances[name].provider for name in daemon.phases()] == ["b"]
    assert any(
        "has nothing left to do and stands until it is withdrawn: evacuate mock" in text for text in ends(daemon)
    )
    assert world.state.orders
    await daemon.stop()


async def test_a_foreign_machine_is_adopted_by_order_and_one_that_is_not_there_is_not() -> None:
    world = Rehearsal(replace(CALM, foreign=("theirs", "left alone")))
    daemon = await up(world)
    theirs = next(name for name, machine in world.market.machines.items() if machine.label == "theirs")
    await say(world, K.ADOPT, f"mock/{theirs}", pool="images", why="rented by hand")
    await say(world, K.ADOPT, "mock/nothing", pool="images")
    await daemon.live(MINUTE)
    adopted = daemon.report.instances[f"mock-{theirs}"]
    assert (adopted.pool, adopted.provider_id, adopted.adopted) == ("images", theirs, True)
    assert "order cannot be carried out, mock lists no such machine: adopt mock/nothing by ada, into images" in ends(
        daemon
    )
    assert not world.state.orders
    assert len(world.rented()) == 1, "the label stays what it was"
    await daemon.stop()


async def test_a_pause_wins_over_a_release_that_is_under_way() -> None:
    world = Rehearsal(CALM)
    daemon = await up(world)
    [name] = daemon.phases()
    await say(world, K.PAUSE)
    await say(world, K.RELEASE, name, lose_jobs=True)
    await daemon.live(10 * MINUTE)
    assert daemon.phases() == {name: Phase.HOT}
    await daemon.stop()


async def test_a_machine_of_a_pool_that_is_gone_is_released_by_order_at_once() -> None:
    world = Rehearsal(CALM, pools=[pool(), pool(name="old")])
    world.queue.others["old"] = 0
    first = await up(world)
    [old] = [name for name, record in first.report.instances.items() if record.pool == "old"]
    await first.stop()
    world.pools, world.queue.busy = [pool()], {old: 0}
    second = world.daemon()
    await say(world, K.RELEASE, old, lose_jobs=True)
    await second.live(3 * MINUTE)
    assert old not in world.rented().values()
    await second.stop()
