"""Days of synthetic arrivals for the policy `forecast`, as the daemon's own history counts them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from autoscaler.core.decision import Decision
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import Load
from autoscaler.core.samples import PoolSample, TierSample
from autoscaler.core.snapshot import PoolSnapshot
from policies.base import State
from policies.forecast import Forecast, decide
from policies.skill import Skill
from tests.support.build import NOW, instance, snapshot

P = Phase
SERVICE_S = 20.0
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
START = NOW - NOW % DAY
SETTINGS = Forecast()

Work = Callable[[float], float]
"""Slots kept busy at an hour since the start."""


def office(hour: float) -> float:
    """Four slots of work from 9 to 17, every day."""
    return 4.0 if 9.0 <= hour % 24.0 < 17.0 else 0.2


class Daemon:
    """Feeds the policy minute by minute, and keeps what the daemon keeps."""

    def __init__(self, *fleet: Instance, settings: Forecast = SETTINGS, tiers: int = 1, **changes: Any) -> None:
        self.now, self.load = START, Load()
        self.state: State = {}
        self.settings, self.fleet, self.changes = settings, fleet or (instance(P.HOT),), changes
        self.tiers = ["pro", *(f"tier{number}" for number in range(1, tiers))]
        self._owed = 0.0

    def seen(self, **changes: Any) -> PoolSnapshot:
        return snapshot(*self.fleet, load=self.load, **(self.changes | changes))

    def minute(
        self, slots: float, rng: random.Random | None = None, *, seconds: float = MINUTE, **changes: Any
    ) -> Decision:
        self.now += seconds
        wanted = slots * seconds / SERVICE_S
        self._owed += _poisson(wanted, rng) if rng else wanted
        jobs, self._owed = int(self._owed), self._owed % 1.0
        tiers = {name: TierSample(jobs // len(self.tiers), 0, 0, None) for name in self.tiers}
        done = {name: (each.arrived, each.arrived * SERVICE_S) for name, each in tiers.items() if each.arrived}
        self.load = self.load.learned(PoolSample(tiers=tiers, seen_s=seconds), done, self.now)
        return self.tick(**changes)

    def tick(self, **changes: Any) -> Decision:
        decision, self.state = decide(self.seen(**changes), self.state, self.now, self.settings)
        return decision

    def play(
        self, hours: float, work: Work, rng: random.Random | None = None, *, every_s: float = MINUTE
    ) -> list[Decision]:
        return [
            self.minute(work((self.now - START) / HOUR), rng, seconds=every_s)
            for _ in range(round(hours * HOUR / every_s))
        ]

    @property
    def weight(self) -> float:
        return Skill(**self.state["skill"]).weight


def _poisson(mean: float, rng: random.Random) -> int:
    count, product, least = 0, rng.random(), math.exp(-mean)
    while product > least:
        count, product = count + 1, product * rng.random()
    return count


def at(decisions: list[Decision], hour: float) -> Decision:
    """The decision at this hour of a day that was played from midnight on."""
    return decisions[round(hour * HOUR / MINUTE)]


def rules(decision: Decision) -> set[str]:
    return {reason.rule for reason in decision.why}


def why_not(decision: Decision) -> dict[str, str]:
    return {reason.rule: reason.text for reason in decision.why_not}


WARM = tuple(instance(P.WARM, id=f"w{number}") for number in range(6))


def after_four_days() -> Daemon:
    """A daemon at midnight after four days in the office, one machine HOT and six stopped."""
    daemon = Daemon(instance(P.HOT), *WARM)
    daemon.play(4 * 24, office)
    return daemon
