from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import Load, TierLoad
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Limits, MachineSpec, Tier
from autoscaler.core.units import Span
from policies.base import State
from policies.wait_target import POLICY, WaitTarget, decide
from tests.support.build import NOW, instance, pool, snapshot

P = Phase
SETTINGS = WaitTarget()
TIERS = (
    Tier(name="pro", wait_target=30.0),
    Tier(name="premium", wait_target=120.0),
    Tier(name="free", wait_target=300.0),
)
HISTORY = PlacementHistory(setup=Estimate(2700.0, 0.0, 9), resume=Estimate(210.0, 0.0, 9), resumed=17.0, refused=1.0)
Queue = dict[str, tuple[int, float]]
"""Jobs that wait and the age of the oldest, by tier."""


def load(service_s: float = 20.0, **per_s: float) -> Load:
    tiers = {t.name: TierLoad(per_s=per_s.get(t.name, 0.0), jobs=100.0, work_s=100.0 * service_s) for t in TIERS}
    return Load(tiers=tiers, seen_s=3600.0, until=NOW)


def seen(queue: Queue, *phases: Phase, in_flight: int = 0, slots: int = 1, **changes: Any) -> PoolSnapshot:
    fleet = [instance(phase, id=f"i{n}", created_at=NOW - 99 + n, slots=slots) for n, phase in enumerate(phases)]
    tiers = tuple(
        TierDemand(tier=t.name, waiting=queue.get(t.name, (0, 0.0))[0], oldest_wait_s=queue.get(t.name, (0, None))[1])
        for t in TIERS
    )
    values = {
        "pool": pool(
            tiers=TIERS,
            machine=MachineSpec(image="worker:1", gpus=("RTX 4090",), slots=slots),
            limits=Limits(hot=Span(1, 16), warm=Span(0, 6)),
        ),
        "demand": Demand(taken_at=NOW, tiers=tiers, in_flight=in_flight),
        "history": {"mock-on-demand": HISTORY},
        "load": load(),
    }
    return snapshot(*fleet, **(values | changes))


def first(snapshot: PoolSnapshot, settings: WaitTarget = SETTINGS) -> Decision:
    return decide(snapshot, {}, NOW, settings)[0]


def test_a_quiet_pool_needs_one_machine_and_one_standby() -> None:
    decision = first(seen({}, P.HOT))

    assert (decision.hot, decision.standby) == (1, 1)


def test_the_worked_example_resumes_two_standbys_and_rents_nothing() -> None:
    decision = first(seen({"free": (40, 100.0)}, P.HOT, P.WARM, P.WARM, in_flight=1))

    assert decision.hot == 3
    assert "free: when a resumed machine is up in 3m 30s, 2280 s of work will wait" in decision.why[0].text


def test_a_backlog_that_is_gone_before_a_rented_machine_is_up_rents_none() -> None:
    assert first(seen({"free": (40, 100.0)}, P.HOT, in_flight=1)).hot == 1


def test_a_backlog_that_lasts_rents() -> None:
    assert first(seen({"free": (400, 3600.0)}, P.HOT, in_flight=1)).hot > 1


def test_an_urgent_tier_does_not_pay_for_the_queue_of_those_below() -> None:
    queue = {"free": (40, 100.0)}
    needs = dict(first(seen(queue, P.HOT, P.WARM, P.WARM, in_flight=1)).needs)

    assert needs["pro"] == needs["premium"] == 1
    assert needs["free"] == 3


def test_an_urgent_tier_needs_more_for_the_same_queue() -> None:
    fleet = (P.HOT, *[P.WARM] * 6)
    few, many = (first(seen({tier: (25, 100.0)}, *fleet, in_flight=1)) for tier in ("free", "pro"))

    assert many.hot > few.hot


