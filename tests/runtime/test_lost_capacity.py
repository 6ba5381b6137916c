"""Machines that go unasked while they serve, through the whole daemon on virtual time."""

from __future__ import annotations

import re

import pytest

from autoscaler.core.journal import Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Limits
from autoscaler.core.units import Span
from autoscaler.runtime.ports import Heartbeat
from tests.support.build import pool
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, TICK_S, Daemon, Rehearsal

ONE = pool(limits=Limits(hot=Span(1, 1), warm=Span(0, 1)))


async def serving(world: Rehearsal, busy: int | None) -> tuple[Daemon, str]:
    """A daemon whose only machine serves, and what its worker last said."""
    daemon = world.daemon()
    await daemon.live(HOUR)
    [(name, phase)] = daemon.phases().items()
    assert phase is Phase.HOT
    if busy is not None:
        world.state.heartbeats[name] = Heartbeat(busy=busy, stamp="1")
    await daemon.live(2 * TICK_S)
    return daemon, name


@pytest.mark.parametrize(
    ("busy", "held"),
    [
        (1, "1 of its 1 slots held a job"),
        (0, "0 of its 1 slots held a job"),
    ],
)
async def test_a_machine_that_its_host_stops_is_booked_with_what_it_held_and_cost(busy: int | None, held: str) -> None:
    world = Rehearsal(CALM, pools=[ONE])
    daemon, name = await serving(world, busy)
    [provider_id] = world.rented()
    world.market.stop(world.clock.now(), provider_id)
    await daemon.live(60.0)
    [text] = daemon.texts(Kind.LOSS)
    assert re.fullmatch(
        rf"{name} went while it was hot \(interrupted .+\): {held}; hot for \d+m( \d+s)? at 0\.\d+ USD/h, 0\.\d\d USD",
        text,
    ), text
    await daemon.stop()


async def test_a_machine_that_was_told_to_drain_and_to_stop_is_no_loss() -> None:
    world = Rehearsal(CALM, pools=[pool(limits=Limits(hot=Span(0, 2), warm=Span(0, 1)))])
    daemon, name = await serving(world, 0)
    await daemon.stop()
    world.pools = [pool(limits=Limits(hot=Span(0, 0), warm=Span(0, 1)))]
    daemon = world.daemon()
    for beat in range(60):
        drained = daemon.watcher.report is not None and daemon.phases().get(name) is Phase.DRAINING
        world.state.heartbeats[name] = Heartbeat(busy=0, drained=drained, stamp=f"again {beat}")
        await daemon.live(60.0)
    assert daemon.phases() == {name: Phase.WARM}
    assert daemon.texts(Kind.LOSS) == []
    await daemon.stop()
