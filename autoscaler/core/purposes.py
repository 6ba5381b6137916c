"""What a machine's money is for at this moment.

=============  ========================================================================================
purpose        what is paid for
=============  ========================================================================================
`serving`      the busy share of a HOT machine's slots
`idle`         the rest of them
`unseen`       a HOT machine of which nobody could say whether it works, as while the daemon was away
`boot`         from the order to HOT: boots that came up, and those that may still
`failed_boot`  boots that ended otherwise; what they had cost is moved here out of `boot`
`leaving`      a machine that drains, stops, or is being given back
`stopped`      the disk of a WARM machine
`lost`         a machine that its provider does not list, and may bill
=============  ========================================================================================
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase


class Purpose(StrEnum):
    """What money was for; a stable code for files, metrics and the API."""

    SERVING = "serving"
    IDLE = "idle"
    UNSEEN = "unseen"
    BOOT = "boot"
    FAILED_BOOT = "failed_boot"
    LEAVING = "leaving"
    STOPPED = "stopped"
    LOST = "lost"


PURPOSES: Mapping[Phase, Purpose] = {
    Phase.PLANNED: Purpose.BOOT,
    Phase.RENTING: Purpose.BOOT,
    Phase.BOOTING: Purpose.BOOT,
    Phase.RESUMING: Purpose.BOOT,
    Phase.HOT: Purpose.SERVING,
    Phase.DRAINING: Purpose.LEAVING,
    Phase.STOPPING: Purpose.LEAVING,
    Phase.RELEASING: Purpose.LEAVING,
    Phase.GONE: Purpose.LEAVING,
    Phase.WARM: Purpose.STOPPED,
    Phase.LOST: Purpose.LOST,
}
"""By phase; that of a HOT machine is shared out by its busy slots."""
_HOT, _WARM, _DRAINING = Phase.HOT, Phase.WARM, Phase.DRAINING  # to look them up takes longer than all else here
_ROUNDING = 1e-12


class Line(NamedTuple):
    """What the books of a pool tell apart."""

    placement: str
    provider: str
    tier: str
    """For which the machines are set apart; empty: they serve all tiers."""
    purpose: Purpose


class Booting(NamedTuple):
    """What one boot that is under way has cost."""

    placement: str
    provider: str
    usd: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AtWork:
    """What was known of the jobs in hand during an interval."""

    busy: Mapping[str, int] = field(default_factory=dict)
    """Slots at work by machine; one that is missing is unknown."""
    in_flight: Mapping[str, int] = field(default_factory=dict)
    """Jobs in hand by pool, as its queue tells; they say how busy those machines are that nobody speaks for."""


@dataclass(kw_only=True, slots=True)
class Rates:
    """What a pool costs at this moment, in USD per hour, each cent of it once."""

    running: float = 0.0
    stopped: float = 0.0
    lines: dict[Line, float] = field(default_factory=lambda: defaultdict(float))
    booting: dict[str, Booting] = field(default_factory=dict)
    """Of the lines' `boot`, what each machine has in it."""


_Place = tuple[str, str, str | None]
"""Placement, provider and tier."""


@dataclass(slots=True)
class _Hot:
    """HOT machines of one place, of which somebody says how busy they are."""

    usd_per_hour: float = 0.0
    serving: float = 0.0


@dataclass(slots=True)
class _Pool:
    """A pool's machines, added up in one look at each: there may be ten thousand."""

    rates: Rates = field(default_factory=Rates)
    hot: dict[_Place, _Hot] = field(default_factory=dict)
    others: dict[tuple[_Place, Phase], float] = field(default_factory=dict)
    unheard: list[Instance] = field(default_factory=list)
    """HOT machines that nobody speaks for."""
    heard: int = 0
    """Jobs on those that somebody speaks for."""

    def add(self, machine: Instance, busy: int | None) -> None:
        """Take one machine, and how many of its slots are at work."""
        usd_per_hour, phase, rates = machine.burn_usd_per_hour, machine.phase, self.rates
        place = (machine.placement, machine.provider, machine.tier)
        if phase is _HOT:
            rates.running += usd_per_hour
            if busy is None:
                self.unheard.append(machine)
                return
            self.heard += busy
            hot = self.hot.get(place)
            if hot is None:
                hot = self.hot[place] = _Hot()
            hot.usd_per_hour += usd_per_hour
            hot.serving += usd_per_hour if busy >= machine.slots else usd_per_hour * busy / machine.slots
            return
        if phase is _WARM:
            rates.stopped += usd_per_hour
        else:
            rates.running += usd_per_hour
        if phase is _DRAINING:
            self.heard += busy or 0
        elif PURPOSES[phase] is Purpose.BOOT:
            place = (machine.placement, machine.provider, None)  # its tier is known when it is HOT
            rates.booting[machine.id] = Booting(machine.placement, machine.provider, usd_per_hour)
        self.others[place, phase] = self.others.get((place, phase), 0.0) + usd_per_hour

    def added_up(self, in_flight: int | None) -> Rates:
        """What all of them cost, by what it is for."""
        lines = self.rates.lines
        for (place, phase), usd_per_hour in self.others.items():
            lines[_line(place, PURPOSES[phase])] += usd_per_hour
        for place, hot in self.hot.items():
            _share(lines, place, hot.usd_per_hour, hot.serving)
        slots = sum(max(1, machine.slots) for machine in self.unheard)
        for machine in self.unheard:
            place, usd_per_hour = (machine.placement, machine.provider, machine.tier), machine.burn_usd_per_hour
            if in_flight is None:
                lines[_line(place, Purpose.UNSEEN)] += usd_per_hour
            else:
                share = min(1.0, max(0, in_flight - self.heard) / slots)
                _share(lines, place, usd_per_hour, usd_per_hour * share)
        return self.rates


def rates(instances: Iterable[Instance], at_work: AtWork) -> dict[str, Rates]:
    """What each pool's machines cost at this moment, by what it is for."""
    pools: dict[str, _Pool] = {}
    busy = at_work.busy
    for machine in instances:
        if machine.burn_usd_per_hour:
            pool = pools.get(machine.pool)
            if pool is None:
                pool = pools[machine.pool] = _Pool()
            pool.add(machine, busy.get(machine.id))
    return {name: pool.added_up(at_work.in_flight.get(name)) for name, pool in pools.items()}


def _line(place: _Place, purpose: Purpose) -> Line:
    placement, provider, tier = place
    return Line(placement, provider, tier or "", purpose)


def _share(lines: dict[Line, float], place: _Place, usd_per_hour: float, serving: float) -> None:
    """Book HOT machines of which so much is at work."""
    if serving:
        lines[_line(place, Purpose.SERVING)] += serving
    if usd_per_hour - serving > _ROUNDING:
        lines[_line(place, Purpose.IDLE)] += usd_per_hour - serving
