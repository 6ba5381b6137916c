from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.demand import TierDemand
from policies.lateness import Lateness, read, write

DAY_S = 86400.0


def queue(waiting: int = 0, oldest_wait_s: float | None = None) -> TierDemand:
    return TierDemand(tier="free", waiting=waiting, oldest_wait_s=oldest_wait_s)


@pytest.mark.parametrize(
    ("late", "patience"),
    [(0.0, 2.0), (40.0, 0.8), (50.0, 0.5), (500.0, 0.5)],
)
def test_patience_falls_as_the_error_budget_is_used_up(late: float, patience: float) -> None:
    assert Lateness(jobs=1000.0, late=late).patience(0.05, 2.0) == pytest.approx(patience)


def test_jobs_grow_late_as_fast_as_they_came_while_the_oldest_is_late() -> None:
    seen = Lateness().seen(queue(30, 60.0), target_s=30.0, per_s=0.5, elapsed_s=10.0)

    assert seen == Lateness(jobs=5.0, late=5.0)


def test_nobody_is_late_while_the_oldest_is_in_time() -> None:
    assert Lateness().seen(queue(30, 29.0), target_s=30.0, per_s=0.5, elapsed_s=10.0).late == 0.0


def test_an_unknown_age_makes_nobody_late() -> None:
    assert Lateness().seen(queue(30), target_s=30.0, per_s=0.5, elapsed_s=10.0).late == 0.0


def test_after_a_day_a_late_job_counts_half() -> None:
    assert Lateness(jobs=100.0, late=10.0).seen(queue(), 30.0, 0.0, DAY_S) == Lateness(50.0, 5.0)


def test_counts_are_stored_as_json_and_read_again() -> None:
    counts = {"pro": Lateness(12.5, 1.25)}

    assert read(write(counts)) == counts


@given(jobs=st.floats(0, 1e6), late=st.floats(0, 1e6), tolerated=st.floats(0.001, 0.5), most=st.floats(1.0, 10.0))
def test_patience_stays_between_a_half_and_the_most(jobs: float, late: float, tolerated: float, most: float) -> None:
    assert 0.5 <= Lateness(jobs, late).patience(tolerated, most) <= most
