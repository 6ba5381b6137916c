from __future__ import annotations

import math
import pickle
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from autoscaler.core.units import Span
from autoscaler.sim.bounds import (
    Bound,
    Jobs,
    Promise,
    Terms,
    price_days,
    pure_work_usd,
    solve_day,
    zero_wait_usd,
)

HOUR, DAY = 3600.0, 86400.0
EXACT = 1e-6
SETUP_S, RESUME_S, USD, DISK_USD = 1800.0, 120.0, 0.4, 0.025
HASTY_S = 2.0
"""Enough where whatever the solver has come to is a bound."""
UNHURRIED = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def terms(**changes: Any) -> Terms:
    values: dict[str, Any] = {
        "slots": 1,
        "setup_s": SETUP_S,
        "resume_s": RESUME_S,
        "usd_per_hour": USD,
        "disk_usd_per_hour": DISK_USD,
        "can_stop": True,
        "hot": Span(0, 20),
        "warm": Span(0, 20),
    }
    return Terms(**(values | changes))


def jobs(*rows: tuple[float, float, int]) -> Jobs:
    arrived, service, tier = zip(*sorted(rows), strict=True) if rows else ((), (), ())
    return Jobs(arrived_s=arrived, service_s=service, tier=tier)


def bound(some: Jobs, on: Terms, *promises: tuple[float, float], horizon_s: float, limit_s: float = 60.0) -> Bound:
    """Solved to the end, or for so long; promises are wait targets and late shares."""
    promised = [Promise(wait_target_s=target, late_share=share) for target, share in promises]
    plan = price_days(some, on, promised, horizon_s=horizon_s)
    return plan.total([solve_day(day, gap=0.0, limit_s=limit_s) for day in plan.days])


# --- no schedule is cheaper -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Stint:
    """HOT for so long, then WARM for so long; after the last stint a machine is released."""

    hot_s: float
    warm_s: float


@dataclass(frozen=True, kw_only=True)
class Rental:
    """A machine that is rented at a moment, takes longer to set up than it must, and has its stints."""

    at: float
    slowness_s: float
    stints: list[Stint]

    def hot(self) -> list[tuple[float, float]]:
        spans, now = [], self.at + SETUP_S + self.slowness_s
        for stint in self.stints:
            spans.append((now, now + stint.hot_s))
            now += stint.hot_s + stint.warm_s + RESUME_S
        return spans

    def usd(self) -> float:
        paid_s = SETUP_S + self.slowness_s + sum(stint.hot_s for stint in self.stints)
        stops = self.stints[:-1]
        return ((paid_s + RESUME_S * len(stops)) * USD + sum(stint.warm_s for stint in stops) * DISK_USD) / HOUR


def starts_s(some: Jobs, slots: int, spans: list[tuple[float, float]]) -> list[float] | None:
    """When each job starts, each one as early as it can when its turn comes; None if not all can be served."""
    free = [[begin, end] for begin, end in spans for _ in range(slots)]
    starts = []
    for arrived, service in zip(some.arrived_s, some.service_s, strict=True):
        slot = min((s for s in free if max(s[0], arrived) + service <= s[1]), key=lambda s: s[0], default=None)
        if slot is None:
            return None
        starts.append(max(slot[0], arrived))
        slot[0] = starts[-1] + service
    return starts


def rentals(longest_s: float) -> st.SearchStrategy[list[Rental]]:
    seconds = st.floats(0, longest_s)
    stints = st.lists(st.builds(Stint, hot_s=seconds, warm_s=seconds), min_size=1, max_size=3)
    rental = st.builds(Rental, at=st.floats(0, longest_s), slowness_s=st.floats(0, 900), stints=stints)
    return st.lists(rental, min_size=1, max_size=4)


def some_jobs(latest_s: float, most: int = 20) -> st.SearchStrategy[Jobs]:
    row = st.tuples(st.floats(SETUP_S, latest_s), st.floats(0, 600), st.integers(0, 1))
    return st.lists(row, min_size=1, max_size=most).map(lambda rows: jobs(*rows))


def assert_no_cheaper_schedule(some: Jobs, machines: list[Rental], targets_s: tuple[float, float], on: Terms) -> None:
    """The bound for what a schedule attains is not above what it costs, nor below pure work."""
    spans = [span for machine in machines for span in machine.hot()]
    horizon_s = max(end for _, end in spans)
    some = some.between(0.0, horizon_s)
    starts = starts_s(some, on.slots, spans)
    assume(starts is not None and len(some) > 0)
    late = [0, 0]
    for tier, arrived, start in zip(some.tier, some.arrived_s, starts or (), strict=True):
        late[tier] += start - arrived > targets_s[tier]
    shares = [count / max(1, sum(tier == own for own in some.tier)) for tier, count in enumerate(late)]
    usd = bound(some, on, *zip(targets_s, shares, strict=True), horizon_s=horizon_s, limit_s=HASTY_S).usd
    assert usd <= sum(machine.usd() for machine in machines) + EXACT
    assert usd >= pure_work_usd(some, on) - EXACT


