"""What may not happen, whatever the policies want. Each guard only makes a decision safer and says why."""

from __future__ import annotations

import math
from dataclasses import replace

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Unknown
from autoscaler.core.lifecycle import ON_THE_WAY, Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.units import format_duration

_RUNWAY_H = 1.0  # a machine above the floor is kept only while an hour of it is affordable: time enough to drain


def guard(decision: Decision, snapshot: PoolSnapshot, window_s: float) -> Decision:
    """The decision after all guards, in this order: limits, budget, unknown demand, fresh start, pause.

    `window_s` is the history that the policies need before machines may go.
    """
    decision = limits(decision, snapshot)
    decision = budget(decision, snapshot)
    decision = unknown(decision, snapshot)
    decision = fresh_start(decision, snapshot, window_s)
    return pause(decision, snapshot)


def limits(decision: Decision, snapshot: PoolSnapshot) -> Decision:
    """Never fewer or more machines than the pool's limits say."""
    bounds = snapshot.pool.limits
    decision = replace(decision, ceiling=min(decision.ceiling, bounds.hot.high))
    hot, warm = bounds.hot.clamp(decision.hot), bounds.warm.clamp(decision.warm)
    if hot != decision.hot:
        decision = decision.because("limits.hot", f"{decision.hot} wanted, {bounds.hot} allowed: {hot}", hot=hot)
    if warm != decision.warm:
        decision = decision.because("limits.warm", f"{decision.warm} wanted, {bounds.warm} allowed: {warm}", warm=warm)
    return replace(decision, standby=bounds.warm.clamp(decision.standby))


def budget(decision: Decision, snapshot: PoolSnapshot) -> Decision:
    """Never more machines above the floor than the day's money allows.

    What the floor will cost until midnight (UTC) is set aside first; of the rest, each further machine must be
    affordable for another hour at the highest price it may have. Worked example: 30 USD a day, 18 spent, 8 h left,
    floor of one at 0.80: 30 - 18 - 6.40 = 5.60 USD free, so seven machines at 0.80 may run above the floor.
    """
    caps, floor = snapshot.pool.limits.usd_per_day, snapshot.pool.limits.hot.low
    price = _dearest(snapshot)
    if snapshot.spent_today_usd >= caps.warn:
        text = f"{snapshot.spent_today_usd:.2f} USD spent today, warning at {caps.warn:g}, stop at {caps.stop:g}"
        decision = decision.because("budget.warn", text)
    set_aside = floor * price * snapshot.day_left_s / 3600.0
    free = caps.stop - snapshot.spent_today_usd - set_aside
    affordable = floor + max(0, math.floor(free / (price * _RUNWAY_H) + 1e-9))
    if affordable < decision.ceiling:
        decision = replace(decision, ceiling=affordable)
    if decision.hot <= affordable:
        return decision
    text = (
        f"{snapshot.spent_today_usd:.2f} of {caps.stop:g} USD spent today, {set_aside:.2f} set aside for the floor of"
        f" {floor}: {affordable} of {decision.hot} machines are affordable"
    )
    return decision.because("budget.stop", text, hot=affordable)


def _dearest(snapshot: PoolSnapshot) -> float:
    running = [i.usd_per_hour for i in snapshot.instances if i.phase is Phase.HOT or i.phase in ON_THE_WAY]
    return max([*running, *(p.max_usd_per_hour for p in snapshot.pool.placements)])


def unknown(decision: Decision, snapshot: PoolSnapshot) -> Decision:
    """Never down on a signal that could not be read, save where money or limits say so."""
    if not isinstance(snapshot.demand, Unknown):
        return decision
    text = f"the queue cannot be read ({snapshot.demand.reason}): nothing is stopped"
    return replace(decision.because("unknown", text), hold_down=True)


def fresh_start(decision: Decision, snapshot: PoolSnapshot, window_s: float) -> Decision:
    """Never down before one full window of history was seen, save where money or limits say so."""
    if snapshot.running_for_s >= window_s:
        return decision
    seen, needed = format_duration(snapshot.running_for_s), format_duration(window_s)
    text = f"started {seen} ago; nothing is stopped before {needed} of history"
    return replace(decision.but_not("fresh_start", text), hold_down=True)


def pause(decision: Decision, snapshot: PoolSnapshot) -> Decision:
    """Nothing at all while an operator has paused the fleet."""
    if snapshot.paused_by is None:
        return decision
    text = f"paused by {snapshot.paused_by}: nothing is done until `autoscaler unpause`"
    return replace(decision.because("paused", text), hold_down=True, hold_up=True)
