from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Decision
from autoscaler.core.demand import InFlightKind, Unknown
from autoscaler.core.guards import guard
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind, Orders
from autoscaler.core.signal import Signal
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap, Fallback, Limits, Pace
from autoscaler.core.units import Span
from tests.support.build import NOW, demand, instance, pool, snapshot

WINDOW_S = 1800.0
MINUTE = 60.0
PLENTY = Cap(warn=10_000.0, stop=20_000.0)


def rules(decision: Decision) -> set[str]:
    return {reason.rule for reason in (*decision.why, *decision.why_not)}


def guarded(hot: int, seen: PoolSnapshot, **changes: Any) -> Decision:
    return guard(Decision(hot=hot, warm=0, **changes), seen, WINDOW_S, NOW)


def test_limits_clamp_and_say_so() -> None:
    decision = guard(Decision(hot=9, warm=9), snapshot(day_left_s=0.0), WINDOW_S, NOW)

    assert (decision.hot, decision.warm, decision.ceiling) == (6, 3, 6)
    assert {"limits.hot", "limits.warm"} <= rules(decision)


def test_the_floor_is_kept_even_when_nothing_is_wanted() -> None:
    assert guarded(0, snapshot()).hot == 1


def test_unknown_demand_holds_down_and_not_up() -> None:
    decision = guarded(3, snapshot(demand=Unknown("timeout", NOW)))

    assert decision.hold_down
    assert not decision.hold_up
    assert "unknown" in rules(decision)


def test_nothing_goes_before_one_window_of_history() -> None:
    assert guarded(1, snapshot(running_for_s=WINDOW_S - 1)).hold_down
    assert not guarded(1, snapshot(running_for_s=WINDOW_S)).hold_down


def test_a_paused_fleet_is_not_touched() -> None:
    decision = guarded(3, snapshot(orders=Orders(standing=(Order(kind=OrderKind.PAUSE, by="kim", at=0.0),))))

    assert (decision.hold_down, decision.hold_up) == (True, True)
    assert any("paused by kim" in reason.text for reason in decision.why)


# --- pace -------------------------------------------------------------------------------------------------------------


def paced(*machines: Instance, low: int = 1, high: int = 20, **changes: Any) -> PoolSnapshot:
    drained_at = changes.pop("drained_at", ())
    limits = Limits(hot=Span(low, high), usd_per_day=PLENTY)
    return snapshot(*machines, pool=pool(limits=limits, pace=Pace(**changes)), drained_at=drained_at)


def fleet_of(count: int, **changes: Any) -> list[Instance]:
    return [instance(id=f"m{number}", **changes) for number in range(count)]


def test_no_more_machines_are_started_within_a_while_than_the_pace_allows() -> None:
    # The worked example of the docstring: 6 up, 3 of them started 5 minutes ago, 4 allowed: one more for now.
    seen = paced(*fleet_of(3), *fleet_of(3, ordered_at=NOW - 5 * MINUTE), up=4)

    decision = guarded(9, seen)

    assert decision.hot == 7
    assert [r.text for r in decision.why] == ["3 started within 10m, 4 allowed: 7 of 9 machines for now"]


def test_a_start_counts_until_the_window_has_slid_past_it() -> None:
    assert guarded(9, paced(*fleet_of(4, ordered_at=NOW - 599.0), up=4)).hot == 4
    assert guarded(9, paced(*fleet_of(4, ordered_at=NOW - 600.0), up=4)).hot == 8
    assert guarded(9, paced(*fleet_of(4, ordered_at=NOW - 300.0), up=4, per=300.0)).hot == 8


def test_the_floor_is_started_at_once() -> None:
    assert guarded(9, paced(low=6, up=2)).hot == 6


def test_no_more_machines_are_drained_within_a_while_than_the_pace_allows() -> None:
    seen = paced(*fleet_of(9), down=4, drained_at=(NOW - 9 * MINUTE, NOW - MINUTE, NOW - 11 * MINUTE))

    decision = guarded(1, seen)

    assert decision.hot == 7
    assert [r.text for r in decision.why] == ["2 drained within 10m, 4 allowed: 7 instead of 1 for now"]


def test_what_limits_do_not_allow_is_drained_at_any_pace() -> None:
    assert guarded(9, paced(*fleet_of(9), high=3, down=1)).hot == 3
    assert guarded(1, paced(*fleet_of(9), down=1), ceiling=4).hot == 4, "a policy's ceiling is a person's word"


def test_what_money_does_not_allow_is_drained_at_any_pace() -> None:
    fleet = fleet_of(4, usd_per_hour=0.8)
    seen = paced(*fleet, down=1, low=0)
    scarce = replace(seen.pool, limits=Limits(hot=Span(0, 20), usd_per_day=Cap(warn=10.0, stop=30.0)))
    late = replace(seen, pool=scarce, spent_today_usd=25.0, day_left_s=6 * 3600.0)
    needs = (("pro", 1), ("free", 4))

    assert guarded(4, late, needs=needs).hot == 1, "what is less urgent is given up above 20"
    assert guarded(1, replace(late, spent_today_usd=0.0), needs=(("pro", 1),)).hot == 3, "and otherwise in turn"


def test_standbys_stay_within_limits() -> None:
    assert (
        guarded(1, replace(paced(), pool=pool(limits=Limits(warm=Span(0, 2), usd_per_day=PLENTY))), standby=9).standby
        == 2
    )


def test_without_a_pace_any_number_starts_and_goes_at_once() -> None:
    assert guarded(20, paced()).hot == 20
    assert guarded(1, paced(*fleet_of(9))).hot == 1


