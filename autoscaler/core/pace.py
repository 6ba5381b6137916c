"""How fast the number of machines may change."""

from __future__ import annotations

from autoscaler.core.decision import NO_CEILING, Decision
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.units import format_duration


def pace(decision: Decision, snapshot: PoolSnapshot, now: float) -> Decision:
    """Never more machines started or drained within a while than the pool's pace allows.

    The floor is started at once, and what may not run by limits or money is drained at once. Worked example: at most
    4 up in 10 minutes, 3 rented or resumed 5 minutes ago, 6 up, 9 wanted: 7 for now.
    """
    allowed = snapshot.pool.pace
    within = f"within {format_duration(allowed.per)}"
    most = most_by_now(snapshot, now)
    if decision.hot > most:
        text = f"{_started(snapshot, now)} started {within}, {allowed.up} allowed: {most} of {decision.hot} machines"
        decision = decision.because("pace.up", f"{text} for now", hot=most)
    if allowed.down is not None:
        hot = len(snapshot.in_phase(Phase.HOT))
        drained = sum(now - at < allowed.per for at in snapshot.drained_at)
        least = min(decision.ceiling, hot - max(0, allowed.down - drained))
        if decision.hot < least:
            text = f"{drained} drained {within}, {allowed.down} allowed: {least} instead of {decision.hot} for now"
            decision = decision.because("pace.down", text, hot=least)
    return decision


def most_by_now(snapshot: PoolSnapshot, now: float) -> int:
    """Machines that may be up if as many are started at once as the pace allows; the floor in any case."""
    allowed = snapshot.pool.pace
    if allowed.up is None:
        return NO_CEILING
    return max(snapshot.pool.limits.hot.low, snapshot.up + max(0, allowed.up - _started(snapshot, now)))


def _started(snapshot: PoolSnapshot, now: float) -> int:
    return sum(now - machine.ordered_at < snapshot.pool.pace.per for machine in snapshot.instances)
