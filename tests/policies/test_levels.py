from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.levels import HALF_LIFE_S, covering, seen

LEVELS = st.lists(st.floats(0, 1e6), max_size=16)


@pytest.mark.parametrize(("uncovered", "machines"), [(0.01, 3), (0.05, 2), (0.14, 2), (0.16, 1)])
def test_the_fewest_machines_are_found_that_are_enough_for_all_but_a_share(uncovered: float, machines: int) -> None:
    assert covering([85.0, 12.0, 3.0], uncovered) == machines


def test_nothing_seen_needs_no_machine() -> None:
    assert covering([], 0.05) == 0
    assert covering([0.0, 0.0], 0.05) == 0


def test_jobs_count_for_the_machines_needed_while_they_were_there() -> None:
    assert seen([100.0], 3, jobs=5, elapsed_s=10.0) == pytest.approx([100.0, 0.0, 50.0], rel=1e-4)


def test_after_its_half_life_a_job_counts_half() -> None:
    assert seen([80.0, 20.0], 1, jobs=0, elapsed_s=HALF_LIFE_S) == pytest.approx([40.0, 10.0])


@given(levels=LEVELS, needed=st.integers(0, 16), jobs=st.integers(0, 1000), elapsed_s=st.floats(0, 60))
def test_what_was_seen_is_left_as_it_was(levels: list[float], needed: int, jobs: int, elapsed_s: float) -> None:
    before = [*levels]
    seen(levels, needed, jobs, elapsed_s)

    assert levels == before


@given(levels=LEVELS, less=st.floats(0.0, 0.5), more=st.floats(0.5, 1.0))
def test_a_larger_share_never_needs_more_machines(levels: list[float], less: float, more: float) -> None:
    assert covering(levels, more) <= covering(levels, less)