@UNHURRIED
@given(some_jobs(2 * HOUR), rentals(HOUR), st.sampled_from([(0.0, 60.0), (30.0, 300.0)]), st.sampled_from([1, 2]))
def test_no_schedule_that_attains_the_same_is_cheaper(
    some: Jobs, machines: list[Rental], targets_s: tuple[float, float], slots: int
) -> None:
    assert_no_cheaper_schedule(some, machines, targets_s, terms(slots=slots))


@UNHURRIED
@given(some_jobs(3 * DAY), rentals(DAY), st.sampled_from([(0.0, 60.0), (30.0, 300.0)]))
def test_no_schedule_of_several_days_is_cheaper(
    some: Jobs, machines: list[Rental], targets_s: tuple[float, float]
) -> None:
    assert_no_cheaper_schedule(some, machines, targets_s, terms())


@UNHURRIED
@given(some_jobs(3 * DAY), rentals(DAY), st.integers(0, 2))
def test_no_schedule_that_keeps_the_floors_is_cheaper(some: Jobs, machines: list[Rental], standbys: int) -> None:
    long_s = 9 * DAY
    always = Rental(at=0.0, slowness_s=0.0, stints=[Stint(hot_s=long_s, warm_s=0.0)])
    at_once = Stint(hot_s=0.0, warm_s=0.0)
    asleep = [
        Rental(at=at, slowness_s=0.0, stints=[Stint(hot_s=0.0, warm_s=long_s - at - RESUME_S), at_once])
        for at in (SETUP_S * number for number in range(1, standbys + 1))
    ]
    on = terms(hot=Span(1, 20), warm=Span(standbys, 20))
    assert_no_cheaper_schedule(some, [always, *asleep, *machines], (30.0, 300.0), on)


@UNHURRIED
@given(some_jobs(2 * HOUR), st.booleans())
def test_letting_jobs_wait_never_costs_more_than_no_wait(some: Jobs, can_stop: bool) -> None:
    on = terms(can_stop=can_stop)
    usd = bound(some, on, (0.0, 0.0), (0.0, 0.0), horizon_s=4 * HOUR, limit_s=HASTY_S).usd
    assert usd <= zero_wait_usd(some, on, horizon_s=4 * HOUR) + EXACT


# --- it is tight where the answer is known ----------------------------------------------------------------------------


def test_a_lone_job_costs_a_set_up_and_its_work() -> None:
    usd = bound(jobs((40_000, 300, 0)), terms(), (30, 0), horizon_s=DAY).usd
    assert usd == pytest.approx((SETUP_S + 300) * USD / HOUR)


@pytest.mark.parametrize("gap_s", [600.0, 3000.0, 30_000.0], ids=["resume", "resume after long", "set up again"])
@pytest.mark.parametrize("can_stop", [True, False])
def test_an_idle_gap_costs_the_cheapest_way_back(gap_s: float, can_stop: bool) -> None:
    two = jobs((6000, 300, 0), (6300 + gap_s, 300, 0))
    usd = bound(two, terms(can_stop=can_stop), (0, 0), horizon_s=DAY).usd
    assert usd == pytest.approx(zero_wait_usd(two, terms(can_stop=can_stop), horizon_s=DAY), rel=0.02)


def test_jobs_at_once_take_as_many_machines_as_the_target_leaves_room_for() -> None:
    burst = jobs(*[(6000.0, 60.0, 0)] * 6)
    at_once = bound(burst, terms(), (0, 0), horizon_s=DAY).usd
    in_turn = bound(burst, terms(), (300, 0), horizon_s=DAY).usd
    assert at_once == pytest.approx(6 * (SETUP_S + 60) * USD / HOUR)
    assert in_turn == pytest.approx((SETUP_S + 6 * 60) * USD / HOUR)


def test_a_machine_kept_over_midnight_is_paid_and_not_set_up_again() -> None:
    two = jobs((DAY - 900, 300, 0), (DAY + 900, 300, 0))
    usd = bound(two, terms(can_stop=False), (0, 0), horizon_s=2 * DAY).usd
    assert usd == pytest.approx((SETUP_S + 2100) * USD / HOUR, rel=0.02)


