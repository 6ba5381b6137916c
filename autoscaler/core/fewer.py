"""Fewer machines: which one goes, and what becomes of it.

Victims, first to go first: known idle before unknown or busy, then the oldest; the primary, which is the oldest HOT
machine, goes last. A drained machine is stopped or released only when it is known to be idle.
"""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.core.decision import Action, Command, Decision, about
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot

MOST_REFUSALS = 3
"""A stopped machine refused this often in a row is released: it will not come back, and its disk is billed."""


def fewer(snapshot: PoolSnapshot, decision: Decision, taken: set[str | None]) -> tuple[list[Command], Decision]:
    """Commands that drain, stop and release what is more than decided; `taken` has the machines spoken for."""
    commands: list[Command] = []
    victims = _victims(snapshot)
    surplus = len(victims) - decision.hot  # what is on its way does not serve yet, so it replaces nobody
    for machine in victims[: max(0, surplus)]:
        text = f"{decision.hot} machines wanted, {len(victims)} HOT: drain it, {machine.usd_per_hour:.3f} USD/h"
        commands.append(about(Action.DRAIN, machine, text))
    warm = [machine for machine in snapshot.in_phase(Phase.WARM, Phase.STOPPING) if machine.id not in taken]
    keeping = len(warm)
    for machine in _least_worth([m for m in warm if m.phase is Phase.WARM]):
        if machine.refusals >= MOST_REFUSALS:
            text = f"refused {machine.refusals} times in a row: it will not come back; it has cost"
            commands.append(about(Action.RELEASE, machine, f"{text} {machine.usd_spent:.2f} USD"))
        elif keeping > decision.warm:
            text = f"{keeping} stopped, {decision.warm} to keep: release it, {machine.disk_usd_per_hour:.3f} USD/h"
            commands.append(about(Action.RELEASE, machine, text))
        else:
            continue
        keeping -= 1
    for machine in snapshot.in_phase(Phase.DRAINING):
        if machine.id in taken:
            continue
        busy = snapshot.busy.get(machine.id)
        if busy is None:
            decision = decision.but_not("plan.stop", f"{machine.id} drains; nobody says whether it is idle")
        elif busy:
            decision = decision.but_not("plan.stop", f"{machine.id} drains; {busy} of its slots work")
        elif keeping < decision.warm and machine.provider in snapshot.stoppable:
            commands.append(
                about(Action.STOP, machine, f"drained and idle: stop it, {keeping} of {decision.warm} kept")
            )
            keeping += 1
        else:
            commands.append(about(Action.RELEASE, machine, f"drained and idle, {keeping} kept already: release it"))
    return commands, decision


def _victims(snapshot: PoolSnapshot) -> list[Instance]:
    """HOT machines in the order in which they may go."""
    primary = snapshot.primary()
    hot = [machine for machine in snapshot.in_phase(Phase.HOT) if machine is not primary]
    hot.sort(key=lambda m: (snapshot.busy.get(m.id, 1) > 0, m.created_at, m.id))
    return [*hot, primary] if primary else hot


def _least_worth(warm: Iterable[Instance]) -> list[Instance]:
    """Stopped machines, the first to release first: most refusals, then longest stopped."""
    return sorted(warm, key=lambda m: (-m.refusals, m.phase_since, m.id))
