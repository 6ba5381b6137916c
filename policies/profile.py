"""What a week usually looks like: the work that comes in each quarter of an hour, and how far it strays from that.

Work is counted in slots that it keeps busy: jobs per second times the seconds that a slot works on one. Times are UTC.
Older weeks fade, as in Autopilot's moving windows (Rzadca et al., EuroSys 2020): the newest counts for a quarter.

Little history is stretched. What is usual on a Tuesday at 08:45 is the mean of the Tuesdays seen and, counting as one
more week, of that time on all days; what is usual at a time of day is the mean of the days seen and, counting as one
more day, of all times. Neighbours are averaged, for a quarter of an hour alone is mostly chance. Worked example: the
only Tuesday seen took 3 slots, five days together 2 on average, all times 0.5: the time of day takes
(5 × 2 + 0.5) / 6 = 1.75, so that Tuesday is expected to take (3 + 1.75) / 2 = 2.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

SLOT_S = 900.0
DAY = 96
"""Slots of a day …"""
WEEK = 7 * DAY
"""… and of a week."""

_MOST_WEEKS = 3.0
"""Against a new week, the old ones together count for no more than so many."""
_DIGITS = 4
_NEAR = (1, 2, 1)
_REACH = len(_NEAR) // 2
_DAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")
"""The first day of the epoch was a Thursday."""


def slot_of(at: float) -> int:
    """The quarter of an hour, counted from the epoch, that a time (epoch seconds) lies in."""
    return int(at // SLOT_S)


def say_slot(slot: int) -> str:
    """A slot as a person would say it: `Tuesday 08:45 UTC`."""
    day, quarter = divmod(slot, DAY)
    return f"{_DAYS[day % 7]} {quarter // 4:02}:{quarter % 4 * 15:02} UTC"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is usual in the slots to come, and in a few before."""

    first: int
    """The first of them, counted from the epoch."""
    work: Sequence[float]
    """By slot, in slots kept busy."""
    spread: Sequence[float]
    """How far the work of each strays from that, on average, in the same unit."""

    def at(self, at: float, margin: float = 0.0) -> float:
        """Work at a moment (epoch seconds) with so many spreads on top: between the middles of two slots, a line."""
        place = min(max(at / SLOT_S - 0.5 - self.first, 0.0), len(self.work) - 1.0)
        below = min(int(place), len(self.work) - 2)
        low, high = self._high(below, margin), self._high(below + 1, margin)
        return low + (high - low) * (place - below)

    def peak(self, since: float, until: float, margin: float = 0.0) -> tuple[float, float]:
        """When work is highest between two moments, and how high, with so many spreads on top."""
        first = max(0, math.ceil(since / SLOT_S - 0.5) - self.first)
        middles = slice(first, math.floor(until / SLOT_S - 0.5) - self.first + 1)
        tops = [work + margin * each for work, each in zip(self.work[middles], self.spread[middles], strict=True)]
        ends = [(since, self.at(since, margin)), (until, self.at(until, margin))]
        if tops:
            top = max(tops)
            ends.append(((self.first + first + tops.index(top) + 0.5) * SLOT_S, top))
        return max(ends, key=lambda end: end[1])

    def _high(self, place: int, margin: float) -> float:
        return self.work[place] + margin * self.spread[place]


@dataclass(frozen=True, slots=True)
class Profile:
    """One pool's week. The lists have one number for each slot of it."""

    work: Sequence[float] = (0.0,) * WEEK
    spread: Sequence[float] = (0.0,) * WEEK
    weeks: Sequence[float] = (0.0,) * WEEK
    """In how many weeks each slot was seen, up to as many as count."""
    slots: int = 0
    """Slots seen, all in all."""
    mean_work: float = 0.0
    """Of all slots; the last week counts."""
    mean_spread: float = 0.0

    def learned(self, slot: int, work: float, usual: float) -> Profile:
        """This profile after a slot that took so much work, while another amount was usual."""
        place, miss = slot % WEEK, abs(work - usual)
        seen = self.weeks[place]
        weight = 1.0 / (seen + 1.0)
        share = 1.0 / (min(self.slots, WEEK) + 1.0)
        return Profile(
            work=_moved(self.work, place, work, weight),
            spread=_moved(self.spread, place, miss, weight),
            weeks=_with(self.weeks, place, min(seen + 1.0, _MOST_WEEKS)),
            slots=self.slots + 1,
            mean_work=self.mean_work + share * (work - self.mean_work),
            mean_spread=self.mean_spread + share * (miss - self.mean_spread),
        )

    def outlook(self, first: int, count: int) -> Outlook:
        """What is usual in so many slots from this one on."""
        wanted = [self._stretched(slot) for slot in range(first - _REACH, first + count + _REACH)]
        return Outlook(first, _smooth([work for work, _ in wanted]), _smooth([spread for _, spread in wanted]))

    def _stretched(self, slot: int) -> tuple[float, float]:
        """Work and spread of a slot, from as little history as there is."""
        place, time = slot % WEEK, slot % DAY
        weeks, seen = self.weeks[time::DAY], self.weeks[place]
        days = sum(weeks) + 1.0
        work, spread = (
            (seen * values[place] + (sum(map(mul, weeks, values[time::DAY])) + mean) / days) / (seen + 1.0)
            for values, mean in ((self.work, self.mean_work), (self.spread, self.mean_spread))
        )
        return work, spread


def _moved(values: Sequence[float], place: int, value: float, weight: float) -> list[float]:
    return _with(values, place, values[place] + weight * (value - values[place]))


def _with(values: Sequence[float], place: int, value: float) -> list[float]:
    changed = list(values)
    changed[place] = round(value, _DIGITS)
    return changed


def _smooth(values: Sequence[float]) -> list[float]:
    total = sum(_NEAR)
    return [
        round(sum([near * values[place + offset] for offset, near in enumerate(_NEAR)]) / total, _DIGITS)
        for place in range(len(values) - 2 * _REACH)
    ]
