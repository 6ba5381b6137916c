"""How long jobs will wait: work in the system against the capacity that will be up by then.

The queue is taken for a fluid, and tiers nest: each sees the load of its own and of more urgent ones. Work is counted
in slot-seconds: a waiting job of tier *j* is one service time ``S_j``. While a job waits, more urgent ones go on
arriving, so its tier has what they leave of the slots. Worked example: one slot, jobs of 20 s, three of `pro` and six
of `free` wait, the slot is half way through a job: a `pro` job that comes now starts in 10 + 3 × 20 = 70 s, a `free`
one in 10 + 9 × 20 = 190 s; with `pro` jobs coming every 40 s, which take half of the slot, in 380 s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscaler.core.demand import Demand
from autoscaler.core.lifecycle import ON_THE_WAY, Phase
from autoscaler.core.snapshot import PoolSnapshot

GUESS_S = 20.0
"""How long a job takes until some were seen."""
_LEAST_SHARE = 0.05
"""Of the slots, what a tier keeps however many more urgent jobs come: their rate is an estimate."""


@dataclass(frozen=True, slots=True)
class Supply:
    """Slots that come up at one moment."""

    in_s: float
    """Seconds from now."""
    slots: int


def supply(snapshot: PoolSnapshot, now: float) -> list[Supply]:
    """The slots that are up and those on their way, soonest first."""
    up = sum(machine.slots for machine in snapshot.in_phase(Phase.HOT))
    coming = [Supply(0.0, up)] if up else []
    for machine in snapshot.in_phase(*ON_THE_WAY):
        history = snapshot.history_of(machine.placement)
        resumed = machine.resumed or machine.phase is Phase.RESUMING
        coming.append(Supply(history.up_in_s(resumed=resumed, elapsed_s=now - machine.ordered_at), machine.slots))
    return sorted(coming, key=lambda each: each.in_s)


def service_times(snapshot: PoolSnapshot, guess_s: float = GUESS_S) -> dict[str, float]:
    """Seconds a slot works on a job, by tier; a tier of which little is known takes after the others, by weight."""
    load, tiers = snapshot.load, snapshot.pool.tiers
    known = [(load.tiers[tier.name], tier.weight) for tier in tiers if tier.name in load.tiers]
    weighed = sum(each.jobs * weight for each, weight in known)
    usual_s = sum(each.work_s for each, _ in known) / weighed if weighed >= 1.0 else guess_s
    return {tier.name: load.service_s(tier.name, usual_s * tier.weight) for tier in tiers}


def rates(snapshot: PoolSnapshot, service_s: Mapping[str, float]) -> dict[str, float]:
    """The slots that arriving jobs keep busy, by tier: arrivals per second times service time."""
    known = snapshot.load.tiers
    return {name: known[name].per_s * seconds if name in known else 0.0 for name, seconds in service_s.items()}


def expected_waits(snapshot: PoolSnapshot, demand: Demand, now: float) -> dict[str, float]:
    """Seconds that a job which comes now will wait, by tier; infinite where no capacity is to come."""
    coming = supply(snapshot, now)
    service_s = service_times(snapshot)
    slots_s = rates(snapshot, service_s)
    up = sum(each.slots for each in coming if not each.in_s)
    in_flight = min(up, demand.in_flight or 0)
    waits: dict[str, float] = {}
    waiting = snapshot.held_back()
    ahead_s, taken = waiting * sum(service_s.values()) / max(1, len(service_s)), 0.0
    for tier in demand.tiers:
        usual_s = service_s.get(tier.tier, GUESS_S)
        ahead_s += tier.waiting * usual_s
        waiting += tier.waiting
        if waiting + in_flight < up:
            waits[tier.tier] = 0.0
        else:
            # Of the jobs in hand the first to end is on average half done.
            waits[tier.tier] = _until_done(coming, ahead_s + usual_s / 2, taken)
        taken += slots_s.get(tier.tier, 0.0)
    return waits


def _until_done(coming: Sequence[Supply], work_s: float, taken: float) -> float:
    """Seconds until the slots, less those that are taken, have done that much work."""
    slots, at_s = 0, 0.0
    for number, each in enumerate(coming):
        slots += each.slots
        until_s = coming[number + 1].in_s if number + 1 < len(coming) else math.inf
        free = max(slots - taken, slots * _LEAST_SHARE)
        at_s = max(at_s, each.in_s)
        if work_s <= free * (until_s - at_s):
            return at_s + work_s / free
        work_s -= free * (until_s - at_s)
        at_s = until_s
    return math.inf
