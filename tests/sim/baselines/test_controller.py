"""What a peer sees of the simulated world, and what becomes of its orders."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from autoscaler.core.instance import parse_label
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.core.units import DurationRange
from autoscaler.sim.baselines import BASELINES
from autoscaler.sim.baselines.base import NOTHING, Orders, PeerView
from autoscaler.sim.world import World
from providers.mock.faults import Fault, Operation
from providers.mock.scenario import Step
from providers.mock.settings import Stock
from tests.support.build import FLEET, pool
from tests.support.peer_world import CALM, RESUME_S, SETUP_S, STOP_S, Scripted, jobs_at, market, play
from tests.support.peers import peer

Script = Callable[[PeerView], Orders]


def script(at: dict[float, Script]) -> Script:
    """Each order at the first look from its time on."""
    left = dict(sorted(at.items()))

    def step(view: PeerView) -> Orders:
        for time_s in list(left):
            if view.now >= time_s - 1e-3:
                return left.pop(time_s)(view)
        return NOTHING

    return step


def rent(count: int = 1) -> Script:
    return lambda _: Orders(rent=count)


def end_first(view: PeerView) -> Orders:
    return Orders(end=(view.machines[0].id,))


def suspend_first(view: PeerView) -> Orders:
    return Orders(suspend=(view.machines[0].id,))


def resume_first(view: PeerView) -> Orders:
    return Orders(resume=(view.machines[0].id,))


def hours(world: World, phase: str) -> float:
    return math.fsum(row.to_s - row.from_s for row in world.phases if row.phase == phase)


def test_it_sees_machines_boot_come_up_work_and_idle() -> None:
    looker = Scripted(script({10.0: rent()}))
    play(looker, jobs_at(100.0), until_s=200.0)

    boots, up, works, idles = (looker.at(at).machines[0] for at in (11.0, 80.0, 101.0, 140.0))
    assert (boots.created_at, boots.ready_at, boots.busy, boots.idle_since) == (10.0, None, 0, None)
    assert up.ready_at == up.idle_since == pytest.approx(10.0 + SETUP_S)
    assert (works.busy, works.idle_since) == (1, None)
    assert idles.busy == 0
    assert idles.idle_since == pytest.approx(130.0)


def test_it_sees_what_waits_what_runs_and_what_came() -> None:
    came: list[int] = []

    def count(view: PeerView) -> Orders:
        came.extend(view.arrived(seconds) for seconds in (4.0, 10.0, 36.0, 1000.0))
        return NOTHING

    looker = Scripted(script({0.0: rent(), 55.0: count}))
    play(looker, jobs_at(10.0, 20.0, 50.0), until_s=100.0)

    before, after = looker.at(55.0), looker.at(70.0)
    assert (before.waiting, before.running, round(before.oldest_wait_s, 3)) == (3, 0, 45.0)
    assert (after.waiting, after.running, round(after.oldest_wait_s, 3)) == (2, 1, 50.0)
    assert looker.at(99.0).waiting == 1
    assert (before.slots, before.mean_service_s) == (1, 30.0)
    assert came == [0, 1, 2, 3]


def test_while_nothing_changes_it_is_shown_the_very_same_machines() -> None:
    looker = Scripted(script({0.0: rent(2)}))
    play(looker, until_s=100.0)

    assert looker.at(10.0).machines is looker.at(50.0).machines
    assert looker.at(70.0).machines is looker.at(90.0).machines


def test_it_looks_as_often_as_the_peer_does() -> None:
    looker = Scripted(lambda _: NOTHING, every_s=7.0)
    play(looker, until_s=100.0)

    assert [view.now for view in looker.views] == pytest.approx([7.0 * n for n in range(15)])


def test_it_rents_the_cheapest_offer_of_the_first_placement_that_has_one() -> None:
    stock = (
        Stock(gpu="RTX 4090", region="US", on_demand=0.5, spot=0.3, hosts=1, gpus_per_host=1),
        Stock(gpu="RTX 3090", region="US", on_demand=0.2, spot=0.1, hosts=5),
    )
    placements = (
        Placement(provider="mock", max_usd_per_hour=1.0, gpus=("RTX 4090",)),
        Placement(provider="mock", max_usd_per_hour=1.0, gpus=("RTX 3090",), name="second"),
    )
    images = pool(machine=MachineSpec(image="w", gpus=("RTX 4090", "RTX 3090")), placements=placements)

    world = play(Scripted(script({0.0: rent(3)})), until_s=100.0, pool=images, providers={"mock": market(stock=stock)})

    machines = list(world.providers["mock"].market.machines.values())
    assert [machine.gpu for machine in machines] == ["RTX 4090", "RTX 3090", "RTX 3090"]
    assert {row.placement for row in world.phases} == {"mock-on-demand", "second"}
    assert all(parse_label(machine.label, FLEET) is not None for machine in machines)


def test_a_refused_rent_is_not_tried_again_before_the_peer_asks() -> None:
    stock = (Stock(gpu="RTX 4090", region="US", on_demand=0.5, spot=0.3, hosts=1, gpus_per_host=1),)
    looker = Scripted(script({0.0: rent(3)}))

    world = play(looker, until_s=600.0, providers={"mock": market(stock=stock)})

    assert len(world.providers["mock"].market.machines) == 1


def test_an_idle_machine_told_to_end_is_given_back_at_once() -> None:
    world = play(Scripted(script({0.0: rent(), 100.0: end_first})), until_s=200.0)

    assert world.phases[-1].to_s == pytest.approx(100.0)
    assert not world.providers["mock"].market.machines


def test_a_machine_told_to_end_finishes_its_job_within_the_grace_and_pulls_no_more() -> None:
    looker = Scripted(script({0.0: rent(), 70.0: end_first}), every_s=10.0, grace_s=30.0)
    world = play(looker, jobs_at(50.0, 51.0, service_s=25.0), until_s=200.0)

    log = world.floors["images"].log
    assert log.finished_s[0] == pytest.approx(85.0)
    assert math.isnan(log.started_s[1])
    assert world.phases[-1].to_s == pytest.approx(85.0, abs=1.0)
    assert world.providers["mock"].killed == 0
    assert looker.at(80.0).machines == ()


def test_work_left_when_the_grace_is_over_is_killed_counted_and_goes_back_to_the_head_of_its_queue() -> None:
    looker = Scripted(script({0.0: rent(2), 70.0: end_first}), every_s=10.0, grace_s=30.0)
    world = play(looker, jobs_at(50.0, 51.0, 52.0, service_s=50.0), until_s=300.0)

    log = world.floors["images"].log
    assert world.providers["mock"].killed == 1
    assert world.killed == 1
    cut, spared = (0, 1) if log.started_s[0] > 60.0 else (1, 0)
    assert log.started_s[spared] == pytest.approx(SETUP_S)
    assert log.started_s[cut] == pytest.approx(SETUP_S + 50.0), "before the job that has never started"
    assert log.started_s[2] == pytest.approx(SETUP_S + 100.0)
    assert world.interruptions == 0


def test_a_peer_that_kills_no_work_waits_for_the_end_of_a_job() -> None:
    looker = Scripted(script({0.0: rent(), 70.0: end_first}), grace_s=math.inf)
    world = play(looker, jobs_at(50.0, service_s=3600.0), until_s=5000.0)

    assert world.providers["mock"].killed == 0
    assert world.phases[-1].to_s == pytest.approx(SETUP_S + 3600.0, abs=1.0)


def test_a_suspended_machine_is_stopped_billed_for_its_disk_and_comes_back() -> None:
    looker = Scripted(script({0.0: rent(), 100.0: suspend_first, 200.0: resume_first}))
    world = play(looker, jobs_at(150.0), until_s=300.0)

    slept, woke = looker.at(150.0).machines[0], looker.at(250.0).machines[0]
    assert slept.suspended
    assert slept.ready_at is None
    assert woke.ready_at == pytest.approx(200.0 + RESUME_S)
    assert hours(world, "warm") == pytest.approx(100.0 - STOP_S)
    assert world.floors["images"].log.started_s[0] == pytest.approx(200.0 + RESUME_S)


def test_a_stop_that_is_ignored_is_ordered_again() -> None:
    ignored = Step(fault=Fault.STOP_IGNORED, call=Operation.STOP, nth=1)
    looker = Scripted(script({0.0: rent(), 100.0: suspend_first}))
    world = play(looker, until_s=200.0, providers={"mock": market(scenario=(ignored,))})

    assert hours(world, "warm") == pytest.approx(100.0 - STOP_S, abs=2.0)


def test_a_resume_that_is_refused_leaves_the_machine_suspended() -> None:
    refusing = market(faults=CALM | {Fault.RESUME_REFUSED: 1.0})
    looker = Scripted(script({0.0: rent(), 100.0: suspend_first, 200.0: resume_first}))
    world = play(looker, until_s=300.0, providers={"mock": refusing})

    assert looker.at(250.0).machines[0].suspended
    assert world.providers["mock"].refused_resumes == 1


def test_a_machine_that_was_outbid_is_given_back_and_no_longer_seen() -> None:
    outbid = market(scenario=(Step(fault=Fault.OUTBID, at=100.0),))
    spot = pool(placements=(Placement(provider="mock", max_usd_per_hour=1.0, buy="spot"),))
    looker = Scripted(script({0.0: rent()}))
    world = play(looker, until_s=300.0, pool=spot, providers={"mock": outbid})

    assert looker.at(102.0).machines == ()
    assert not world.providers["mock"].market.machines
    assert world.interruptions == 1


@pytest.mark.parametrize("fault", [Fault.PARTIAL_LAUNCH, Fault.CRASH_LOOP, Fault.ZERO_GPU, Fault.REFUSED_YET_MADE])
def test_nothing_that_cannot_work_stays_rented(fault: Fault) -> None:
    looker = Scripted(script({0.0: rent()}))
    world = play(looker, until_s=300.0, providers={"mock": market(faults=CALM | {fault: 1.0})})

    assert all(machine.serves for machine in world.providers["mock"].market.machines.values())


def test_a_machine_that_does_not_come_up_is_given_back_at_the_boot_deadline() -> None:
    hangs = market(faults=CALM | {Fault.BOOT_HANGS: 1.0})
    looker = Scripted(script({0.0: rent()}))
    world = play(looker, until_s=300.0, providers={"mock": hangs}, boot_deadline_s=120.0)

    assert len(looker.at(119.0).machines) == 1
    assert looker.at(120.0).machines == ()
    assert world.phases[-1].to_s == pytest.approx(120.0)


def test_a_provider_that_does_not_answer_holds_the_peer_up_for_half_a_minute() -> None:
    silent = market(scenario=(Step(fault=Fault.HANGS, call=Operation.RENT, nth=1),))
    looker = Scripted(lambda view: Orders(rent=1 - len(view.machines)))
    world = play(looker, until_s=300.0, providers={"mock": silent})

    assert world.phases[0].from_s == pytest.approx(30.0, abs=1.0)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_every_peer_serves_a_busy_hour_and_those_that_wait_for_jobs_kill_none(name: str) -> None:
    baseline = BASELINES[name]
    images = pool()
    looker = peer(name, images.limits.hot)
    arrivals = [60.0 + 20.0 * n for n in range(180)]
    settings = market(setup=DurationRange(60.0, 180.0))

    world = play(
        looker,
        jobs_at(*arrivals, service_s=40.0),
        until_s=4 * 3600.0,
        pool=images,
        providers={"mock": settings},
        boot_deadline_s=baseline.boot_deadline_s,
        mean_service_s=40.0,
    )

    log = world.floors["images"].log
    assert not any(math.isnan(finished) for finished in log.finished_s)
    provider = world.providers["mock"]
    assert (world.interrupted, world.killed) == (0, provider.killed)
    assert provider.killed == 0 or looker.grace_s < math.inf
