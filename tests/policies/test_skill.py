"""How far a forecast is trusted."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.skill import Skill

Pairs = list[tuple[float, float]]
"""Changes foretold and those that came."""


def after(pairs: Pairs) -> Skill:
    skill = Skill()
    for foretold, came in pairs:
        skill = skill.scored(foretold, came)
    return skill


def test_what_always_comes_as_foretold_is_believed_in_full() -> None:
    skill = after([(1.0, 1.0), (-2.0, -2.0)] * 50)

    assert (skill.weight, skill.skill) == pytest.approx((1.0, 1.0))


def test_what_comes_by_half_is_believed_by_half() -> None:
    assert after([(1.0, 0.5), (-2.0, -1.0)] * 50).weight == pytest.approx(0.5)


def test_what_comes_more_than_foretold_is_not_believed_more_than_in_full() -> None:
    assert after([(1.0, 3.0), (-1.0, -3.0)] * 50).weight == 1.0


@pytest.mark.parametrize(
    "pairs", [[], [(0.0, 1.0)], [(1.0, -1.0), (-1.0, 1.0)] * 50, [(1.0, 0.0)] * 50, [(0.0, 0.0)] * 50]
)
def test_nothing_foretold_or_the_contrary_of_what_came_is_not_believed(pairs: Pairs) -> None:
    assert (after(pairs).weight, after(pairs).skill) == (0.0, 0.0)


def test_a_single_success_is_believed_only_as_far_as_it_cannot_be_chance() -> None:
    assert after([(1.0, 0.9), *[(0.1, 0.5), (0.1, -0.5)] * 4]).weight < 0.3


def test_a_habit_that_turns_round_is_not_believed_after_a_day() -> None:
    believed = after([(1.0, 1.0), (-1.0, -1.0)] * 300)
    doubted = believed
    for foretold, came in [(1.0, -1.0), (-1.0, 1.0)] * 48:
        doubted = doubted.scored(foretold, came)

    assert believed.weight == pytest.approx(1.0)
    assert doubted.weight == 0.0


def test_chance_earns_no_weight_more_often_than_not() -> None:
    rng = random.Random(5)
    weights = [after([(rng.gauss(0, 0.3), rng.gauss(0, 1)) for _ in range(300)]).weight for _ in range(100)]

    assert sum(weight == 0.0 for weight in weights) > 80


changes = st.floats(-100, 100, allow_subnormal=False).map(lambda value: round(value, 4))


@given(st.lists(st.tuples(changes, changes), max_size=30))
def test_weight_and_skill_are_shares(pairs: Pairs) -> None:
    skill = after(pairs)

    assert 0.0 <= skill.weight <= 1.0
    assert 0.0 <= skill.skill <= 1.0 + 1e-9
