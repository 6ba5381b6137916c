"""What operators' orders do to single machines, whatever the policies want.

==========================  ===================  =========================  ====================  ======================
phase                       drain                release                    release, lose jobs    evacuate
==========================  ===================  =========================  ====================  ======================
HOT                         drain it             drain it                   release it            a replacement first
                                                                                                  (`failover`), drain it
DRAINING, known idle        as the policies say  release it                 release it            release it
on its way, of a rent or    waits until HOT      release it                 release it            release it
resume of ours; or WARM
any other                   waits                waits                      release it            waits
==========================  ===================  =========================  ====================  ======================

A machine that boots for another reason - its provider restarted it, it was lost and is back, it was adopted - may hold
jobs that nobody told us of: it waits until it is HOT, and is drained then. So only a release by which jobs may be lost
ends a machine that may hold one.
"""

from __future__ import annotations

from autoscaler.core.decision import Action, Command, about
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind
from autoscaler.core.snapshot import PoolSnapshot

_NOTHING_TO_DO = frozenset({Phase.PLANNED, Phase.RELEASING, Phase.GONE})
"""The answer to the rent is still to come; or it goes already."""
_COMING = frozenset({Phase.RENTING, Phase.BOOTING, Phase.RESUMING})


def obey(snapshot: PoolSnapshot, now: float) -> list[Command]:
    """The commands that follow from orders alone."""
    if not snapshot.orders.standing:
        return []
    commands = []
    for machine in snapshot.instances:
        order = snapshot.orders.of_machine(machine)
        action = _next_step(machine, order, snapshot) if order else None
        if order and action:
            text = f"{order.kind} ordered {order.source(now)}: {_WORDS[action]}"
            commands.append(about(action, machine, f"{text}, whatever runs on it" if order.lose_jobs else text))
    return commands


_WORDS = {Action.DRAIN: "drain it", Action.RELEASE: "release it"}


def _next_step(machine: Instance, order: Order, snapshot: PoolSnapshot) -> Action | None:
    if machine.phase in _NOTHING_TO_DO:
        return None
    if order.kind is OrderKind.DRAIN:
        return Action.DRAIN if machine.phase is Phase.HOT else None
    if order.lose_jobs:
        return Action.RELEASE
    if machine.phase is Phase.HOT:
        return Action.DRAIN if order.kind is OrderKind.RELEASE else None
    return Action.RELEASE if _holds_no_job(machine, snapshot) else None


def _holds_no_job(machine: Instance, snapshot: PoolSnapshot) -> bool:
    """Whether a machine that is not HOT certainly holds no job."""
    if machine.phase is Phase.DRAINING:
        return snapshot.busy.get(machine.id) == 0
    ordered = machine.phase in _COMING and machine.ordered_at > 0 and machine.provider_id is not None
    return (ordered or machine.phase is Phase.WARM) and not snapshot.busy.get(machine.id)
