"""Figures as a person reads them."""

from __future__ import annotations

import math

from autoscaler.economics.interval import Interval
from autoscaler.economics.tables import Unit

_ENDLESS = "∞"


def format_figure(figure: Interval | None, unit: Unit) -> str:
    """A figure, or the range that it lies in; `-` where there is none."""
    if figure is None:
        return "-"
    low, high = _number(figure.low, unit), _number(figure.high, unit)
    return low if low == high else f"{low} to {high}"


def format_loss(name: str, profit: Interval) -> tuple[str, Interval]:
    """Of a profit that may be negative, who loses how much, as `pro may lose 0 to 0.20 USD`; and that amount."""
    lost = Interval(max(0.0, -profit.high), -profit.low)
    return f"{name} {'loses' if profit.high < 0.0 else 'may lose'} {format_figure(lost, Unit.USD)} USD", lost


def _number(value: float, unit: Unit) -> str:
    if math.isinf(value):
        return _ENDLESS
    if unit is Unit.SHARE:
        percent = round(100.0 * value, 1) + 0.0  # never -0
        return f"{percent:.1f}".removesuffix(".0") + " %"
    if abs(value) >= 1000.0 or (unit is not Unit.USD and value == round(value)):
        return f"{value + 0.0:,.0f}"
    if abs(value) >= 1.0:
        return f"{value:,.2f}"
    return _significant(value)


def _significant(value: float) -> str:
    """Three digits, without an exponent; cents at least."""
    if value == 0.0:
        return "0"
    places = max(2, 2 - math.floor(math.log10(abs(value))))
    digits = f"{value:.{places}f}"
    while digits.endswith("0") and len(digits.partition(".")[2]) > 2:
        digits = digits[:-1]
    return digits
