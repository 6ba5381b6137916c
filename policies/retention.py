"""Keep idle machines as long as they are worth their price: HOT to WARM and WARM to COLD at their break-even times.

Machines form a stack: the cheapest is used first, and level *k* of the stack is needed while *k* machines have work (Lu
and Chen, arXiv 1112.0442: each level decides by itself). Which machines happened to be at work does not matter, for
queues hand out their jobs in turns. A level that was not needed for its `stop_s` (`policies.break_even`) is not kept
HOT, one that was not needed for its `release_s` not even WARM; both from the machine's own prices, the learned times
and the learned chance of a resume, anew at each tick.

Worked example: three machines run at 0.21, 0.21 and 0.40 USD an hour, resumes take 210 s and succeed with p = 0.9,
set-ups 45 min, disks cost 0.025 an hour. At 0.21, K_C = 0.158 and K_W = 0.027 USD, so a level is stopped after 8m 46s.
One job runs; two ran until 5 minutes ago, three until 20 minutes ago: two machines are kept.

It starts nothing: what is kept runs already. The strategy's fixed times, 30 minutes and 24 hours, are `idle_for: 30m`
and `warm_for: 24h`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, format_duration
from policies.base import Policy, State
from policies.break_even import BreakEven, break_even


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """Settings of the policy `retention`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    worth: float = 0.25
    """Keep idle machines HOT for this many times their break-even time: 1 never pays more than twice what a clairvoyant
    pays; less is cheaper where most gaps are long."""
    idle_for: Seconds | None = None
    """Stop a machine after it was not needed for exactly this long; its break-even time when absent."""
    warm_for: Seconds | None = None
    """Release a machine after it was not needed for exactly this long; its break-even time when absent."""


def decide(snapshot: PoolSnapshot, state: State, now: float, settings: Retention) -> tuple[Decision, State]:
    """Machines worth keeping. The state holds `unneeded`: since when each level was not needed, or null."""
    hot = _cheapest_first(snapshot.in_phase(Phase.HOT))
    stopped = _cheapest_first(snapshot.in_phase(Phase.DRAINING, Phase.STOPPING, Phase.WARM))
    if isinstance(snapshot.demand, Unknown):
        decision = Decision(hot=0, warm=len(stopped), keep=len(hot))
        return decision.because("retention.unknown", f"the queue's depth is unknown: keep all {len(hot)}"), state
    stack = [*hot, *stopped]
    needed = _levels_at_work(snapshot, snapshot.demand, len(hot))
    before = state.get("unneeded", ())
    since = [None if level < needed else _since(before, level, now) for level in range(len(stack))]
    idle_s = [0.0 if at is None else now - at for at in since]
    times = _times(stack, snapshot, settings)
    keep = _top(idle_s[level] < times[level].stop_s for level in range(len(hot)))
    standing = _top(idle_s[level] < max(times[level].stop_s, times[level].release_s) for level in range(len(stack)))
    decision = Decision(hot=0, warm=max(0, standing - max(keep, needed)), keep=keep)
    return _told(decision, hot, idle_s, times), {"unneeded": since}


def _cheapest_first(machines: Sequence[Instance]) -> list[Instance]:
    return sorted(machines, key=lambda machine: (machine.usd_per_hour / machine.slots, machine.created_at, machine.id))


def _levels_at_work(snapshot: PoolSnapshot, demand: Demand, hot: int) -> int:
    """Machines whose work there is: all that run while jobs wait."""
    return hot if demand.waiting else min(hot, math.ceil(snapshot.at_work() / snapshot.pool.machine.slots))


def _since(before: Sequence[float | None], level: int, now: float) -> float:
    known = before[level] if level < len(before) else None
    return now if known is None else min(now, known)  # never later than now: the clock may have been set back


def _top(kept: Any) -> int:
    """The height of the stack up to the highest level that is kept."""
    return max((level for level, is_kept in enumerate(kept, 1) if is_kept), default=0)


def _times(stack: Sequence[Instance], snapshot: PoolSnapshot, settings: Retention) -> list[BreakEven]:
    known: dict[tuple[str, float, float], BreakEven] = {}
    times = []
    for machine in stack:
        alike = (machine.placement, machine.usd_per_hour, machine.disk_usd_per_hour)
        if alike not in known:
            known[alike] = _worth(machine, snapshot, settings)
        times.append(known[alike])
    return times


def _worth(machine: Instance, snapshot: PoolSnapshot, settings: Retention) -> BreakEven:
    history = snapshot.history_of(machine.placement)
    at = break_even(
        usd_per_hour=machine.usd_per_hour,
        disk_usd_per_hour=machine.disk_usd_per_hour,
        resume_s=history.up_in_s(resumed=True),
        setup_usd=machine.usd_per_hour * history.up_in_s(resumed=False) / 3600.0,
        resume_chance=history.resume_chance() if machine.provider in snapshot.stoppable else 0.0,
    )
    return BreakEven(
        settings.worth * at.stop_s if settings.idle_for is None else settings.idle_for,
        at.release_s if settings.warm_for is None else settings.warm_for,
    )


def _told(decision: Decision, hot: Sequence[Instance], idle_s: Sequence[float], times: Sequence[BreakEven]) -> Decision:
    if decision.keep and idle_s[decision.keep - 1]:
        level = decision.keep - 1
        text = (
            f"{hot[level].usd_per_hour:.3f} USD/h: not needed for {format_duration(idle_s[level])},"
            f" worth keeping for {format_duration(times[level].stop_s)}"
        )
        decision = decision.because("retention.keep", text)
    if decision.keep < len(hot):
        level = decision.keep
        text = f"{len(hot) - level} not needed for {format_duration(idle_s[level])}, longer than they are worth keeping"
        decision = decision.but_not("retention.keep", text)
    return decision


POLICY = Policy(
    settings=Retention,
    decide=decide,
    window_s=lambda _settings: 0.0,
    search=MappingProxyType({"worth": (0.1, 0.25, 0.5, 1.0, 2.0)}),
    alone=False,
)
