"""A wish rises at once, falls once a window, and never flaps."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.hold import Held

WINDOW_S = 300.0


def values(wishes: list[tuple[float, int]], held: Held | None = None) -> list[int]:
    """What stands after each of the wishes, given as time and number."""
    held, standing = held or Held(), []
    for now, wish in wishes:
        held = held.take(wish, now, WINDOW_S)
        standing.append(held.value)
    return standing


def test_the_worked_example() -> None:
    wishes = [(-10.0, 3), (0.0, 1), (100.0, 2), (110.0, 1), (299.0, 1), (300.0, 1), (599.0, 1), (600.0, 1)]

    assert values(wishes) == [3, 3, 3, 3, 3, 2, 2, 1]


def test_a_wish_as_high_as_before_starts_the_window_again() -> None:
    assert values([(0.0, 2), (10.0, 1), (300.0, 2), (310.0, 1), (609.0, 1), (610.0, 1)]) == [2, 2, 2, 2, 2, 1]


def test_it_tells_when_it_falls() -> None:
    held = Held().take(2, 0.0, WINDOW_S)
    assert held.falls_in_s(0.0, WINDOW_S) is None

    held = held.take(1, 10.0, WINDOW_S)

    assert held.falls_in_s(110.0, WINDOW_S) == 200.0


def test_a_clock_set_back_puts_the_fall_off_by_no_more_than_a_window() -> None:
    assert values([(0.0, 2), (7200.0, 1), (0.0, 1), (299.0, 1), (300.0, 1)]) == [2, 2, 2, 2, 1]


def test_it_is_read_back_as_it_was_written() -> None:
    held = Held(3, 10.0, 1)

    assert Held(**json.loads(json.dumps(held.state()))) == held


wishes = st.lists(st.tuples(st.floats(0, 200), st.integers(0, 9)), min_size=1, max_size=60).map(
    lambda steps: [(sum(step for step, _ in steps[: n + 1]), wish) for n, (_, wish) in enumerate(steps)]
)


@given(wishes)
def test_it_never_stands_below_the_present_wish(ticks: list[tuple[float, int]]) -> None:
    assert all(value >= wish for value, (_, wish) in zip(values(ticks), ticks, strict=True))


@given(wishes)
def test_it_falls_at_most_once_a_window(ticks: list[tuple[float, int]]) -> None:
    standing = zip(ticks, values(ticks), strict=True)
    falls = [now for ((_, before), ((now, _), after)) in pairwise(standing) if after < before]

    assert all(later - earlier >= WINDOW_S - 1e-6 for earlier, later in pairwise(falls))


@given(wishes)
def test_it_falls_to_no_less_than_the_highest_wish_of_the_last_window(ticks: list[tuple[float, int]]) -> None:
    for n, value in enumerate(values(ticks)):
        now = ticks[n][0]
        assert value >= max(wish for at, wish in ticks[: n + 1] if now - at < WINDOW_S - 1e-6)


@given(wishes, st.integers(0, 9))
def test_a_constant_wish_is_reached_within_two_windows_and_never_swings(
    ticks: list[tuple[float, int]], constant: int
) -> None:
    held = Held()
    for now, wish in ticks:
        held = held.take(wish, now, WINDOW_S)

    standing = [held.value, *values([(ticks[-1][0] + 10.0 * n, constant) for n in range(63)], held)]

    assert sorted(standing, reverse=standing[0] > constant) == standing
    assert standing[-1] == constant


@given(st.integers(0, 9), st.integers(0, 9))
def test_from_one_constant_wish_to_another_it_changes_once(before: int, after: int) -> None:
    standing = values([(10.0 * n, before if n < 50 else after) for n in range(200)])

    assert sum(one != other for one, other in pairwise(standing)) == (before != after)


@pytest.mark.parametrize("wish", [0, 1, 5])
def test_the_first_wish_stands_at_once(wish: int) -> None:
    assert values([(0.0, wish)]) == [wish]
