"""A stated figure is held to what it says: rounded as it is written, about, or between bounds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.economics.claims import Verdict, parse_claim
from autoscaler.economics.interval import Interval, exactly


@pytest.mark.parametrize(
    ("text", "computed", "verdict"),
    [
        ("0.019", 290 / 15_000, Verdict.FOLLOWS),
        ("0.0190", 290 / 15_000, Verdict.NO),
        ("0.002", 0.00242, Verdict.FOLLOWS),
        ("290", 288.0, Verdict.FOLLOWS),
        ("290", 284.9, Verdict.NO),
        ("291", 288.0, Verdict.NO),
        ("1000000", 960_000.0, Verdict.FOLLOWS),
        ("1000000", 864_000.0, Verdict.NO),
        ("~1.50", 1.57, Verdict.FOLLOWS),
        ("1.50", 1.57, Verdict.NO),
        ("~1.50", 2.0985, Verdict.NO),
        ("43%", 0.434, Verdict.FOLLOWS),
        ("43%", 0.436, Verdict.NO),
        ("0", 0.4, Verdict.FOLLOWS),
        ("..0", -3.0, Verdict.FOLLOWS),
        ("..-1", -3.0, Verdict.FOLLOWS),
        ("..0", 1.0, Verdict.NO),
        ("1000..", 5000.0, Verdict.FOLLOWS),
        ("1000..", 900.0, Verdict.NO),
        ("350..400", 360.0, Verdict.FOLLOWS),
    ],
)
def test_a_figure_follows_if_it_rounds_to_what_is_stated(text: str, computed: float, verdict: Verdict) -> None:
    assert parse_claim(text).verdict(exactly(computed)) is verdict


@pytest.mark.parametrize(
    ("computed", "verdict"),
    [
        (Interval(350.0, 400.0), Verdict.FOLLOWS),
        (Interval(324.0, 360.0), Verdict.IN_PART),
        (Interval(300.0, 500.0), Verdict.IN_PART),
        (Interval(100.0, 200.0), Verdict.NO),
        (None, Verdict.UNKNOWN),
    ],
)
def test_a_range_follows_only_as_a_whole(computed: Interval | None, verdict: Verdict) -> None:
    assert parse_claim("350..400").verdict(computed) is verdict


def test_the_difference_is_that_of_the_bound_which_is_left_farthest() -> None:
    claim = parse_claim("100..200")
    assert claim.difference(Interval(50.0, 220.0)) == pytest.approx(-0.5)
    assert claim.difference(Interval(90.0, 300.0)) == pytest.approx(0.5)
    assert claim.difference(Interval(100.0, 200.0)) is None
    assert claim.difference(exactly(math.inf)) is None
    assert parse_claim("..0").difference(exactly(5.0)) is None


@given(st.decimals(-999_999, 999_999, places=3))
def test_each_number_follows_from_itself(number: object) -> None:
    assert parse_claim(f"{number}").verdict(exactly(float(f"{number}"))) is Verdict.FOLLOWS


@pytest.mark.parametrize("text", ["", "~", "..", "about 3", "nan", "1e5", "1..2..3", "3 USD", None])
def test_anything_else_is_no_claim(text: object) -> None:
    with pytest.raises(ValueError, match="expected a figure such as"):
        parse_claim(text)


def test_the_bounds_of_a_claim_stand_in_order() -> None:
    with pytest.raises(ValueError, match="the lower bound 2 exceeds the upper bound 1"):
        parse_claim("2..1")
