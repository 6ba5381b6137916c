"""Figures are written for a person: no exponent, no digits that nobody reads, and no -0."""

from __future__ import annotations

import math

import pytest

from autoscaler.economics.format import format_figure
from autoscaler.economics.interval import Interval, exactly
from autoscaler.economics.tables import Unit


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (290 / 15_000, Unit.USD, "0.0193"),
        (0.000001, Unit.USD, "0.000001"),
        (0.5, Unit.USD, "0.50"),
        (0.0, Unit.USD, "0"),
        (-0.007, Unit.USD, "-0.007"),
        (288.0, Unit.USD, "288.00"),
        (144_000.4, Unit.USD, "144,000"),
        (80.0, Unit.COUNT, "80"),
        (-0.0, Unit.COUNT, "0"),
        (16.47, Unit.COUNT, "16.47"),
        (0.43, Unit.SHARE, "43 %"),
        (-0.0001, Unit.SHARE, "0 %"),
        (0.4567, Unit.SHARE, "45.7 %"),
        (17.38, Unit.NUMBER, "17.38"),
        (math.inf, Unit.COUNT, "∞"),
    ],
)
def test_a_figure_is_written_so(value: float, unit: Unit, text: str) -> None:
    assert format_figure(exactly(value), unit) == text


def test_a_range_is_written_once_where_both_ends_read_the_same() -> None:
    assert format_figure(Interval(0.05, 0.10), Unit.USD) == "0.05 to 0.10"
    assert format_figure(Interval(1.001, 1.002), Unit.USD) == "1.00"
    assert format_figure(None, Unit.USD) == "-"
