"""The strategy's triggers, line by line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Decision
from autoscaler.core.demand import InFlightKind, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from policies.base import State
from policies.thresholds import Thresholds, decide
from tests.support.build import NOW, demand, instance, snapshot

P = Phase
SETTINGS = Thresholds()


def seen(waiting: int, *phases: Phase, **changes: Any) -> PoolSnapshot:
    fleet = [instance(phase, id=f"i{n}", created_at=NOW - 100 + n) for n, phase in enumerate(phases)]
    return snapshot(*fleet, demand=demand(waiting), **changes)


def first(waiting: int, *phases: Phase, state: State | None = None) -> Decision:
    return decide(seen(waiting, *phases), state or {}, NOW, SETTINGS)[0]


def ended(decision: Decision, rule: str) -> bool:
    return any(reason.rule == rule for reason in decision.why)


def test_one_machine_is_always_wanted() -> None:
    assert first(0).hot == 1


@pytest.mark.parametrize(("waiting", "hot"), [(10, 1), (11, 2)])
def test_depth_over_10_and_a_standby_warm_resumes_it(waiting: int, hot: int) -> None:
    decision = first(waiting, P.HOT, P.WARM)

    assert decision.hot == hot
    assert ended(decision, "thresholds.resume") == (hot == 2)


@pytest.mark.parametrize(("kind", "hot"), [(InFlightKind.DELIVERED, 2), (InFlightKind.EXECUTING, 1)])
def test_jobs_that_a_worker_holds_and_has_no_slot_for_wait(kind: InFlightKind, hot: int) -> None:
    fleet = [instance(P.HOT, id="a"), instance(P.WARM, id="b")]
    prefetched = snapshot(*fleet, demand=demand(0, in_flight=12, in_flight_kind=kind))

    assert decide(prefetched, {}, NOW, SETTINGS)[0].hot == hot


@pytest.mark.parametrize(("waiting", "hot"), [(30, 1), (31, 2)])
def test_depth_over_30_and_all_instances_hot_rents(waiting: int, hot: int) -> None:
    decision = first(waiting, P.HOT)

    assert decision.hot == hot
    assert ended(decision, "thresholds.rent") == (hot == 2)


def test_depth_over_10_without_a_standby_does_not_rent_and_says_why_not() -> None:
    decision = first(25, P.HOT)

    assert decision.hot == 1
    assert [r.text for r in decision.why_not if r.rule == "thresholds.rent"] == ["25 jobs wait; it takes more than 30"]


@pytest.mark.parametrize(("waiting", "hot"), [(20, 2), (21, 3)])
def test_a_machine_on_its_way_answers_for_one_threshold_of_jobs(waiting: int, hot: int) -> None:
    assert first(waiting, P.HOT, P.RESUMING, P.WARM, state={"hot": 2}).hot == hot


@pytest.mark.parametrize(("waiting", "hot"), [(60, 2), (61, 3)])
def test_a_rented_machine_that_boots_answers_for_one_threshold_of_jobs(waiting: int, hot: int) -> None:
    assert first(waiting, P.HOT, P.BOOTING, state={"hot": 2}).hot == hot


def run(depths: list[int], phases: list[Phase], every_s: float, state: State) -> tuple[list[int], State]:
    wanted = []
    for n, depth in enumerate(depths):
        decision, state = decide(seen(depth, *phases), state, NOW + n * every_s, SETTINGS)
        wanted.append(decision.hot)
    return wanted, state


def test_depth_under_3_for_30_minutes_and_more_than_one_instance_stops_one() -> None:
    wanted, _ = run([2] * 182, [P.HOT, P.HOT], 10.0, {"hot": 2})

    assert wanted[:180] == [2] * 180
    assert wanted[180:] == [1, 1]


def test_one_deeper_reading_starts_the_30_minutes_again() -> None:
    wanted, _ = run([2] * 100 + [3] + [2] * 150, [P.HOT, P.HOT], 10.0, {"hot": 2})

    assert wanted == [2] * 251


def test_each_machine_takes_its_own_30_minutes_to_go() -> None:
    wanted, _ = run([0] * 361, [P.HOT, P.HOT, P.HOT], 10.0, {"hot": 3})

    assert (wanted[179], wanted[180], wanted[359], wanted[360]) == (3, 2, 2, 1)


def test_the_last_instance_is_never_stopped() -> None:
    wanted, _ = run([0] * 400, [P.HOT], 60.0, {"hot": 1})

    assert set(wanted) == {1}


def test_an_instance_warm_for_over_24_hours_is_released() -> None:
    young = instance(P.WARM, id="a", phase_since=NOW - 86400)
    old = instance(P.WARM, id="b", phase_since=NOW - 86401)

    decision, _ = decide(snapshot(young, old), {}, NOW, SETTINGS)

    assert decision.warm == 1
    assert ended(decision, "thresholds.release")


def test_standbys_are_kept_as_the_limits_allow_until_then() -> None:
    assert first(0, P.HOT, P.WARM).warm == 3


def test_unknown_depth_holds_and_forgets_how_long_it_was_quiet() -> None:
    blind = snapshot(instance(), instance(id="b"), demand=Unknown("timeout", NOW))

    decision, state = decide(blind, {"hot": 2, "quiet_since": NOW - 1e6}, NOW, SETTINGS)

    assert decision.hot == 2
    assert state["quiet_since"] is None


def test_a_restart_without_state_wants_the_machines_that_are_up() -> None:
    assert first(0, P.HOT, P.HOT, P.BOOTING).hot == 3


fleets = st.lists(st.sampled_from([P.HOT, P.WARM, P.BOOTING, P.DRAINING, P.RESUMING]), max_size=8)
states = st.builds(lambda hot, quiet: {"hot": hot, "quiet_since": quiet}, st.integers(1, 6), st.none() | st.just(NOW))


@given(fleets, states, st.integers(0, 200), st.integers(0, 200))
def test_more_waiting_jobs_never_mean_fewer_machines(fleet: list[Phase], state: State, a: int, b: int) -> None:
    low, high = sorted([a, b])

    assert first(low, *fleet, state=state).hot <= first(high, *fleet, state=state).hot


@given(fleets, states, st.integers(0, 200), st.floats(0, 1e5))
def test_the_same_input_gives_the_same_decision_and_is_left_as_it_was(
    fleet: list[Phase], state: State, waiting: int, later: float
) -> None:
    before, view = dict(state), seen(waiting, *fleet)

    assert decide(view, state, NOW + later, SETTINGS) == decide(view, state, NOW + later, SETTINGS)
    assert state == before


@given(fleets, states, st.integers(0, 200))
def test_every_decision_says_why_or_why_not(fleet: list[Phase], state: State, waiting: int) -> None:
    decision = first(waiting, *fleet, state=state)

    assert decision.why or decision.why_not


def test_a_clock_that_was_set_back_puts_the_end_of_the_quiet_off_by_no_more_than_a_quiet_time() -> None:
    fleet = [instance(id="i0"), instance(id="i1")]
    view = snapshot(*fleet, demand=demand(0))

    _, state = decide(view, {"hot": 2, "quiet_since": NOW + 7200.0}, NOW, SETTINGS)
    decision, _ = decide(view, state, NOW + SETTINGS.idle_for, SETTINGS)

    assert decision.hot == 1


def test_a_steady_queue_never_makes_the_wish_swing() -> None:
    for depth in (0, 2, 3, 10, 11, 30, 31):
        state: State = {}
        fleet: list[Instance] = [instance(id="i0")]
        swings, last = 0, 1
        for n in range(2000):
            view = snapshot(*fleet, demand=demand(depth))
            decision, state = decide(view, state, NOW + n * 60, SETTINGS)
            hot = min(6, decision.hot)
            swings += hot < last
            last = hot
            fleet = [instance(id=f"i{k}") for k in range(hot)]
        assert swings == 0