def test_what_is_on_its_way_is_not_ordered_again() -> None:
    queue = {"free": (40, 100.0)}
    on_the_way = [instance(P.HOT, id="a"), *(instance(P.RESUMING, id=n, ordered_at=NOW) for n in "bc")]
    ordered = seen(queue, in_flight=1, instances=tuple(on_the_way))

    assert first(ordered).hot == 3 == ordered.up


def test_steady_work_is_sized_by_the_share_that_may_be_late() -> None:
    busy = seen({}, *[P.HOT] * 3, in_flight=3, load=load(pro=0.1))

    assert first(busy).hot == 3
    assert first(busy, WaitTarget(late_share=0.001)).hot > 3


def test_slots_of_a_machine_count() -> None:
    assert first(seen({}, P.HOT, in_flight=3, slots=4, load=load(pro=0.1))).hot == 1


def test_long_jobs_are_sized_by_the_work_there_is() -> None:
    """Three jobs of an hour each, an hour after the last came: no rate to speak of, and yet hours of work."""
    hours = load(service_s=3600.0)

    assert first(seen({"free": (3, 3600.0)}, P.HOT, in_flight=1, load=hours)).hot >= 3


def test_until_it_is_known_the_time_of_a_job_is_the_guess_times_the_tiers_weight() -> None:
    tiers = (Tier(name="exec", wait_target=300.0), Tier(name="batch", wait_target=300.0, weight=500.0))
    demands = tuple(TierDemand(tier=t.name, waiting=4, oldest_wait_s=60.0) for t in tiers)
    values: dict[str, Any] = {
        "pool": pool(tiers=tiers, limits=Limits(hot=Span(1, 99), warm=Span(0, 6))),
        "demand": Demand(taken_at=NOW, tiers=demands, in_flight=1),
        "history": {"mock-on-demand": HISTORY},
    }
    needs = dict(first(snapshot(instance(P.HOT), **values), WaitTarget(service=1.0)).needs)

    assert needs["exec"] == 1
    assert needs["batch"] >= 3


def test_a_wish_for_fewer_stands_until_it_has_lasted() -> None:
    busy, quiet = seen({"free": (40, 100.0)}, P.HOT, P.WARM, P.WARM, in_flight=1), seen({}, P.HOT, P.HOT, P.HOT)
    state = decide(busy, {}, NOW, SETTINGS)[1]
    state = decide(quiet, state, NOW + 10, SETTINGS)[1]

    assert decide(quiet, state, NOW + 129, SETTINGS)[0].hot == 3
    assert decide(quiet, state, NOW + 130, SETTINGS)[0].hot == 1


def test_an_unknown_queue_starts_nothing_and_what_was_wanted_is_remembered() -> None:
    busy, blind = seen({"free": (40, 100.0)}, P.HOT, P.WARM, P.WARM, in_flight=1), Unknown("no answer", NOW)
    state = decide(busy, {}, NOW, SETTINGS)[1]
    for tick in range(100):
        state = decide(seen({}, P.HOT, demand=blind), state, NOW + 10 * tick, SETTINGS)[1]
    decision = decide(seen({}, P.HOT, demand=blind), state, NOW + 1000, SETTINGS)[0]

    assert decision.hot == 1
    assert decision.why[0].rule == "wait_target.unknown"
    assert decide(seen({}, P.HOT), state, NOW + 1010, SETTINGS)[0].hot == 3


def test_a_tier_that_was_often_late_is_given_less_time() -> None:
    late: State = {"lateness": {"free": [1000.0, 100.0]}, "at": NOW}
    busy = seen({"free": (40, 100.0)}, P.HOT, *[P.WARM] * 6, in_flight=1)

    assert decide(busy, late, NOW, SETTINGS)[0].hot > first(busy).hot


def test_standbys_are_enough_for_what_jobs_needed_lately() -> None:
    usual: State = {"levels": [50.0, 30.0, 20.0, 5.0], "at": NOW}
    decision = decide(seen({}, P.HOT), usual, NOW, SETTINGS)[0]

    assert decision.standby == 1
    assert decision.warm == 2


