"""The last day of the history, read from the store as far as it is not known yet, and kept small.

Nothing is read before somebody asks. What is read is kept: the next one who asks costs a sample or two.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from autoscaler.core.ledger import DAY_S
from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import SAMPLE_S, PoolSample, Sample, Stay

Histories = Callable[[], Mapping[str, AsyncIterator[Sample]]]
"""Gives the history of the pools of each unit, newest first, by the unit's name."""

_MOST_POINTS = 20_000
"""Of all pools together: a day of 13 of them by the minute."""
_MOST_STAYS = 20_000
"""Of a unit. Of more the oldest are dropped, so that bars of machines begin late."""
_TAKES_JOBS = (Phase.HOT, Phase.DRAINING)
_UP = (Phase.HOT, Phase.PLANNED, Phase.RENTING, Phase.BOOTING, Phase.RESUMING)


class Point(NamedTuple):
    """A pool in one step."""

    seconds: float
    """How much of the step was measured."""
    hot_s: float
    """Machine-seconds, as those that follow."""
    warm_s: float
    up_s: float
    usd: float
    wanted: int | None
    tiers: Mapping[str, tuple[int, float | None]]
    """Jobs that waited and how long the next one had, by tier; empty where the queue was not seen."""

    @classmethod
    def of(cls, sample: PoolSample, seconds: float) -> Point:
        """A pool in the time of one sample."""
        spent_s = sample.machine_s
        return cls(
            seconds=seconds,
            hot_s=sum(spent_s.get(phase, 0.0) for phase in _TAKES_JOBS),
            warm_s=spent_s.get(Phase.WARM, 0.0),
            up_s=sum(spent_s.get(phase, 0.0) for phase in _UP),
            usd=sample.usd,
            wanted=sample.wanted,
            tiers={name: (tier.waiting, tier.oldest_wait_s) for name, tier in sample.tiers.items()},
        )

    def with_other(self, other: Point) -> Point:
        """Both as one."""
        return Point(
            seconds=self.seconds + other.seconds,
            hot_s=self.hot_s + other.hot_s,
            warm_s=self.warm_s + other.warm_s,
            up_s=self.up_s + other.up_s,
            usd=self.usd + other.usd,
            wanted=max((each for each in (self.wanted, other.wanted) if each is not None), default=None),
            tiers={
                name: _worse(self.tiers.get(name), other.tiers.get(name))
                for name in dict.fromkeys([*self.tiers, *other.tiers])
            },
        )


@dataclass(slots=True)
class _Day:
    """What is known of one unit."""

    newest: tuple[float, float] | None = None
    """When the newest sample that was read begins and ends."""
    points: dict[str, dict[int, Point]] = field(default_factory=dict)
    """By pool and step, counted from the epoch."""
    stays: list[Stay] = field(default_factory=list)
    """Newest first."""

    def take(self, sample: Sample, step_s: float) -> None:
        """Take a sample that is older than all before."""
        self.newest = self.newest or (sample.at, sample.until)
        for name, measured in sample.pools.items():
            self._add(name, int(sample.at // step_s), Point.of(measured, sample.until - sample.at))
        self.stays += sample.stays[::-1][: _MOST_STAYS - len(self.stays)]

    def follow(self, before: _Day, since: float, step_s: float) -> None:
        """Take what was known before of the time from some moment on."""
        for name, points in before.points.items():
            for step, point in points.items():
                if (step + 1) * step_s > since:
                    self._add(name, step, point)
        self.stays = [stay for stay in [*self.stays, *before.stays][:_MOST_STAYS] if stay.until > since]

    def _add(self, pool: str, step: int, point: Point) -> None:
        points = self.points.setdefault(pool, {})
        points[step] = points[step].with_other(point) if step in points else point


class Recent:
    """The last day of all pools."""

    def __init__(self, histories: Histories) -> None:
        self._histories = histories
        self.step_s = SAMPLE_S
        """Seconds between two points."""
        self._units: dict[str, _Day] = {}

    async def read(self, pools: int, now: float) -> None:
        """Read what is new; with many pools the day is kept in steps of more than a minute.

        Raises:
            StoreUnavailable: the history cannot be read.
            NewerRecords: a newer program wrote it.
        """
        step_s = SAMPLE_S * math.ceil(pools * DAY_S / SAMPLE_S / _MOST_POINTS)
        if step_s != self.step_s:
            self.step_s, self._units = step_s, {}
        since = now - DAY_S
        self._units = {
            name: await _read(history, self._units.get(name, _Day()), since, step_s)
            for name, history in self._histories().items()
        }

    def points(self, pool: str) -> Mapping[int, Point]:
        """A pool's points by their step, counted from the epoch."""
        return next((unit.points[pool] for unit in self._units.values() if pool in unit.points), {})

    def stays(self) -> list[Stay]:
        """What machines did and no longer do; of each, oldest first."""
        return [stay for unit in self._units.values() for stay in reversed(unit.stays)]


async def _read(history: AsyncIterator[Sample], known: _Day, since: float, step_s: float) -> _Day:
    """A day of a history that is read from its end up to what is known.

    That is not found where the clock was set back, or the store holds another history by now: it counts no more then.
    """
    day = _Day()
    async for sample in history:
        if (sample.at, sample.until) == known.newest:
            if day.newest is None:
                return known
            day.follow(known, since, step_s)
            break
        if sample.until <= since:
            break
        day.take(sample, step_s)
        await others_turn()
    return day


async def others_turn() -> None:
    """Let the loop tick meanwhile: a day is long."""
    await asyncio.sleep(0)  # noqa: TID251 - no time passes


def _worse(one: tuple[int, float | None] | None, other: tuple[int, float | None] | None) -> tuple[int, float | None]:
    seen = [each for each in (one, other) if each is not None]
    waits = [wait_s for _, wait_s in seen if wait_s is not None]
    return max(waiting for waiting, _ in seen), max(waits, default=None)
