"""One measured number and what it must not exceed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A measured number; the smaller, the better."""

    what: str
    value: float
    unit: str
    target: float | None = None
    """The most that is acceptable; None for a number that is only of interest."""

    @property
    def met(self) -> bool:
        """Whether the target is kept, if there is one."""
        return self.target is None or self.value <= self.target


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the values that at least so many per cent of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100.0) - 1)]
