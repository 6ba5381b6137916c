"""Workers are heard when the provider's listing does not show their machines."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.core.lifecycle import Phase
from autoscaler.runtime.ports import Heartbeat
from providers.mock import Fault, Step
from tests.support.market import CALM
from tests.support.rehearsal import HOUR, Rehearsal


async def test_a_machine_that_works_is_not_ended_because_listings_leave_it_out() -> None:
    halves = Step(fault=Fault.LISTS_HALF, at=HOUR, until=3 * HOUR)
    world = Rehearsal(replace(CALM, scenario=(halves,)))
    daemon = world.daemon()
    await daemon.live(HOUR)
    [name] = daemon.phases()

    for beat in range(120):
        world.state.heartbeats[name] = Heartbeat(busy=1, stamp=str(beat))
        await daemon.live(60)

    assert daemon.phases() == {name: Phase.HOT}
    assert len(world.rented()) == 1
