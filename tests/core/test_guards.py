from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Unknown
from autoscaler.core.guards import guard
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap, Limits, Placement
from autoscaler.core.units import Span
from tests.support.build import NOW, demand, instance, pool, snapshot

WINDOW_S = 1800.0
CAPPED = pool(
    placements=(Placement(provider="mock", max_usd_per_hour=0.8),),
    limits=Limits(hot=Span(1, 20), warm=Span(0, 3), usd_per_day=Cap(warn=20.0, stop=30.0)),
)


def rules(decision: Decision) -> set[str]:
    return {reason.rule for reason in (*decision.why, *decision.why_not)}


def guarded(hot: int, seen: PoolSnapshot) -> Decision:
    return guard(Decision(hot=hot, warm=0), seen, WINDOW_S)


def test_limits_clamp_and_say_so() -> None:
    decision = guard(Decision(hot=9, warm=9), snapshot(), WINDOW_S)

    assert (decision.hot, decision.warm, decision.ceiling) == (6, 3, 6)
    assert {"limits.hot", "limits.warm"} <= rules(decision)


def test_the_floor_is_kept_even_when_nothing_is_wanted() -> None:
    assert guarded(0, snapshot()).hot == 1


def test_the_budget_allows_what_an_hour_of_it_can_pay_after_the_floor_is_set_aside() -> None:
    # The worked example of the docstring: 30 - 18 - 1 x 0.80 x 8 h = 5.60 USD; 5.60 / 0.80 = 7 above the floor.
    seen = snapshot(pool=CAPPED, spent_today_usd=18.0, day_left_s=8 * 3600.0)

    decision = guarded(20, seen)

    assert decision.hot == decision.ceiling == 8
    assert "budget.stop" in rules(decision)


def test_a_spent_budget_leaves_the_floor() -> None:
    assert guarded(5, snapshot(pool=CAPPED, spent_today_usd=31.0)).hot == 1


def test_a_warning_comes_before_the_stop() -> None:
    assert "budget.warn" in rules(guarded(1, snapshot(pool=CAPPED, spent_today_usd=20.0, day_left_s=60.0)))
    assert "budget.warn" not in rules(guarded(1, snapshot(pool=CAPPED, spent_today_usd=19.99, day_left_s=60.0)))


def test_a_machine_dearer_than_any_placement_counts_at_its_own_price() -> None:
    dear = instance(Phase.HOT, usd_per_hour=5.0)

    assert guarded(5, snapshot(dear, pool=CAPPED, spent_today_usd=20.0, day_left_s=0.0)).hot == 3


def test_unknown_demand_holds_down_and_not_up() -> None:
    decision = guarded(3, snapshot(demand=Unknown("timeout", NOW)))

    assert decision.hold_down
    assert not decision.hold_up
    assert "unknown" in rules(decision)


def test_nothing_goes_before_one_window_of_history() -> None:
    assert guarded(1, snapshot(running_for_s=WINDOW_S - 1)).hold_down
    assert not guarded(1, snapshot(running_for_s=WINDOW_S)).hold_down


def test_a_paused_fleet_is_not_touched() -> None:
    decision = guarded(3, snapshot(paused_by="kim"))

    assert (decision.hold_down, decision.hold_up) == (True, True)
    assert any("paused by kim" in reason.text for reason in decision.why)


@given(
    hot=st.integers(0, 50),
    warm=st.integers(0, 50),
    spent=st.floats(0, 100),
    left=st.floats(0, 86400),
    waiting=st.one_of(st.none(), st.integers(0, 1000)),
)
def test_guards_only_make_a_decision_safer(hot: int, warm: int, spent: float, left: float, waiting: int | None) -> None:
    known = Unknown("gone", NOW) if waiting is None else demand(waiting)
    seen = snapshot(pool=CAPPED, spent_today_usd=spent, day_left_s=left, demand=known)
    before = Decision(hot=hot, warm=warm)

    after = guard(before, seen, WINDOW_S)

    assert 1 <= after.hot <= min(20, max(1, hot))
    assert after.warm <= 3
    floor_usd = 0.8 * left / 3600
    assert after.hot == 1 or spent + floor_usd + (after.hot - 1) * 0.8 <= 30.0 + 1e-6
    assert after.hold_down == (waiting is None)
    assert after.hot == before.hot or after.why
