"""What is computed from numbers between bounds lies between the bounds that are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.economics.interval import Interval, exactly, margin, parse_amount, parse_margin, parse_share, ratio

numbers = st.floats(0.001, 1e6)
intervals = st.tuples(numbers, numbers).map(lambda pair: Interval(min(pair), max(pair)))
places = st.floats(0.0, 1.0)


def inside(interval: Interval, place: float) -> float:
    return min(interval.high, interval.low + (interval.high - interval.low) * place)


def holds(interval: Interval | None, number: float) -> bool:
    assert interval is not None
    slack = 1e-9 * max(1.0, abs(number))
    return interval.low - slack <= number <= interval.high + slack


@given(intervals, intervals, places, places)
def test_whatever_the_numbers_are_the_result_lies_within(a: Interval, b: Interval, at_a: float, at_b: float) -> None:
    x, y = inside(a, at_a), inside(b, at_b)
    assert holds(a + b, x + y)
    assert holds(a - b, x - y)
    assert holds(a * b, x * y)
    assert holds(ratio(a, b), x / y)
    assert holds(margin(a, b), 1.0 - x / y)


@given(numbers, numbers, numbers)
def test_a_margin_rises_with_the_price_and_falls_with_the_cost(cost: float, price: float, more: float) -> None:
    base, dearer = margin(exactly(cost), exactly(price)), margin(exactly(cost), exactly(price + more))
    costlier = margin(exactly(cost + more), exactly(price))
    assert base is not None
    assert dearer is not None
    assert costlier is not None
    assert costlier.low <= base.low <= dearer.low


@pytest.mark.parametrize("divisor", [Interval(0.0, 0.0), Interval(0.0, 2.0), Interval(-1.0, 1.0)])
def test_what_may_be_a_division_by_zero_has_no_value(divisor: Interval) -> None:
    assert ratio(exactly(1.0), divisor) is None
    assert margin(exactly(1.0), divisor) is None


def test_an_amount_is_a_number_or_a_range() -> None:
    assert parse_amount("0.40") == Interval(0.4, 0.4)
    assert parse_amount("200..400") == Interval(200.0, 400.0)
    assert parse_amount("0.05 .. 0.10") == Interval(0.05, 0.10)


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e300", "1e-300", "x", "1..", "..2", "1..2..3", "40%", None])
def test_anything_else_is_no_amount(text: object) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        parse_amount(text)


def test_the_bounds_of_a_range_stand_in_order() -> None:
    with pytest.raises(ValueError, match=r"the lower bound 2 exceeds the upper bound 1"):
        parse_amount("2..1")


def test_a_share_is_a_percentage() -> None:
    assert parse_share("40%") == pytest.approx(0.4)
    with pytest.raises(ValueError, match="such as 40%"):
        parse_share("0.4")


@pytest.mark.parametrize("text", ["100%", "150%"])
def test_no_margin_takes_the_whole_price(text: str) -> None:
    with pytest.raises(ValueError, match="100%"):
        parse_margin(text)
