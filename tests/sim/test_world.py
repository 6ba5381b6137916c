"""The world's books against the markets' own bills, and who is to blame for a job that was cut off."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.core.instance import make_label
from autoscaler.core.spec import Placement, Tier
from autoscaler.core.units import DurationRange
from autoscaler.runtime.clock import LoopClock
from autoscaler.runtime.ports import Changes
from autoscaler.sim.baselines.base import NOTHING, Orders, PeerView
from autoscaler.sim.floor import Floor
from autoscaler.sim.workload import Job
from autoscaler.sim.world import World
from autoscaler.store.memory import MemoryState
from providers.mock import MockSettings
from providers.mock.faults import Fault
from providers.mock.scenario import Step
from tests.support.build import FLEET, NOW, instance, pool
from tests.support.peer_world import CALM, Scripted, jobs_at, market, play
from tests.support.scenarios import FAULTS

HOUR = 3600.0
SPOT = pool(placements=(Placement(provider="mock", buy="spot", max_usd_per_hour=1.0),))


def once(orders: Callable[[PeerView], Orders], at_s: float) -> Callable[[PeerView], Orders]:
    """Rent one machine at the start, and give these orders once at a time."""
    given_orders = {0.0: lambda _: Orders(rent=1), at_s: orders}

    def step(view: PeerView) -> Orders:
        due = [at for at in given_orders if at <= view.now + 1e-3]
        return given_orders.pop(due[0])(view) if due else NOTHING

    return step


def oldest(view: PeerView) -> tuple[str, ...]:
    return (view.machines[0].id,)


def billed_usd(world: World) -> float:
    """What the markets say they billed for all machines, ours and others'."""
    return math.fsum(
        usd
        for provider in world.providers.values()
        for usd in provider.market.billed_usd(provider.market.clock).values()
    )


MOVES = st.lists(st.sampled_from(["rent", "end", "suspend", "resume", "", "", ""]), min_size=20, max_size=60)


@settings(max_examples=80)
@given(
    moves=MOVES,
    faults=st.dictionaries(st.sampled_from(FAULTS), st.sampled_from([0.1, 0.5, 1.0]), max_size=4),
    seed=st.integers(0, 100),
)
def test_the_phases_add_up_to_what_the_market_billed(moves: list[str], faults: dict[Fault, float], seed: int) -> None:
    coming = iter(moves)

    def step(view: PeerView) -> Orders:
        move = next(coming, "")
        up = tuple(machine.id for machine in view.machines if machine.ready_at is not None)[:1]
        stopped = tuple(machine.id for machine in view.machines if machine.suspended)[:1]
        if move == "rent":
            return Orders(rent=1)
        if move == "end":
            return Orders(end=tuple(machine.id for machine in view.machines)[:1])
        return Orders(suspend=up) if move == "suspend" else Orders(resume=stopped if move == "resume" else ())

    settings_of = MockSettings(
        setup=DurationRange(60.0, 300.0),
        resume=DurationRange(20.0, 60.0),
        let_to_others=DurationRange(60.0, 600.0),
        faults=faults,
    )
    jobs = jobs_at(*(60.0 * n for n in range(60)), service_s=77.0)
    world = play(
        Scripted(step, every_s=73.0), jobs, until_s=3 * HOUR, pool=SPOT, providers={"mock": settings_of}, seed=seed
    )
    rows = world.phases
    # The books round each time to the millisecond and each price to the millionth of a dollar.
    within = len(rows) * (0.001 * 1.3 / HOUR + 0.5e-6 * 3)
    assert math.fsum(row.usd for row in rows) == pytest.approx(billed_usd(world), abs=max(1e-12, within))


def test_a_job_that_the_market_cut_off_is_not_ours_to_answer_for() -> None:
    outbid = market(scenario=(Step(fault=Fault.OUTBID, at=100.0),))
    peer = Scripted(lambda view: Orders(rent=1 - len(view.machines)))
    world = play(peer, jobs_at(90.0), until_s=HOUR, pool=SPOT, providers={"mock": outbid})
    assert (world.interruptions, world.interrupted, world.killed) == (1, 1, 0)


def test_a_job_that_an_order_cut_off_is_killed_and_no_interruption() -> None:
    peer = Scripted(once(lambda view: Orders(end=oldest(view)), 100.0), grace_s=0.0)
    world = play(peer, jobs_at(90.0), until_s=HOUR)
    assert (world.interruptions, world.interrupted, world.killed) == (0, 0, 1)


def test_an_order_that_the_provider_ignores_kills_nothing_until_it_is_obeyed() -> None:
    deaf = market(faults=CALM | {Fault.RELEASE_IGNORED: 1.0})
    peer = Scripted(once(lambda view: Orders(end=oldest(view)), 100.0), grace_s=0.0)
    world = play(peer, jobs_at(90.0, service_s=60.0), until_s=HOUR, providers={"mock": deaf})
    assert world.killed == 0
    assert world.floors["images"].log.finished_s[0] == pytest.approx(150.0)


async def test_workers_heed_the_tier_that_their_machine_is_set_apart_for() -> None:
    asked = pool(tiers=(Tier(name="enterprise", reserve=1), Tier(name="free")))
    floor = Floor(asked, iter([Job(1.0, 1, 30.0, None), Job(2.0, 0, 30.0, None)]), order="priority", model_load_s=0.0)
    world = World(
        fleet=FLEET, floors={"images": floor}, providers={"mock": market()}, clock=LoopClock(epoch=NOW), seed=1
    )
    floor.man("a", slots=1)
    store = world.store("daemon-1", MemoryState())
    await store.read()
    await store.commit(Changes(instances=(instance(id="a", tier="enterprise"),)))
    floor.advance(5.0)
    assert list(floor.log.started_s) == pytest.approx([math.nan, 2.0], nan_ok=True)
    await store.commit(Changes(instances=(instance(id="a"),)))
    floor.advance(50.0)
    assert floor.log.started_s[0] == 32.0


def test_the_books_name_each_phase_a_machine_was_truly_in() -> None:
    peer = Scripted(once(lambda view: Orders(suspend=oldest(view)), 100.0))
    world = play(peer, until_s=200.0)
    assert [(row.phase, row.from_s, row.to_s) for row in world.phases] == [
        ("booting", 0.0, 60.0),
        ("hot", 60.0, 105.0),
        ("warm", 105.0, 200.0),
    ]
    assert {row.placement for row in world.phases} == {"mock-on-demand"}


def test_machines_of_others_and_of_pools_that_are_not_played_are_left_alone() -> None:
    labels = ("somebody-else", make_label(FLEET, "gone", "aaaa"))
    peer = Scripted(lambda view: Orders(rent=1 - len(view.machines)))
    world = play(peer, jobs_at(90.0), until_s=HOUR, providers={"mock": market(foreign=labels)})
    assert not math.isnan(world.floors["images"].log.finished_s[0])
    assert world.epoch == NOW
