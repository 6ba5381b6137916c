"""The time of a simulation: its axis, and the equal parts that a chart sums up.

A chart never holds jobs or machines, only what they come to in each part: two weeks are as light as two hours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from autoscaler.sim.report.look import axis

_MINUTE_S, _HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
FINE = 2000
"""Parts that are about a pixel wide."""
_WIDTHS_S = (
    1.0,
    5.0,
    10.0,
    30.0,
    *(n * _MINUTE_S for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR_S for n in (1, 2, 4, 6, 12)),
)
_MARGIN = 0.007
"""Of the time shown, on either side: marks at the very beginning stay clear of the labels."""
_FIRST_DAY = datetime(2001, 1, 1)  # noqa: DTZ001
"""Stands for the beginning: a date axis finds good ticks at every zoom, and its dates show as the day of this year."""


def moment(time_s: float) -> str:
    """A time of the simulation as the axis takes it."""
    return (_FIRST_DAY + timedelta(seconds=round(time_s))).isoformat()


def spoken(time_s: float) -> str:
    """A time of the simulation as the axis shows it: `day 3, 04:10:25`."""
    days, rest = divmod(round(time_s), int(DAY_S))
    return f"day {days + 1}, {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"


def time_axis(until_s: float, **more: Any) -> dict[str, Any]:
    """The axis of simulated time."""
    margin_s = _MARGIN * until_s
    return axis(
        "simulated time (day, hour)",
        type="date",
        range=[moment(-margin_s), moment(until_s + margin_s)],
        hoverformat="day %-j, %H:%M",
        tickformatstops=[
            {"dtickrange": [None, _MINUTE_S * 1000], "value": "%H:%M:%S\nday %-j"},
            {"dtickrange": [_MINUTE_S * 1000, (DAY_S - 1) * 1000], "value": "%H:%M\nday %-j"},
            {"dtickrange": [DAY_S * 1000, None], "value": "day %-j"},
        ],
        **more,
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """A simulation's time in equal parts; the last one may be shorter."""

    width_s: float
    until_s: float

    @classmethod
    def at_most(cls, count: int, until_s: float) -> Parts:
        """The narrowest parts of a width people count in, so that there are no more of them than this."""
        days = math.ceil(until_s / count / DAY_S) * DAY_S
        return cls(next((width_s for width_s in _WIDTHS_S if until_s <= width_s * count), days), until_s)

    @classmethod
    def of_account(cls, until_s: float) -> Parts:
        """Days, or hours or minutes where there are not three of them."""
        return cls(next((w for w in (DAY_S, _HOUR_S) if until_s >= 3 * w), _MINUTE_S), until_s)

    def __len__(self) -> int:
        return max(1, math.ceil(self.until_s / self.width_s))

    @property
    def name(self) -> str:
        """How long one is, in words: `10 min`."""
        for unit_s, one, many in ((DAY_S, "day", "days"), (_HOUR_S, "hour", "h"), (_MINUTE_S, "minute", "min")):
            if self.width_s >= unit_s:
                return one if self.width_s == unit_s else f"{self.width_s / unit_s:g} {many}"
        return f"{self.width_s:g} s"

    def place(self, time_s: float) -> int:
        """Which part a time is in; the end belongs to the last."""
        return min(int(time_s / self.width_s), len(self) - 1)

    def starts(self) -> dict[str, Any]:
        """Where the parts begin, as a chart's series takes it."""
        return {"x0": moment(0.0), "dx": self.width_s * 1000}

    def middle(self, place: int) -> str:
        """The middle of one part, as the axis takes it."""
        return moment((place + 0.5) * self.width_s)

    def totals(self, spans: Iterable[tuple[float, float, float]]) -> list[float]:
        """In each part, the sum of rate × time over spans of from, to (in seconds) and rate (a second)."""
        own = [0.0] * len(self)
        steps = [0.0] * len(self)
        for from_s, to_s, rate in spans:
            first, last = self.place(from_s), self.place(to_s)
            if first == last:
                own[first] += (to_s - from_s) * rate
            else:
                own[first] += ((first + 1) * self.width_s - from_s) * rate
                own[last] += (to_s - last * self.width_s) * rate
                steps[first + 1] += rate
                steps[last] -= rate
        through = 0.0
        for place, step in enumerate(steps):
            through += step
            own[place] += through * self.width_s
        return own

    def means(self, spans: Iterable[tuple[float, float, float]]) -> list[float]:
        """In each part, the mean rate: of spans of rate 1, how many there were at a time."""
        lengths_s = (min(self.width_s, self.until_s - place * self.width_s) for place in range(len(self)))
        totals = self.totals(spans)
        return [total / length_s if length_s else 0.0 for total, length_s in zip(totals, lengths_s, strict=True)]
