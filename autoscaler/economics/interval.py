"""Numbers that are known to lie between two bounds: ``0.40`` or ``200..400``.

What is computed from them lies between bounds, too (interval arithmetic: Moore, 1966). The bounds are as near as they
can be where each number enters a formula once, which all formulas here hold to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Annotated

from autoscaler.core.units import Written

_LEAST, _MOST = 1e-12, 1e15
"""Beyond any price, count or share; within them no product or quotient overflows."""


@dataclass(frozen=True, slots=True)
class Interval:
    """All numbers from `low` to `high`; infinite where something is never reached."""

    low: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Interval) -> Interval:
        return Interval(self.low - other.high, self.high - other.low)

    def __mul__(self, other: Interval) -> Interval:
        return over(lambda a, b: a * b, self, other)

    def __truediv__(self, other: Interval) -> Interval:
        """The quotient.

        Raises:
            ZeroDivisionError: the other may be zero.
        """
        if other.low <= 0.0 <= other.high:
            raise ZeroDivisionError
        return over(lambda a, b: a / b, self, other)

    def map(self, rising: Callable[[float], float]) -> Interval:
        """A function that never falls, of all these numbers."""
        return Interval(rising(self.low), rising(self.high))


def exactly(number: float) -> Interval:
    """A number that is known."""
    return Interval(number, number)


ZERO, ONE = exactly(0.0), exactly(1.0)


def over(function: Callable[..., float], *arguments: Interval) -> Interval:
    """A function of numbers between bounds, if it only rises or only falls with each of them."""
    values = [function(*corner) for corner in product(*((each.low, each.high) for each in arguments))]
    return Interval(min(values), max(values))


def total(parts: Iterable[Interval]) -> Interval:
    """The sum."""
    return sum(parts, ZERO)


def ratio(part: Interval, whole: Interval) -> Interval | None:
    """The quotient; None where the divisor may be zero."""
    try:
        return part / whole
    except ZeroDivisionError:
        return None


def margin(cost: Interval, price: Interval) -> Interval | None:
    """What is left of a price, as a share of it: 1 − cost ÷ price. None where the price may be zero."""
    share = ratio(cost, price)
    return None if share is None else ONE - share


def parse_number(text: str) -> float:
    """A number of 0 or more.

    Raises:
        ValueError: it is none, or so large or small that it cannot be meant.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if number == 0.0 or _LEAST <= number <= _MOST:
        return number
    raise ValueError(f"expected a number: 0, or from {_LEAST:g} to {_MOST:g}")


def parse_share(text: str) -> float:
    """A fraction written as a percentage, such as ``40%``.

    Raises:
        ValueError: it is none.
    """
    if not text.endswith("%"):
        raise ValueError("expected a percentage, such as 40%")
    return parse_number(text.removesuffix("%").rstrip()) / 100.0


def parse_amount(value: object) -> Interval:
    """A number, or a range of them written ``200..400``.

    Raises:
        ValueError: not of that form, or the lower bound exceeds the upper.
    """
    if isinstance(value, Interval):
        return value
    try:
        low, dots, high = str(value).partition("..")
        amount = Interval(parse_number(low), parse_number(high if dots else low))
    except ValueError as error:
        raise ValueError(f"{error}, or a range such as 200..400") from error
    if amount.low > amount.high:
        raise ValueError(f"the lower bound {low.strip()} exceeds the upper bound {high.strip()}; expected LOW..HIGH")
    return amount


def _parse_positive(value: object) -> Interval:
    amount = parse_amount(value)
    if amount.low == 0.0:
        raise ValueError("expected more than 0")
    return amount


def _parse_plain(value: object) -> float:
    return value if isinstance(value, float) else parse_number(str(value))


def _parse_percentage(value: object) -> float:
    share = value if isinstance(value, float) else parse_share(str(value))
    if share > 1.0:
        raise ValueError("expected at most 100%")
    return share


def parse_margin(value: object) -> float:
    """A margin written as a percentage, such as ``40%``.

    Raises:
        ValueError: it is none, or leaves nothing for the cost.
    """
    share = _parse_percentage(value)
    if share == 1.0:
        raise ValueError("expected less than 100%: at that margin nothing may be left for the cost")
    return share


Amount = Annotated[Interval, Written(parse_amount, "0.05..0.10")]
Positive = Annotated[Interval, Written(_parse_positive, "200..400")]
Plain = Annotated[float, Written(_parse_plain, "15")]
Share = Annotated[float, Written(_parse_percentage, "40%")]
Margin = Annotated[float, Written(parse_margin, "40%")]
