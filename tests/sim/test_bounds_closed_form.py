from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.units import Span
from autoscaler.sim.bounds import Jobs, Terms, pure_work_usd, regret, zero_wait_usd

HOUR = 3600.0
A_JOB = st.tuples(st.integers(0, 90), st.integers(0, 40))
SOME_JOBS = st.lists(A_JOB, max_size=6).map(sorted)


def terms(**changes: Any) -> Terms:
    """By default a machine-second costs one dollar, a set-up 30 and a resume 5 and a tenth of a dollar a second."""
    values: dict[str, Any] = {
        "slots": 1,
        "setup_s": 30.0,
        "resume_s": 5.0,
        "usd_per_hour": HOUR,
        "disk_usd_per_hour": 0.1 * HOUR,
        "can_stop": False,
        "hot": Span(0, 100),
        "warm": Span(0, 100),
    }
    return Terms(**(values | changes))


def jobs(*pairs: tuple[float, float]) -> Jobs:
    arrived, service = zip(*pairs, strict=True) if pairs else ((), ())
    return Jobs(arrived_s=arrived, service_s=service, tier=[0] * len(pairs))


def rosters(some: Sequence[tuple[float, float]]) -> Iterator[list[list[tuple[float, float]]]]:
    """All ways to give each job to a machine that has none at the time."""
    if not some:
        yield []
        return
    *others, last = some
    for roster in rosters(others):
        yield [*roster, [last]]
        for place, machine in enumerate(roster):
            if sum(machine[-1]) <= last[0]:
                yield [*roster[:place], [*machine, last], *roster[place + 1 :]]


def cost_usd(machine: Sequence[tuple[float, float]], on: Terms) -> float:
    """Of one machine that is HOT for these jobs, with each gap bridged in the cheapest way."""
    total = on.setup_s
    for (arrived, service), (following, _) in pairwise(machine):
        gap = following - arrived - service
        stopped = on.resume_s + 0.1 * (gap - on.resume_s) if on.can_stop and gap >= on.resume_s else math.inf
        total += min(gap, stopped, on.setup_s)
    return total + sum(service for _, service in machine)


def test_pure_work_pays_for_slots_at_work_alone() -> None:
    assert pure_work_usd(jobs((0, 30), (500, 10)), terms(slots=4)) == pytest.approx(10.0)


@given(SOME_JOBS, st.booleans())
def test_zero_wait_is_the_cheapest_of_all_ways_to_serve_every_job_at_once(
    some: list[tuple[int, int]], can_stop: bool
) -> None:
    on = terms(can_stop=can_stop)
    cheapest = min(sum(cost_usd(machine, on) for machine in roster) for roster in rosters(some))
    assert zero_wait_usd(jobs(*some), on, horizon_s=1000.0) == pytest.approx(cheapest)


@pytest.mark.parametrize(
    ("gap", "bridge"),
    [(4, 4.0), (10, 5.5), (200, 24.5), (300, 30.0)],
    ids=["stay hot", "resume", "resume after long", "set up again"],
)
def test_an_idle_gap_costs_the_cheapest_way_back(gap: float, bridge: float) -> None:
    two = jobs((0, 10), (10 + gap, 10))
    assert zero_wait_usd(two, terms(can_stop=True), horizon_s=1000.0) == pytest.approx(30.0 + 20.0 + bridge)


def test_slots_are_filled_before_another_machine_is_used() -> None:
    burst = jobs(*[(0.0, 10.0)] * 5)
    assert zero_wait_usd(burst, terms(slots=4), horizon_s=100.0) == pytest.approx(2 * (30.0 + 10.0))


def test_the_floor_of_hot_is_paid_from_the_end_of_its_set_up_to_the_end() -> None:
    on = terms(hot=Span(2, 4))
    assert zero_wait_usd(jobs(), on, horizon_s=100.0) == pytest.approx(2 * 100.0)
    assert zero_wait_usd(jobs((50, 10)), on, horizon_s=100.0) == pytest.approx(2 * 100.0)
    assert zero_wait_usd(jobs((20, 5)), on, horizon_s=100.0) == pytest.approx(2 * 100.0 + 10.0), "HOT before the floor"


def test_nothing_costs_nothing() -> None:
    assert zero_wait_usd(jobs(), terms(), horizon_s=100.0) == 0.0
    assert pure_work_usd(jobs(), terms()) == 0.0


def test_regret_is_cost_over_bound() -> None:
    assert regret(3.0, 2.0) == pytest.approx(1.5)
    assert regret(0.0, 0.0) == 1.0
    assert math.isinf(regret(1.0, 0.0))
