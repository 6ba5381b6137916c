"""From a decision to commands: which machine, which offer, and why not the others.

While nothing may go down, machines above the ceiling (limits, budget) go all the same: to hold is a caution, money is a
promise. So do those whose contract is about to end: they go anyway, and this way without killing a job. Before all of
that come operators' orders about single machines; a pause comes before those. What is started beyond the decision, in
the place of others or beside them, keeps to the pace as well.
"""

from __future__ import annotations

from dataclasses import replace

from autoscaler.core.decision import Action, Command, Decision
from autoscaler.core.failover import reinforced
from autoscaler.core.fewer import drained_for_good, fewer, last_calls
from autoscaler.core.lifecycle import Phase
from autoscaler.core.more import more
from autoscaler.core.obey import obey
from autoscaler.core.pace import most_by_now
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.trial import rentable


def plan(snapshot: PoolSnapshot, decision: Decision, now: float) -> tuple[tuple[Command, ...], Decision]:
    """Commands that bring a pool to a decision, and the decision with what could not be done and why."""
    if snapshot.orders.pause(snapshot.pool.name) is not None:
        return (), decision
    commands = obey(snapshot, now)
    taken = {command.instance for command in commands}
    if not decision.hold_up:
        paced = replace(decision, ceiling=min(decision.ceiling, most_by_now(snapshot, now)))
        growing, grown = more(snapshot, reinforced(paced, snapshot, now), now)
        growing, grown = rentable(growing, grown, snapshot, now)
        decision = replace(grown, hot=decision.hot, ceiling=decision.ceiling)
        commands += [command for command in growing if command.instance not in taken]
        taken |= {command.instance for command in growing if command.action is not Action.SET_BID}
    if not decision.hold_down:
        going, decision = fewer(snapshot, decision, taken, now)
        commands += going
    elif _serving(snapshot) > decision.ceiling:
        kept = len(snapshot.in_phase(Phase.WARM, Phase.STOPPING))
        held = replace(decision, hot=decision.ceiling, warm=max(decision.warm, kept))
        going, held = fewer(snapshot, held, taken, now)
        commands, decision = commands + going, replace(decision, why_not=held.why_not)
    else:
        commands += [] if decision.hold_up else last_calls(snapshot, taken, now)
        ended, decision = drained_for_good(snapshot, decision, taken, now)
        commands += ended
    return tuple(commands), decision


def _serving(snapshot: PoolSnapshot) -> int:
    return len(snapshot.in_phase(Phase.HOT, Phase.DRAINING))