def test_where_a_rent_is_nearly_as_quick_as_a_resume_nothing_stands_by() -> None:
    quick = {"mock-on-demand": replace(HISTORY, setup=Estimate(300.0, 0.0, 9))}
    usual: State = {"levels": [50.0, 30.0, 20.0, 5.0], "at": NOW}
    decision = decide(seen({}, P.HOT, history=quick), usual, NOW, SETTINGS)[0]

    assert (decision.standby, decision.warm) == (0, 0)


def test_where_resumes_often_fail_more_stand_by() -> None:
    poor = {"mock-on-demand": PlacementHistory(resumed=4.0, refused=4.0)}
    usual: State = {"levels": [50.0, 30.0, 20.0, 5.0], "at": NOW}
    decision = decide(seen({}, P.HOT, P.WARM, P.WARM, history=poor), usual, NOW, SETTINGS)[0]

    assert decision.standby == 2


def test_settings_out_of_all_reason_are_found_together() -> None:
    wrong = WaitTarget(late_share=0.0, uncovered_share=1.0, patience=0.5, service=0.0)

    assert [place for place, _ in POLICY.check(wrong, pool())] == [
        ("late_share",),
        ("uncovered_share",),
        ("patience",),
        ("service",),
    ]


QUEUES = st.fixed_dictionaries({t.name: st.tuples(st.integers(0, 500), st.floats(1.0, 3600.0)) for t in TIERS})
FLEETS = st.lists(st.sampled_from([P.HOT, P.WARM, P.DRAINING, P.STOPPING]), min_size=1, max_size=8)


@given(queue=QUEUES, fleet=FLEETS, tier=st.sampled_from([t.name for t in TIERS]), more=st.integers(1, 200))
def test_more_waiting_never_means_fewer_machines(queue: Queue, fleet: list[Phase], tier: str, more: int) -> None:
    waiting, age_s = queue[tier]
    longer = queue | {tier: (waiting + more, age_s)}

    assert first(seen(longer, *fleet, in_flight=1)).hot >= first(seen(queue, *fleet, in_flight=1)).hot


@given(queue=QUEUES, fleet=FLEETS)
def test_it_is_deterministic_and_leaves_its_input_alone(queue: Queue, fleet: list[Phase]) -> None:
    asked, state = seen(queue, *fleet), decide(seen({}, P.HOT), {}, NOW - 10, SETTINGS)[1]
    before = copy.deepcopy(dict(state))
    one, two = decide(asked, state, NOW, SETTINGS), decide(asked, state, NOW, SETTINGS)

    assert one == two
    assert state == before


@given(queue=QUEUES, fleet=FLEETS)
def test_under_constant_demand_the_wish_does_not_oscillate(queue: Queue, fleet: list[Phase]) -> None:
    constant, wishes = seen(queue, *fleet), []
    state: State = {}
    for tick in range(60):
        decision, state = decide(constant, state, NOW + 10 * tick, SETTINGS)
        wishes.append(decision.hot)

    # What ran before stands for a while; then patience may run out, which can only add machines.
    settled = wishes[13:]
    assert settled == sorted(settled)


@given(queue=QUEUES, fleet=FLEETS)
def test_needs_nest(queue: Queue, fleet: list[Phase]) -> None:
    decision = first(seen(queue, *fleet))
    machines = [count for _, count in decision.needs]

    assert machines == sorted(machines)
    assert decision.hot >= machines[-1]


@pytest.mark.parametrize("age", [None, 0.0])
def test_an_unknown_age_is_no_reason_to_divide_by_it(age: float | None) -> None:
    tiers = tuple(TierDemand(tier=t.name, waiting=5, oldest_wait_s=age) for t in TIERS)

    assert first(seen({}, P.HOT, demand=Demand(taken_at=NOW, tiers=tiers))).hot >= 1