def test_the_allowance_of_late_jobs_is_spent_once_and_where_it_saves_most() -> None:
    crowds = [(day * DAY + 40_000, 60.0, 0) for day in range(3) for _ in range(10)]
    lone = (2 * DAY + 80_000, 60.0, 0)
    on = terms(can_stop=False)
    kept = bound(jobs(*crowds, lone), on, (600, 0), horizon_s=3 * DAY).usd
    one_late = bound(jobs(*crowds, lone), on, (600, 1 / 31), horizon_s=3 * DAY).usd
    assert kept == pytest.approx((4 * SETUP_S + 31 * 60) * USD / HOUR)
    assert one_late == pytest.approx((3 * SETUP_S + 31 * 60) * USD / HOUR, rel=0.02)


def test_the_floors_alone_are_paid_without_any_job() -> None:
    usd = bound(jobs(), terms(hot=Span(2, 4), warm=Span(1, 2)), (30, 0), horizon_s=DAY).usd
    assert usd == pytest.approx((2 * USD + DISK_USD) * 24 + SETUP_S * USD / HOUR, rel=0.01)


def test_without_jobs_and_floors_nothing_is_paid() -> None:
    assert bound(jobs(), terms(), (30, 0.05), horizon_s=2 * DAY).usd == 0.0


def test_a_job_longer_than_a_day_is_paid_to_its_end() -> None:
    usd = bound(jobs((6000, 2.5 * DAY, 0)), terms(), (30, 0), horizon_s=3 * DAY).usd
    assert 2.5 * 24 * USD <= usd <= (SETUP_S + 2.5 * DAY) * USD / HOUR + EXACT


# --- how it answers ---------------------------------------------------------------------------------------------------


@UNHURRIED
@given(some_jobs(2 * HOUR, most=4), st.floats(0, 1), st.floats(0, 1))
def test_a_looser_promise_never_costs_more(some: Jobs, share: float, more: float) -> None:
    def usd(late_share: float) -> float:
        return bound(some, terms(), (30, late_share), (300, late_share), horizon_s=4 * HOUR).usd

    assert usd(max(share, more)) <= usd(min(share, more)) + EXACT


def test_a_longer_target_costs_less() -> None:
    some = jobs(*[(4000.0 + 37 * number, 45.0, 0) for number in range(60)])
    usd = [bound(some, terms(), (target, 0.05), horizon_s=6 * HOUR).usd for target in (30, 120, 300, 1200)]
    assert usd == sorted(usd, reverse=True)
    assert usd[-1] < usd[0]


@pytest.mark.parametrize("horizon_s", [DAY, 3 * DAY], ids=["one day", "three days"])
def test_a_promise_that_nobody_can_keep_has_no_finite_bound(horizon_s: float) -> None:
    burst = jobs(*[(6000.0, 600.0, 0)] * 20)
    few = terms(hot=Span(0, 4))
    assert math.isinf(bound(burst, few, (30, 0.0), horizon_s=horizon_s).usd)
    assert math.isfinite(bound(burst, few, (30, 0.9), horizon_s=horizon_s).usd)


def test_days_can_be_solved_in_other_processes() -> None:
    some = jobs(*[(number * 7000.0, 300.0, number % 2) for number in range(1, 24)])
    promises = [Promise(wait_target_s=target, late_share=0.1) for target in (30.0, 300.0)]
    plan = price_days(some, terms(), promises, horizon_s=2 * DAY)
    elsewhere = [solve_day(pickle.loads(pickle.dumps(day))) for day in plan.days]
    assert plan.total(elsewhere).usd == plan.total([solve_day(day) for day in plan.days]).usd


def test_a_search_cut_short_still_gives_a_bound() -> None:
    some = jobs(*[(4000.0 + 37 * number, 45.0 + number % 7, number % 2) for number in range(500)])
    promises = [Promise(wait_target_s=target, late_share=0.05) for target in (30.0, 300.0)]
    [day] = price_days(some, terms(), promises, horizon_s=DAY).days
    cut_short = solve_day(day, limit_s=0.001)
    assert math.isinf(cut_short.solution_usd)
    assert cut_short.gap == 1.0
    assert pure_work_usd(some, terms()) <= cut_short.bound_usd <= zero_wait_usd(some, terms(), horizon_s=DAY)


def test_without_scipy_the_message_says_what_to_install() -> None:
    code = """
import sys
sys.modules["scipy"] = None
from autoscaler.core.errors import SettingsError
from autoscaler.sim.bounds import require_solver
try:
    require_solver()
except SettingsError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'gpu-autoscaler[bounds]'" in said.stdout