@given(
    hot=st.integers(0, 30),
    ages=st.lists(st.floats(0, 1200), max_size=20),
    up=st.none() | st.integers(1, 9),
    down=st.none() | st.integers(1, 9),
)
def test_the_pace_slows_growth_and_shrinking_and_turns_neither_into_the_other(
    hot: int, ages: list[float], up: int | None, down: int | None
) -> None:
    machines = [instance(id=f"m{number}", ordered_at=NOW - age) for number, age in enumerate(ages)]
    seen = paced(*machines, low=2, up=up, down=down, drained_at=tuple(NOW - age for age in ages))
    wanted = Span(2, 20).clamp(hot)

    after = guarded(hot, seen).hot

    nearest, farthest = sorted((max(2, len(machines)), wanted))
    assert nearest <= after <= farthest
    assert down is not None or after <= max(2, wanted)
    assert up is not None or after >= wanted


# --- all together -----------------------------------------------------------------------------------------------------


@given(
    hot=st.integers(0, 50),
    warm=st.integers(0, 50),
    waiting=st.one_of(st.none(), st.integers(0, 1000)),
)
def test_guards_only_make_a_decision_safer(hot: int, warm: int, waiting: int | None) -> None:
    known = Unknown("gone", NOW) if waiting is None else demand(waiting)
    before = Decision(hot=hot, warm=warm)

    after = guard(before, snapshot(demand=known), WINDOW_S, NOW)

    assert 1 <= after.hot <= min(6, max(1, hot))
    assert after.warm <= 3
    assert after.hold_down == (waiting is None)
    assert after.hot == before.hot or after.why


@pytest.mark.parametrize("phase", [Phase.WARM, Phase.DRAINING, Phase.RELEASING])
def test_a_machine_that_does_not_serve_makes_no_room_for_fewer(phase: Phase) -> None:
    assert guarded(0, snapshot(instance(phase))).hot == 1


NONE_NEEDED = pool(limits=Limits(hot=Span(0, 6)))


def in_flight(jobs: int, *fleet: Instance, **changes: Any) -> PoolSnapshot:
    queue = demand(in_flight=jobs, in_flight_kind=InFlightKind.EXECUTING, paused=changes.pop("paused", False))
    return snapshot(*fleet, pool=NONE_NEEDED, demand=queue, **changes)


def test_jobs_of_a_dead_worker_bring_a_machine_for_only_a_living_one_takes_them_back() -> None:
    decision = guarded(0, in_flight(2))

    assert decision.hot == 1
    assert "2 jobs are in flight and no machine runs" in decision.why[-1].text


def test_the_last_machine_stays_while_jobs_are_in_flight_that_only_it_can_take_back() -> None:
    decision = guarded(0, in_flight(1, instance()))

    assert decision.hot == 1
    assert "1 job is in flight and the last machine stays" in decision.why[-1].text


def test_jobs_in_flight_bring_no_machine_where_others_wait_that_nobody_is_to_serve() -> None:
    waits = replace(demand(3), in_flight=1, in_flight_kind=InFlightKind.EXECUTING)
    assert guarded(0, snapshot(pool=NONE_NEEDED, demand=waits)).hot == 0


def test_jobs_in_flight_bring_no_machine_above_a_policys_ceiling() -> None:
    assert guarded(0, in_flight(1), ceiling=0).hot == 0


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.STOPPING])
def test_jobs_in_flight_bring_no_machine_while_one_that_goes_may_hold_them(phase: Phase) -> None:
    assert guarded(0, in_flight(1, instance(phase))).hot == 0


def test_jobs_in_flight_bring_no_machine_before_all_machines_are_known() -> None:
    assert guarded(0, in_flight(1, running_for_s=59.0)).hot == 0
    assert guarded(0, in_flight(1, running_for_s=60.0)).hot == 1


def test_an_empty_queue_brings_no_machine() -> None:
    assert guarded(0, in_flight(0)).hot == 0


def test_a_fallback_is_as_urgent_as_it_gets_so_that_the_budgets_warning_does_not_give_it_up() -> None:
    limits = Limits(hot=Span(0, 6), usd_per_day=Cap(warn=5.0, stop=20.0))
    unread = pool(limits=limits, fallback=Fallback(after=1, then="floor", floor=3))
    seen = snapshot(pool=unread, demand=Unknown("gone", NOW), signal=Signal(failures=1), day_left_s=43_200.0)

    assert guarded(0, replace(seen, spent_today_usd=8.0), needs=(("pro", 0),)).hot == 3


def test_no_machine_is_started_for_a_queue_that_is_paused() -> None:
    fleet = [instance(id="a"), instance(Phase.BOOTING, id="b")]
    decision = guarded(5, snapshot(*fleet, demand=demand(40, paused=True)))

    assert decision.hot == 2
    assert "the queue is paused" in next(reason.text for reason in decision.why if reason.rule == "queue_paused")


def test_a_paused_queue_stops_no_machine_and_keeps_the_floor() -> None:
    assert guarded(1, snapshot(demand=demand(40, paused=True))).hot == 1
    assert guarded(1, snapshot(instance(id="a"), instance(id="b"), demand=demand(paused=True))).hot == 1
    assert guarded(0, in_flight(3, paused=True)).hot == 0
    assert guarded(0, in_flight(3, instance(), paused=True)).hot == 0, "no worker takes anything back meanwhile"
    assert not guarded(1, snapshot(instance(), demand=demand(paused=True))).why, "nothing was held back"
