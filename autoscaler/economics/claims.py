"""An author's figure, and whether it follows from his assumptions."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from autoscaler.economics.interval import Interval

_ABOUT = 0.05
_NUMBER = re.compile(r"(-?\d+(?:\.(\d+))?)(%?)", re.ASCII)
_EXPECTED = "expected a figure such as 290, ~290, 43%, 350..400, 1000.. or ..0"


class Verdict(StrEnum):
    """What becomes of a claim."""

    FOLLOWS = "follows"
    """All that was computed lies within it."""
    IN_PART = "in part"
    """Some of what was computed does."""
    NO = "does not follow"
    """Nothing of it does."""
    UNKNOWN = "cannot be computed"
    """The figure has no value: it would be a division by zero."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A stated figure, or a range of them."""

    text: str
    bounds: Interval
    """What is stated."""
    allowed: Interval
    """What rounds to it as it is written."""

    def verdict(self, computed: Interval | None) -> Verdict:
        """Whether what was computed is what was stated."""
        if computed is None:
            return Verdict.UNKNOWN
        if self.allowed.low <= computed.low and computed.high <= self.allowed.high:
            return Verdict.FOLLOWS
        return (
            Verdict.IN_PART if computed.low <= self.allowed.high and self.allowed.low <= computed.high else Verdict.NO
        )

    def difference(self, computed: Interval | None) -> float | None:
        """The farthest that what was computed lies outside of what was stated: above it, or below it with a minus.

        As a share of the stated bound it leaves; None within the bounds, and where there is no such share.
        """
        if computed is None:
            return None
        beyond = [
            (computed.high - self.bounds.high, self.bounds.high),
            (computed.low - self.bounds.low, self.bounds.low),
        ]
        outside = [
            gap / abs(bound)
            for (gap, bound), sign in zip(beyond, (1.0, -1.0), strict=True)
            if gap * sign > 0.0 and bound and math.isfinite(bound) and math.isfinite(gap)
        ]
        return max(outside, key=abs, default=None)


def parse_claim(value: object) -> Claim:
    """A claim: `290` as it is rounded, `~290` within 5 %, `43%`, `350..400`, `1000..` (or more), `..0` (or less).

    Rounded as it is written: `0.006` is all from 0.0055 to 0.0065. Zeros at the end of a whole number may be rounding,
    so `290` is 285 to 295, though never more than 5 % off: `1000000` is 950,000 to 1,050,000.

    Raises:
        ValueError: not of that form, or the lower bound exceeds the upper.
    """
    if isinstance(value, Claim):
        return value
    text = str(value).strip()
    about = text.startswith("~")
    low, dots, high = text.removeprefix("~").partition("..")
    if not (low or high):
        raise ValueError(_EXPECTED)
    if not dots:
        high = low
    lowest, low_slack = _bound(low, about=about) if low else (-math.inf, 0.0)
    highest, high_slack = _bound(high, about=about) if high else (math.inf, 0.0)
    if lowest > highest:
        raise ValueError(f"the lower bound {low} exceeds the upper bound {high}; expected LOW..HIGH")
    return Claim(text, Interval(lowest, highest), Interval(lowest - low_slack, highest + high_slack))


def _bound(text: str, *, about: bool) -> tuple[float, float]:
    """A number, and how far what rounds to it may be away."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise ValueError(_EXPECTED)
    digits, decimals, percent = found.groups()
    unit = 0.01 if percent else 1.0
    number = float(digits) * unit
    near = abs(number) * _ABOUT
    if decimals:
        slack = 0.5 * unit / 10.0 ** len(decimals)
    else:
        zeros = len(digits) - len(digits.rstrip("0")) if number else 0
        slack = max(0.5 * unit, min(near, 0.5 * unit * 10.0**zeros))
    slack = max(slack, near) if about else slack
    return number, slack * (1.0 + 1e-9)
