"""What the money allows, against the numbers of the docstrings, and against a budget counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.budget import budget
from autoscaler.core.decision import Decision
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import ON_THE_WAY, Phase
from autoscaler.core.money import Burn, FleetMoney, burn
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap, FleetLimits, Limits, Placement, Pool, Tier
from autoscaler.core.units import Span
from tests.support.build import instance, pool, snapshot

HOUR = 3600.0
DAY_CAP = Cap(warn=20.0, stop=30.0)
PLENTY = Cap(warn=10_000.0, stop=20_000.0)


def capped(**limits: Any) -> Pool:
    """A pool whose new machines cost up to 0.80 USD an hour each, and that has money for any day."""
    values: dict[str, Any] = {"hot": Span(1, 20), "warm": Span(0, 3), "usd_per_day": PLENTY}
    return pool(
        tiers=(Tier(name="pro"), Tier(name="free")),
        placements=(Placement(provider="mock", max_usd_per_hour=0.8),),
        limits=Limits(**values | limits),
    )


def fleet_of(count: int, phase: Phase = Phase.HOT, **changes: Any) -> list[Instance]:
    return [instance(phase, id=f"{phase}{number}", **changes) for number in range(count)]


def on_a_day(*machines: Instance, spent: float, hours_left: float, **limits: Any) -> PoolSnapshot:
    own = capped(**({"usd_per_day": DAY_CAP} | limits))
    return snapshot(*machines, pool=own, spent_today_usd=spent, day_left_s=hours_left * HOUR)


def wanting(hot: int, **changes: Any) -> Decision:
    return Decision(hot=hot, warm=3, **changes)


def texts(decision: Decision) -> list[str]:
    return [reason.text for reason in (*decision.why, *decision.why_not)]


# --- keep and start ---------------------------------------------------------------------------------------------------


def test_a_machine_is_kept_while_one_hour_of_it_is_affordable_and_started_while_two_are() -> None:
    # The worked example: 30 - 18 - 1 x 0.80 x 8 h = 5.60 USD; 5.60 / 0.80 = 7 hours of machines above the floor.
    for up, allowed in (0, 4), (4, 4), (5, 5), (8, 8), (9, 8):
        decision = budget(wanting(20), on_a_day(*fleet_of(up), spent=18.0, hours_left=8.0))

        assert (decision.hot, decision.ceiling) == (allowed, allowed), f"{up} up"


def test_the_line_in_the_journal_says_what_is_spent_set_aside_and_affordable() -> None:
    decision = budget(wanting(5), on_a_day(*fleet_of(1), spent=20.4, hours_left=8.0))

    assert texts(decision) == [
        "20.40 USD spent today, warning at 20, stop at 30",
        "20.40 of 30 USD spent today, 6.40 set aside for the floor of 1: 3 of 5 machines are affordable",
    ]


def test_what_is_on_its_way_counts_before_it_bills() -> None:
    for phase in ON_THE_WAY:
        seen = on_a_day(*fleet_of(4, phase, burn_usd_per_hour=0.0), spent=18.0, hours_left=8.0)

        assert budget(wanting(9), seen).hot == 4, phase


def test_a_spent_budget_leaves_the_floor() -> None:
    assert budget(wanting(9), on_a_day(*fleet_of(9), spent=31.0, hours_left=1.0)).hot == 1
    assert budget(wanting(9), on_a_day(*fleet_of(9), spent=31.0, hours_left=1.0, hot=Span(3, 9))).hot == 3


def test_a_machine_that_runs_counts_at_its_own_price_and_a_new_one_at_the_highest_it_may_have() -> None:
    dear, cheap = instance(usd_per_hour=5.0), instance(usd_per_hour=0.2)
    # The floor is set aside at the dearest: 4 h x 5.00, of 25.20 USD; 5.20 USD are 3 starts at 2 h x 0.80.
    assert budget(wanting(9), on_a_day(dear, spent=4.8, hours_left=4.0)).hot == 4
    # 4 h x 0.20: 24.40 USD are 15 starts.
    assert budget(wanting(20), on_a_day(cheap, spent=4.8, hours_left=4.0)).hot == 16


def test_a_stopped_machine_dearer_than_any_placement_is_resumed_at_its_own_price() -> None:
    seen = on_a_day(*fleet_of(1), instance(Phase.WARM, usd_per_hour=2.0, disk_usd_per_hour=0.0), spent=18, hours_left=8)

    assert budget(wanting(9), seen).hot == 2


def test_disks_of_stopped_machines_are_set_aside_to_the_end_of_the_day() -> None:
    disks = fleet_of(3, Phase.WARM, disk_usd_per_hour=0.1)
    seen = on_a_day(*fleet_of(8), *disks, spent=18.0, hours_left=8.0)

    decision = budget(wanting(8), seen)

    assert decision.hot == 5, "of the 5.60 USD 2.40 are for disks: four at 0.80 above the floor"
    assert "6.40 set aside for the floor of 1, 2.40 for disks and machines on their way out" in texts(decision)[-1]


def test_machines_on_their_way_out_keep_others_from_starting_and_drain_no_further_ones() -> None:
    leaving = fleet_of(3, Phase.DRAINING, burn_usd_per_hour=0.8)

    assert budget(wanting(8), on_a_day(*fleet_of(8), *leaving, spent=18.0, hours_left=8.0)).hot == 8
    assert budget(wanting(8), on_a_day(*fleet_of(1), *leaving, spent=18.0, hours_left=8.0)).hot == 3


def test_nothing_that_was_given_up_is_started_again_on_the_same_day() -> None:
    """Far too much demand for a whole day: as many as two hours' money start, and fewer and fewer as it runs out."""
    up, spent, starts = 1, 0.0, []
    for minute in range(24 * 60):
        allowed = budget(wanting(20), on_a_day(*fleet_of(up), spent=spent, hours_left=24 - minute / 60)).hot
        if allowed > up:
            starts.append((minute // 60, allowed))
        up = allowed
        spent += up * 0.8 / 60

    assert spent <= 30.0
    assert starts == [(0, 7)]


def test_a_machine_is_kept_to_the_end_of_the_day_and_none_is_started_in_its_last_minutes_for_nothing() -> None:
    """What is started today is paid for tomorrow, and tomorrow's floor may leave nothing for it."""
    assert budget(wanting(9), on_a_day(*fleet_of(9), spent=29.0, hours_left=0.1)).hot == 9
    assert budget(wanting(9), on_a_day(*fleet_of(1), spent=29.0, hours_left=0.1)).hot == 1


# --- periods ----------------------------------------------------------------------------------------------------------


def test_an_hours_cap_holds_all_that_bills_at_the_same_time_below_it() -> None:
    disks = fleet_of(2, Phase.WARM, disk_usd_per_hour=0.1)
    leaving = fleet_of(1, Phase.RELEASING, burn_usd_per_hour=0.4)
    seen = snapshot(*fleet_of(2, usd_per_hour=0.3), *disks, *leaving, pool=capped(usd_per_hour=Cap(warn=2.0, stop=3.0)))

    decision = budget(wanting(9), seen)

    assert decision.hot == 4, "0.60 run, 0.20 are for disks, 0.40 leave, two new ones may cost 1.60: 2.80"
    (text,) = texts(decision)
    assert text == (
        "3 USD an hour allowed, 0.30 set aside for the floor of 1, 0.60 for disks and machines on their way out: "
        "4 of 9 machines are affordable"
    )


def test_an_hours_warning_is_raised_by_what_bills_now() -> None:
    own = capped(usd_per_hour=Cap(warn=2.0, stop=9.0))

    assert budget(wanting(1), snapshot(*fleet_of(2), pool=own)).why == ()
    assert texts(budget(wanting(3), snapshot(*fleet_of(3), pool=own))) == [
        "2.40 USD an hour, warning at 2, stop at 9",
    ]


def test_a_months_cap_sets_the_floor_aside_to_the_end_of_the_month() -> None:
    own = capped(usd_per_month=Cap(warn=400.0, stop=600.0))
    seen = snapshot(*fleet_of(1), pool=own, spent_month_usd=400.0, month_left_s=240 * HOUR, forecast_usd=592.0)

    decision = budget(wanting(9), seen)

    assert decision.hot == 6, "600 - 400 - 192 = 8 USD are 5 starts at 2 h x 0.80"
    warning, stop = texts(decision)
    assert warning.startswith("400.00 USD spent this month, warning at 400, stop at 600; ")
    assert warning.endswith("; at the pace of the last 7 days the month will have cost 592.00")
    assert stop == (
        "400.00 of 600 USD spent this month, 192.00 set aside for the floor of 1: 6 of 9 machines are affordable"
    )


def test_a_pool_has_the_strategys_caps_unless_told_otherwise() -> None:
    """`Cost/day | > $20 | > $30 | Review, notify`."""
    assert Limits() == Limits(usd_per_day=Cap(warn=20.0, stop=30.0), usd_per_hour=None, usd_per_month=None)
    assert FleetLimits() == FleetLimits(usd_per_hour=None, usd_per_day=None, usd_per_month=None)


def test_a_warning_comes_before_the_stop() -> None:
    assert any("warning" in text for text in texts(budget(wanting(1), on_a_day(spent=20.0, hours_left=0.1))))
    assert texts(budget(wanting(1), on_a_day(spent=19.99, hours_left=0.1))) == []


# --- what is given up first -------------------------------------------------------------------------------------------

NEEDS = (("pro", 2), ("free", 5))


@pytest.mark.parametrize(
    ("spent", "hot", "given_up"),
    [
        # pro, free and a buffer want 2, 5 and 6 machines; all are up, and each must be affordable for an hour at 0.80.
        (15.2, 6, []),
        (15.3, 5, ["buffers (above 20)"]),
        (21.0, 5, ["buffers (above 20)"]),
        (21.1, 4, ["buffers (above 20)", "free (above 25)"]),
        (23.5, 2, ["buffers (above 20)", "free (above 25)"]),
        (28.4, 2, ["buffers (above 20)", "free (above 25)"]),
        (28.5, 1, ["buffers (above 20)", "free (above 25)"]),
        (29.3, 0, ["buffers (above 20)", "free (above 25)"]),
    ],
)
def test_buffers_are_given_up_first_then_the_least_urgent_tier(spent: float, hot: int, given_up: list[str]) -> None:
    decision = budget(wanting(6, needs=NEEDS), on_a_day(*fleet_of(6), spent=spent, hours_left=10.0, hot=Span(0, 20)))

    assert decision.hot == hot
    assert decision.ceiling >= min(6, int((30.0 - spent) / 0.8)), "what is given up early may stay while all is held"
    if given_up:
        assert texts(decision)[-1].endswith(f"; given up: {', '.join(given_up)}")


def test_what_can_be_paid_to_the_end_is_not_given_up() -> None:
    machines = fleet_of(6)

    assert budget(wanting(6, needs=NEEDS), on_a_day(*machines, spent=21.2, hours_left=1.8, hot=Span(0, 20))).hot == 6
    assert budget(wanting(6, needs=NEEDS), on_a_day(*machines, spent=21.2, hours_left=1.9, hot=Span(0, 20))).hot == 5


def test_without_the_tiers_needs_all_is_as_urgent_as_it_gets() -> None:
    seen = on_a_day(*fleet_of(6), spent=24.0, hours_left=6.0, hot=Span(0, 20))

    assert budget(wanting(6), seen).hot == 6
    assert budget(wanting(6, needs=(("pro", 6), ("free", 6))), seen).hot == 6
    assert budget(wanting(6, needs=(("pro", 1), ("free", 6))), seen).hot == 1


def test_rate_is_no_stock_so_no_tier_is_given_up_for_another_at_an_hours_cap() -> None:
    seen = snapshot(*fleet_of(5), pool=capped(usd_per_hour=Cap(warn=1.0, stop=4.0)))

    assert budget(wanting(5, needs=(("pro", 1), ("free", 4))), seen).hot == 5


def test_no_standby_is_made_above_the_warning_save_for_the_least_that_limits_ask_for() -> None:
    def standby(spent: float, **limits: Any) -> int:
        return budget(wanting(1, standby=2), on_a_day(*fleet_of(1), spent=spent, hours_left=5, **limits)).standby

    assert standby(14.4) == 2, "14.40, the floor's 4.00 and two hours of one more machine: 20.00"
    assert standby(22.8) == 0
    assert standby(22.8, warm=Span(1, 3)) == 1


def test_it_is_told_that_no_standby_is_made() -> None:
    decision = budget(wanting(1, standby=2), on_a_day(*fleet_of(1), spent=24.0, hours_left=6.0))

    assert [reason.rule for reason in decision.why_not] == ["budget.standby"]
    assert decision.why_not[0].text.endswith("no standby is made above 20")


# --- the whole fleet --------------------------------------------------------------------------------------------------


def in_fleet(*machines: Instance, spent: float = 0.0, **changes: Any) -> PoolSnapshot:
    limits = FleetLimits(usd_per_day=Cap(warn=90.0, stop=100.0))
    money = FleetMoney(limits=limits, spent_today_usd=spent, **changes)
    return snapshot(*machines, pool=capped(), fleet=money, day_left_s=10 * HOUR)


def test_what_earlier_pools_have_and_later_ones_must_keep_is_set_aside() -> None:
    # 100 - 80 - 8 for the own floor leaves 12 USD: 7 starts at 2 h x 0.80.
    assert budget(wanting(20), in_fleet(spent=80.0)).hot == 8
    assert budget(wanting(20), in_fleet(spent=80.0, ahead=Burn(lasting=0.4))).hot == 6
    assert budget(wanting(20), in_fleet(spent=80.0, behind=Burn(lasting=0.4))).hot == 6
    assert budget(wanting(20), in_fleet(spent=80.0, ahead=Burn(passing=4.0))).hot == 6
    assert budget(wanting(20), in_fleet(spent=80.0, behind=Burn(passing=4.0))).hot == 6


def test_a_later_pool_gives_way_where_an_earlier_one_must_keep_its_own() -> None:
    machines = fleet_of(9)

    assert budget(wanting(9), in_fleet(*machines, spent=85.0, behind=Burn(passing=4.0))).hot == 9
    assert budget(wanting(9), in_fleet(*machines, spent=85.0, ahead=Burn(passing=4.0))).hot == 4


def test_the_fleets_cap_is_named_where_it_binds() -> None:
    decision = budget(wanting(9), in_fleet(spent=92.5, forecast_usd=2400.0, behind=Burn(passing=0.5)))

    warning, stop = texts(decision)
    assert warning.startswith("the whole fleet: 92.50 USD spent today, warning at 90, stop at 100; ")
    assert stop == (
        "the whole fleet: 92.50 of 100 USD spent today, 8.00 set aside for the floor of 1, 0.50 for other pools, disks "
        "and machines on their way out: 1 of 9 machines are affordable"
    )


# --- properties -------------------------------------------------------------------------------------------------------

usd = st.floats(0.0, 3.0)
caps = st.builds(lambda warn, more: Cap(warn=warn, stop=warn + more), st.floats(0, 60), st.floats(0, 60))
machines = st.lists(
    st.builds(
        instance,
        st.sampled_from([phase for phase in Phase if phase is not Phase.GONE]),
        usd_per_hour=usd,
        burn_usd_per_hour=usd,
        disk_usd_per_hour=st.floats(0.0, 0.1),
    ),
    max_size=12,
).map(lambda found: [replace(machine, id=f"m{number}") for number, machine in enumerate(found)])
burns = st.builds(Burn, lasting=usd, passing=usd, leaving=usd)


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    low, high = sorted((draw(st.integers(0, 20)), draw(st.integers(0, 20))))
    needs = draw(st.sampled_from([(), (("pro", low), ("free", high)), (("pro", high),)]))
    hot = max([draw(st.integers(0, 20)), *(count for _, count in needs)])
    return wanting(hot, standby=draw(st.integers(0, 3)), needs=needs)


@st.composite
def snapshots(draw: st.DrawFn) -> PoolSnapshot:
    maybe = st.none() | caps
    floor = draw(st.integers(0, 4))
    own = capped(hot=Span(floor, 20), usd_per_day=draw(caps), usd_per_hour=draw(maybe), usd_per_month=draw(maybe))
    fleet = FleetMoney(
        limits=FleetLimits(usd_per_hour=draw(maybe), usd_per_day=draw(maybe), usd_per_month=draw(maybe)),
        spent_today_usd=draw(st.floats(0, 80)),
        spent_month_usd=draw(st.floats(0, 80)),
        ahead=draw(burns),
        behind=draw(burns),
    )
    return snapshot(
        *draw(machines),
        pool=own,
        fleet=fleet,
        spent_today_usd=draw(st.floats(0, 80)),
        spent_month_usd=draw(st.floats(0, 80)),
        day_left_s=draw(st.floats(0, 24 * HOUR)),
        month_left_s=draw(st.floats(0, 31 * 24 * HOUR)),
    )


def with_floor(decision: Decision, seen: PoolSnapshot) -> Decision:
    """What the guard of limits gives to the budget."""
    bounds = seen.pool.limits.hot
    return replace(decision, hot=bounds.clamp(decision.hot), ceiling=bounds.high)


def least_bounds(seen: PoolSnapshot, hot: int) -> list[tuple[float, float]]:
    """Of each cap, the least that is spent by its end if so many machines run on for the time to drain; and its stop.

    Counted by hand: what is up at its own price, dearest first, and what is new at the most it may cost.
    """
    up = sorted(
        (max(i.usd_per_hour, i.burn_usd_per_hour) for i in seen.instances if i.phase in ON_THE_WAY | {Phase.HOT}),
        reverse=True,
    )
    again = [i.usd_per_hour for i in seen.instances if i.phase in (Phase.WARM, Phase.DRAINING)]
    every = (up + [max([0.8, *again])] * 20)[: max(hot, seen.pool.limits.hot.low)]
    floor = seen.pool.limits.hot.low
    disks = sum(i.disk_usd_per_hour for i in seen.instances if i.phase in (Phase.WARM, Phase.STOPPING))
    lasting, passing = sum(every[:floor]) + disks, sum(every[floor:])
    found = []
    for limits, today, month, ahead, behind in (
        (seen.pool.limits, seen.spent_today_usd, seen.spent_month_usd, Burn(), Burn()),
        (
            seen.fleet.limits,
            seen.fleet.spent_today_usd,
            seen.fleet.spent_month_usd,
            seen.fleet.ahead,
            seen.fleet.behind,
        ),
    ):
        for cap, spent, hours in (
            (limits.usd_per_hour, 0.0, 1.0),
            (limits.usd_per_day, today, seen.day_left_s / HOUR),
            (limits.usd_per_month, month, seen.month_left_s / HOUR),
        ):
            if cap is not None:
                to_end = (lasting + ahead.lasting + behind.lasting) * hours
                found.append((spent + to_end + (passing + ahead.passing) * min(1.0, hours), cap.stop))
    return found


@given(decisions(), snapshots())
def test_no_cap_is_ever_exceeded_save_by_the_floor(wanted: Decision, seen: PoolSnapshot) -> None:
    after = budget(with_floor(wanted, seen), seen)

    for hot in (after.hot, after.ceiling):
        assert hot == seen.pool.limits.hot.low or all(usd <= stop + 1e-6 for usd, stop in least_bounds(seen, hot))


@given(decisions(), snapshots())
def test_it_only_takes_away_never_below_the_floor_and_says_so(wanted: Decision, seen: PoolSnapshot) -> None:
    before = with_floor(wanted, seen)

    after = budget(before, seen)

    assert seen.pool.limits.hot.low <= after.hot <= before.hot
    assert seen.pool.limits.hot.low <= after.ceiling <= before.ceiling
    assert after.hot <= after.ceiling
    assert after.standby <= before.standby
    assert after.hot == before.hot or any(reason.rule == "budget.stop" for reason in after.why)
    assert after == budget(before, seen), "the same once more"
    assert (after.needs, after.warm, after.hold_down) == (before.needs, before.warm, before.hold_down)


@given(decisions(), snapshots(), st.integers(0, 20))
def test_more_wanted_never_gives_fewer(wanted: Decision, seen: PoolSnapshot, more: int) -> None:
    needs = tuple((tier, count + more) for tier, count in wanted.needs)
    greater = replace(wanted, hot=wanted.hot + more, needs=needs)

    assert budget(with_floor(greater, seen), seen).hot >= budget(with_floor(wanted, seen), seen).hot


@given(snapshots(), st.floats(0, 50))
def test_more_spent_never_gives_more(seen: PoolSnapshot, more: float) -> None:
    poorer = replace(seen, spent_today_usd=seen.spent_today_usd + more, spent_month_usd=seen.spent_month_usd + more)

    assert budget(wanting(20), poorer).hot <= budget(wanting(20), seen).hot


@given(machines, st.lists(usd, max_size=3))
def test_a_pools_burn_is_all_that_its_machines_cost(found: list[Instance], starting: list[float]) -> None:
    total = burn(capped(hot=Span(0, 20)), found, starting)

    up = sum(max(i.usd_per_hour, i.burn_usd_per_hour) for i in found if i.phase in ON_THE_WAY | {Phase.HOT})
    stopped = sum(i.disk_usd_per_hour for i in found if i.phase in (Phase.WARM, Phase.STOPPING))
    gone = {Phase.DRAINING, Phase.STOPPING, Phase.RELEASING, Phase.LOST}
    leaving = sum(i.burn_usd_per_hour for i in found if i.phase in gone)
    assert total.usd_per_hour == pytest.approx(up + sum(starting) + stopped + leaving)
    assert total.lasting == pytest.approx(stopped)
