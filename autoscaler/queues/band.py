"""Bands of priorities or scores, by which tiers share one queue."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated

from autoscaler.core.units import Written, plain_number

_NUMBER = r"-?\d+(?:\.\d+)?"
_BAND = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?")


@dataclass(frozen=True, slots=True)
class Band:
    """Scores from `low` to `high`, both included; written ``0..9``, ``10..`` or ``..-1``."""

    low: float = float("-inf")
    high: float = float("inf")

    def overlaps(self, other: Band) -> bool:
        """Whether a score lies in both."""
        return self.low <= other.high and other.low <= self.high

    def __str__(self) -> str:
        return "..".join(plain_number(bound) if math.isfinite(bound) else "" for bound in (self.low, self.high))


def parse_band(value: object) -> Band:
    """A band of scores, or one number for exactly that score.

    Raises:
        ValueError: not of that form, or the lower bound exceeds the upper.
    """
    if isinstance(value, Band):
        return value
    text = str(value).replace(" ", "")
    if re.fullmatch(_NUMBER, text):
        return Band(float(text), float(text))
    match = _BAND.fullmatch(text)
    if match is None:
        raise ValueError("expected a band of scores such as 0..9, 10.. or ..-1, or one number")
    band = Band(float(match[1] or "-inf"), float(match[2] or "inf"))
    if band.low > band.high:
        low, high = plain_number(band.low), plain_number(band.high)
        raise ValueError(f"the lower score {low} exceeds the upper score {high}; expected LOW..HIGH")
    return band


Scores = Annotated[Band, Written(parse_band, "0..9")]
