"""The moves that many peers share: to a number of machines, away from idle ones, towards jobs that fit nowhere."""

from __future__ import annotations

import math
from collections.abc import Callable

from autoscaler.sim.baselines.base import NOTHING, Orders, PeerMachine, PeerView

NEVER_KILL = math.inf
"""The grace of a peer that ends idle machines only."""

VictimOrder = Callable[[PeerMachine], tuple[float, ...]]
"""A sort key; the machine with the least goes first."""


def youngest_ready_first(machine: PeerMachine) -> tuple[float, ...]:
    """How a ReplicaSet picks a pod to delete: those not ready, then those ready for the shortest time.

    It never asks whether a pod is at work. (Kubernetes compares times by order of magnitude and draws lots between
    equals; here the younger always goes.)
    """
    return (0.0, -machine.created_at) if machine.ready_at is None else (1.0, -machine.ready_at)


def newest_not_ready_first(machine: PeerMachine) -> tuple[float, ...]:
    """Those not ready, then those that were rented last, at work or not."""
    return (float(machine.ready_at is not None), -machine.created_at)


def newest_first(machine: PeerMachine) -> tuple[float, ...]:
    """Those that were rented last, at work or not."""
    return (-machine.created_at,)


def resize(view: PeerView, target: int, order: VictimOrder) -> Orders:
    """Rent or end machines until there are `target`."""
    excess = len(view.machines) - target
    if excess > 0:
        return Orders(end=tuple(machine.id for machine in sorted(view.machines, key=order)[:excess]))
    return Orders(rent=-excess) if excess else NOTHING


def idle_for(view: PeerView, seconds: float, *, keep: int) -> tuple[str, ...]:
    """Machines idle for at least so long, the longest idle first, of which so many are left out that `keep` remain."""
    spare = len(view.machines) - keep
    if spare <= 0:
        return ()
    latest = view.now - seconds
    idle = [(m.idle_since, m.id) for m in view.machines if m.idle_since is not None and m.idle_since <= latest]
    idle.sort()
    return tuple(name for _, name in idle[:spare])


def machines_for(jobs: float, per_machine: float) -> int:
    """Whole machines for so many jobs."""
    return math.ceil(jobs / per_machine)


def unplaced(view: PeerView) -> int:
    """Machines for the waiting jobs that fit on none that is up or on its way."""
    if not view.waiting:
        return 0
    free = sum(view.slots - machine.busy for machine in view.machines)
    return max(0, machines_for(view.waiting - free, view.slots))
