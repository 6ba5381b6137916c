"""What may not happen, whatever the policies want. Each guard only makes a decision safer and says why."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.core.bounds import ceiling, floor, pause
from autoscaler.core.budget import budget
from autoscaler.core.decision import Decision
from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.lifecycle import Phase
from autoscaler.core.pace import pace
from autoscaler.core.signal import HOLD_S, last_good
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.units import format_duration

_SETTLED_S = 60.0
"""A daemon that leads for less does not yet know all machines."""


def guard(decision: Decision, snapshot: PoolSnapshot, window_s: float, now: float) -> Decision:
    """The decision after all guards: the queue's own state, bad signals, limits and orders, pace, budget, fresh start.

    `window_s` is the history that the policies need before machines may go.
    """
    decision = stranded(decision, snapshot)
    decision = paused_queue(decision, snapshot)
    decision = unknown(decision, snapshot, now)
    decision = fallen(decision, snapshot, now)
    decision = floor(decision, snapshot, now)
    decision = limits(decision, snapshot)
    decision = ceiling(decision, snapshot, now)
    decision = pace(decision, snapshot, now)
    decision = budget(decision, snapshot)
    decision = fresh_start(decision, snapshot, window_s)
    return pause(decision, snapshot, now)


def stranded(decision: Decision, snapshot: PoolSnapshot) -> Decision:
    """One machine while jobs are in flight, none waits, and no machine drains that could hold them.

    Libraries leave the jobs of a worker that died in flight until a living one takes them back: the last machine stays
    for it, and one comes where none is left. Where the jobs are its own that costs nothing: it ends them first anyway.
    """
    demand, no_longer = snapshot.demand, snapshot.in_phase(Phase.DRAINING, Phase.STOPPING)
    if not isinstance(demand, Demand) or demand.paused or demand.waiting or not demand.in_flight:
        return decision
    if decision.hot > 0 or decision.ceiling < 1 or no_longer or snapshot.running_for_s < _SETTLED_S:
        return decision
    jobs = "1 job is" if demand.in_flight == 1 else f"{demand.in_flight} jobs are"
    runs = "the last machine stays" if snapshot.in_phase(Phase.HOT) else "no machine runs"
    text = f"{jobs} in flight and {runs}: only a living worker takes back what a dead one held"
    return decision.because("stranded", text, hot=1)


def paused_queue(decision: Decision, snapshot: PoolSnapshot) -> Decision:
    """No machine started for a queue that is paused: its workers take no jobs."""
    if not isinstance(snapshot.demand, Demand) or not snapshot.demand.paused or decision.hot <= snapshot.up:
        return decision
    text = f"the queue is paused, so that no job starts: {snapshot.up} of {decision.hot} machines until it is resumed"
    return decision.because("queue_paused", text, hot=snapshot.up)


def unknown(decision: Decision, snapshot: PoolSnapshot, now: float) -> Decision:
    """Never down on a signal that could not be read, save where money or limits say so; up as the fallback has it.

    Policies start nothing for a queue that they cannot see. Worked example: 3 machines were wanted, one of them died
    since, and `after` is 3. At the first and second failure there are to be 3 again; from the third on 2 with `hold`,
    3 with `last_good`, and with `floor: 4` 4 of them.
    """
    if not isinstance(snapshot.demand, Unknown):
        return decision
    signal, fallback = snapshot.signal, snapshot.pool.fallback
    if signal.failures < fallback.after:
        hot, then = signal.wanted or 0, f"all goes on as it was until {fallback.after} failed"
    else:
        hot = {"floor": fallback.floor, "last_good": signal.wanted}.get(fallback.then) or 0
        then = fallback.words
    for_s = format_duration(now - (snapshot.demand.since if signal.failing_since is None else signal.failing_since))
    tries = f"reading {max(1, signal.failures)} in a row failed, {last_good(signal, now)}"
    text = f"the queue cannot be read for {for_s} ({snapshot.demand.reason}; {tries}): nothing is stopped, {then}"
    usd_per_hour = sum(machine.burn_usd_per_hour for machine in snapshot.instances)
    decision = decision.because("unknown", f"{text}; {snapshot.up} up, {usd_per_hour:.2f} USD/h")
    if hot > decision.hot:
        decision = replace(decision, hot=hot, needs=())
    return replace(decision, hold_down=True)


def fallen(decision: Decision, snapshot: PoolSnapshot, now: float) -> Decision:
    """Never down on a fall in depth that nothing explains, save where money or limits say so."""
    fall = snapshot.signal.fall
    if fall is None:
        return decision
    left = format_duration(max(0.0, HOLD_S - (now - fall.at)))
    return replace(decision.because("fallen", f"{fall.text}: nothing is stopped for another {left}"), hold_down=True)


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


def fresh_start(decision: Decision, snapshot: PoolSnapshot, window_s: float) -> Decision:
    """Never down before one full window of history was seen, save where money or limits say so."""
    if snapshot.running_for_s >= window_s:
        return decision
    seen, needed = format_duration(snapshot.running_for_s), format_duration(window_s)
    text = f"started {seen} ago; nothing is stopped before {needed} of history"
    return replace(decision.but_not("fresh_start", text), hold_down=True)
