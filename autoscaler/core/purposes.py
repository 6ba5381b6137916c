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


def rates(instances: Iterable[Instance], at_work: AtWork) -> dict[str, Rates]:
    """What each pool's machines cost at this moment, by what it is for."""
    pools: dict[str, Rates] = {}
    sums: dict[tuple[str, str, str, str | None, Phase], float] = {}
    unheard: dict[str, list[Instance]] = {}
    heard: dict[str, int] = {}
    busy = at_work.busy
    for machine in instances:
        usd_per_hour, phase = machine.burn_usd_per_hour, machine.phase
        if not usd_per_hour:
            continue
        pool = pools.get(machine.pool)
        if pool is None:
            pool = pools[machine.pool] = Rates()
        if phase is Phase.WARM:
            pool.stopped += usd_per_hour
        else:
            pool.running += usd_per_hour
        if phase is Phase.HOT:
            slots_at_work = busy.get(machine.id)
            if slots_at_work is None:
                unheard.setdefault(machine.pool, []).append(machine)
                continue
            heard[machine.pool] = heard.get(machine.pool, 0) + slots_at_work
            _share(pool.lines, machine, min(1.0, slots_at_work / max(1, machine.slots)))
            continue
        if phase is Phase.DRAINING:
            heard[machine.pool] = heard.get(machine.pool, 0) + busy.get(machine.id, 0)
        tier = machine.tier
        if PURPOSES[phase] is Purpose.BOOT:
            tier = None  # what it will be set apart for is not known before it is HOT
            pool.booting[machine.id] = Booting(machine.placement, machine.provider, usd_per_hour)
        key = (machine.pool, machine.placement, machine.provider, tier, phase)
        sums[key] = sums.get(key, 0.0) + usd_per_hour
    for (name, placement, provider, tier, phase), usd_per_hour in sums.items():
        pools[name].lines[Line(placement, provider, tier or "", PURPOSES[phase])] += usd_per_hour
    for name, machines in unheard.items():
        _share_unheard(pools[name].lines, machines, at_work.in_flight.get(name), heard.get(name, 0))
    return pools


def _share(lines: dict[Line, float], machine: Instance, share: float) -> None:
    """Book a HOT machine of which this share is at work."""
    place = (machine.placement, machine.provider, machine.tier or "")
    if share:
        lines[Line(*place, Purpose.SERVING)] += machine.burn_usd_per_hour * share
    if share < 1.0:
        lines[Line(*place, Purpose.IDLE)] += machine.burn_usd_per_hour * (1.0 - share)


def _share_unheard(lines: dict[Line, float], machines: list[Instance], in_flight: int | None, heard: int) -> None:
    """Book the HOT machines that nobody speaks for: the jobs that the others do not hold are spread over them."""
    slots = sum(max(1, machine.slots) for machine in machines)
    for machine in machines:
        if in_flight is None:
            lines[Line(machine.placement, machine.provider, machine.tier or "", Purpose.UNSEEN)] += (
                machine.burn_usd_per_hour
            )
        else:
            _share(lines, machine, min(1.0, max(0, in_flight - heard) / slots))
