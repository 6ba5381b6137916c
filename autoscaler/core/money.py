"""What a fleet's money is claimed by: prices that go on, and what the whole fleet has spent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import ON_THE_WAY, Phase
from autoscaler.core.spec import Cap, FleetLimits, Limits, Pool

CAPS = ("usd_per_hour", "usd_per_day", "usd_per_month")
"""The settings that may hold a cap."""
_UP = ON_THE_WAY | {Phase.HOT}
_STOPPED = frozenset({Phase.WARM, Phase.STOPPING})
_AGAIN = frozenset({Phase.WARM, Phase.DRAINING})
"""Phases out of which a machine can be taken back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Burn:
    """What machines cost in USD per hour, apart by how long it goes on."""

    lasting: float = 0.0
    """Floors, there or not, and disks of stopped machines: until the period ends."""
    passing: float = 0.0
    """Machines above the floor: as long as they are wanted and paid for."""
    leaving: float = 0.0
    """Machines on their way out, which nothing ends sooner."""

    def __add__(self, other: Burn) -> Burn:
        return Burn(
            lasting=self.lasting + other.lasting,
            passing=self.passing + other.passing,
            leaving=self.leaving + other.leaving,
        )

    @property
    def usd_per_hour(self) -> float:
        """All of it."""
        return self.lasting + self.passing + self.leaving


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetMoney:
    """The whole fleet's money as one pool sees it in its turn."""

    limits: FleetLimits = FleetLimits()
    spent_today_usd: float = 0.0
    spent_month_usd: float = 0.0
    forecast_usd: float | None = None
    """What the month will have cost."""
    ahead: Burn = Burn()
    """Of the pools whose turn came before, with what they start in this tick, and of machines of no pool."""
    behind: Burn = Burn()
    """Of the pools whose turn is to come."""


def caps(limits: Limits | FleetLimits) -> dict[str, Cap]:
    """The caps that are set, by setting."""
    every = {name: getattr(limits, name) for name in CAPS}
    return {name: cap for name, cap in every.items() if cap is not None}


def prices(pool: Pool, instances: Iterable[Instance], starting: Sequence[float], count: int) -> list[float]:
    """The most that each of `count` machines may cost in USD per hour.

    Those that are up or starting come first, the dearest before the others; then new ones, at the highest price that
    a placement allows or a machine that can be taken back has.
    """
    up, again = list(starting), [place.max_usd_per_hour for place in pool.placements]
    for machine in instances:
        if machine.phase in _UP:
            up.append(max(machine.usd_per_hour, machine.burn_usd_per_hour))
        elif machine.phase in _AGAIN:
            again.append(machine.usd_per_hour)
    up.sort(reverse=True)
    return [*up, *[max(again, default=0.0)] * (count - len(up))][:count]


def burn(pool: Pool, instances: Iterable[Instance], starting: Sequence[float] = ()) -> Burn:
    """What a pool claims; `starting` has the prices of machines about to be started, in USD per hour."""
    machines = list(instances)
    up = len(starting) + sum(machine.phase in _UP for machine in machines)
    floor = pool.limits.hot.low
    every = prices(pool, machines, starting, max(up, floor))
    return Burn(
        lasting=sum(every[:floor]) + sum(m.disk_usd_per_hour for m in machines if m.phase in _STOPPED),
        passing=sum(every[floor:]),
        leaving=sum(m.burn_usd_per_hour for m in machines if m.phase not in _UP and m.phase is not Phase.WARM),
    )
