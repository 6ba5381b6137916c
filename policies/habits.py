"""What the policy `forecast` remembers: a pool's usual week, how far it can be trusted, and its idle gaps.

Nothing of it changes within a quarter of an hour, save when a gap begins or ends: once the quarter is over, its work
follows from the daemon's own history, which counts all arrivals. A quarter that was not watched for most of its time is
not quiet but unknown, and teaches nothing.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from autoscaler.core.demand import Unknown
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import RATE_S, Load
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.waits import service_times
from policies.base import State
from policies.gaps import LEAST_S, Gaps
from policies.profile import DAY, SLOT_S, Outlook, Profile, slot_of
from policies.skill import REACH, Skill

_BEHIND = math.ceil(RATE_S / SLOT_S) + 1
"""Slots of an outlook that are over when it is made: what works now came in that long ago."""
_AHEAD = _BEHIND + DAY + REACH
_WATCHED = 0.5
"""Of a slot, the share of its time that must have been watched."""
_MISSED_S = 180.0
"""The history ends a minute ago or so: a gap may seem watched for so much less than it was."""


def remembered(state: State, snapshot: PoolSnapshot, now: float) -> State:
    """The state after a tick; the same object where nothing is new, and empty until there is a history.

    It holds the slot that is open (`slot`, and what the history had counted when it began: `seen_s`, `arrived`), the
    `profile` and its `outlook` on the next day, what was foretold and is to be scored (`told`: slot, work at the time,
    change), the `skill`, the `gaps` and, while the pool is idle, since when (`idle`).
    """
    if snapshot.load.seen_s and slot_of(snapshot.load.until) != state.get("slot"):
        state = _opened(_closed(state, snapshot) if state else _blank(), snapshot.load)
    return _watched(state, snapshot, now) if state and not snapshot.pool.limits.hot.low else state


def _blank() -> State:
    return {
        "profile": _plain(Profile()),
        "told": [],
        "skill": _plain(Skill()),
        "gaps": list(Gaps().counts),
        "idle": None,
    }


def _opened(state: State, load: Load) -> State:
    """The state at the beginning of the slot that the history has come to."""
    slot = slot_of(load.until)
    return {
        **state,
        "slot": slot,
        "seen_s": load.seen_s,
        "arrived": {name: tier.arrived for name, tier in load.tiers.items()},
        "outlook": _plain(Profile(**state["profile"]).outlook(slot - _BEHIND, _AHEAD)),
    }


def _closed(state: State, snapshot: PoolSnapshot) -> State:
    """The state with the slot that was open learned; where it was not watched, without what it was to tell."""
    slot, told = state["slot"], state["told"]
    later, work = slot_of(snapshot.load.until), _work(state, snapshot)
    if later != slot + 1 or work is None:
        # After a gap, what was foretold for later may still come. A clock that was set back makes it worthless.
        return {**state, "told": [each for each in told if slot < later <= each[0]]}
    outlook = Outlook(**state["outlook"])
    usual = outlook.work[slot - outlook.first]
    change = round(outlook.work[slot + REACH - outlook.first] - usual, 4)
    skill = Skill(**state["skill"])
    for _, before, foretold in [each for each in told if each[0] == slot]:
        skill = skill.scored(foretold, work - before)
    return {
        **state,
        "profile": _plain(Profile(**state["profile"]).learned(slot, work, usual)),
        "told": [*(each for each in told if each[0] > slot), [slot + REACH, work, change]],
        "skill": _plain(skill),
    }


def _work(state: State, snapshot: PoolSnapshot) -> float | None:
    """How many slots the jobs of the open slot keep busy: arrivals per second times seconds of service.

    None where too little of it was watched, or less than nothing: the history began anew.
    """
    load, service_s = snapshot.load, service_times(snapshot)
    seen_s = load.seen_s - float(state["seen_s"])
    arrived = {name: tier.arrived - int(state["arrived"].get(name, 0)) for name, tier in load.tiers.items()}
    if seen_s < _WATCHED * SLOT_S:
        return None
    return round(sum(count * service_s.get(name, 0.0) for name, count in arrived.items()) / seen_s, 4)


def _watched(state: State, snapshot: PoolSnapshot, now: float) -> State:
    """The state with the idle gap that has begun, or has ended."""
    working, idle = _working(snapshot), state["idle"]
    if working is None:
        return state
    if working and idle:
        gap_s = now - idle["since"]
        unseen_s = gap_s - (snapshot.load.seen_s - idle["seen_s"])
        if gap_s < 0 or unseen_s > _MISSED_S:
            return {**state, "idle": None}
        return {**state, "idle": None, "gaps": list(Gaps(state["gaps"]).learned(gap_s).counts)}
    if idle and idle["since"] > now:  # the clock was set back
        return {**state, "idle": {**idle, "since": now}}
    if not working and not idle:
        since = max([snapshot.idle_since.get(m.id, now) for m in snapshot.in_phase(Phase.HOT)], default=now - LEAST_S)
        if now - since >= LEAST_S:
            return {**state, "idle": {"since": since, "seen_s": snapshot.load.seen_s}}
    return state


def _working(snapshot: PoolSnapshot) -> bool | None:
    """Whether the pool has any job; None where that is not known."""
    if isinstance(snapshot.demand, Unknown):
        return None
    if snapshot.demand.waiting or snapshot.demand.in_flight:
        return True
    busy = [snapshot.busy.get(machine.id) for machine in snapshot.in_phase(Phase.HOT, Phase.DRAINING)]
    if any(busy):
        return True
    return None if None in busy and snapshot.demand.in_flight is None else False


def _plain(value: Any) -> dict[str, Any]:
    """A value's fields, as JSON has them."""
    return {field.name: getattr(value, field.name) for field in fields(value)}
