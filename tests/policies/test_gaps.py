"""The law of idle gaps and what it says of the last machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.gaps import LEAST_S, Gaps

MINUTE, HOUR = 60.0, 3600.0


def of(*gaps_s: float) -> Gaps:
    gaps = Gaps()
    for gap_s in gaps_s:
        gaps = gaps.learned(gap_s)
    return gaps


def test_nothing_is_known_before_a_few_gaps() -> None:
    few, enough = of(*[10 * MINUTE] * 5), of(*[10 * MINUTE] * 6)

    assert (few.chance(0.0, HOUR), few.worth_running(0.0, HOUR)) == (0.0, False)
    assert (enough.chance(0.0, HOUR), enough.worth_running(0.0, HOUR)) == (1.0, True)


@pytest.mark.parametrize(
    ("idle_s", "within_s", "chance"),
    [
        (0.0, 5 * MINUTE, 0.0),
        (0.0, 15 * MINUTE, 0.5),
        (0.0, 7 * HOUR, 1.0),
        (30 * MINUTE, HOUR, 0.0),
        (30 * MINUTE, 7 * HOUR, 1.0),
        (40 * HOUR, HOUR, 0.0),
    ],
)
def test_the_chance_that_a_gap_ends_in_time_is_the_share_of_those_that_lasted_so_long(
    idle_s: float, within_s: float, chance: float
) -> None:
    assert of(*[10 * MINUTE, 5 * HOUR] * 10).chance(idle_s, within_s) == pytest.approx(chance, abs=0.02)


@pytest.mark.parametrize(
    ("idle_s", "wake_s", "worth"),
    [
        (0.0, 25 * MINUTE, True),  # 25 x 0.5 > 10
        (9 * MINUTE, 25 * MINUTE, True),
        (12 * MINUTE, 25 * MINUTE, False),  # the short ones are over: 25 x 1 < 290
        (0.0, 15 * MINUTE, False),  # 15 x 0.5 < 10
        (4.5 * HOUR, HOUR, True),
        (40 * HOUR, 40 * HOUR, False),  # longer than any
    ],
)
def test_a_machine_runs_on_while_the_next_job_is_likelier_to_be_near_than_waiting_is_dear(
    idle_s: float, wake_s: float, worth: bool
) -> None:
    assert of(*[10 * MINUTE, 5 * HOUR] * 10).worth_running(idle_s, wake_s) is worth


def test_old_gaps_fade() -> None:
    assert of(*[10 * MINUTE] * 100, *[5 * HOUR] * 100).chance(0.0, HOUR) < 0.15


@pytest.mark.parametrize("gap_s", [0.0, 1.0, LEAST_S, 1e9])
def test_any_gap_has_a_bin(gap_s: float) -> None:
    assert sum(of(gap_s).counts) == 1.0


@given(st.lists(st.floats(1.0, 1e6), min_size=6), st.floats(0.0, 2e5), st.floats(0.0, 2e5), st.floats(0.0, 2e5))
def test_more_time_never_makes_the_end_less_likely(gaps: list[float], idle_s: float, a: float, b: float) -> None:
    law = of(*gaps)

    assert 0.0 <= law.chance(idle_s, min(a, b)) <= law.chance(idle_s, max(a, b)) + 1e-9 <= 1.0 + 2e-9
