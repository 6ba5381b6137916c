"""Waits on a logarithmic axis, from "at once" to "never"."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from autoscaler.core.units import format_duration
from autoscaler.sim.report.look import axis

_TICKS = {
    0.001: "1ms", 0.01: "10ms", 0.1: "0.1s", 1.0: "1s", 10.0: "10s", 60.0: "1m", 600.0: "10m",
    3600.0: "1h", 6 * 3600.0: "6h", 86400.0: "1d", 7 * 86400.0: "7d", 70 * 86400.0: "70d",
}  # fmt: skip
NEVER = "never started"


@dataclass(frozen=True, slots=True)
class WaitScale:
    """An axis of waits. What is shorter lies on its floor, what never ends at its ceiling."""

    floor_s: float
    ceiling_s: float

    @classmethod
    def of(cls, targets_s: Iterable[float], longest_s: float) -> WaitScale:
        """The axis on which these targets and the longest wait that ended can be read."""
        targets = list(targets_s)
        floor_s = 10.0 ** math.floor(math.log10(min(10.0, *targets))) / 10.0
        return cls(floor_s, 2.0 * max(longest_s, *targets, 10.0 * floor_s))

    def at(self, wait_s: float) -> float:
        """Where a wait lies."""
        place = min(max(wait_s, self.floor_s), self.ceiling_s)
        return float(f"{place:.4g}")

    def axis(self, title: str, **more: Any) -> dict[str, Any]:
        """The axis itself."""
        ticks = {at: text for at, text in _TICKS.items() if self.floor_s * 0.99 <= at < self.ceiling_s}
        texts = [f"≤ {text}" if at <= self.floor_s * 1.01 else text for at, text in ticks.items()]
        log_floor, log_ceiling = math.log10(self.floor_s), math.log10(self.ceiling_s)
        margin = 0.04 * (log_ceiling - log_floor)
        return axis(
            title,
            type="log",
            range=[log_floor - margin, log_ceiling + margin],
            tickmode="array",
            tickvals=list(ticks),
            ticktext=texts,
            **more,
        )


def spoken_wait(wait_s: float) -> str:
    """A wait in words."""
    if math.isinf(wait_s):
        return NEVER
    return f"{wait_s:.2g}s" if wait_s < 9.5 else format_duration(wait_s)
