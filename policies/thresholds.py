"""Scale by queue depth: the strategy's own triggers, with its numbers as defaults.

====================================================  =======================================
depth > 10 and a WARM standby                         resume it
depth > 30 and no standby                             rent another machine
depth < 3 for 30 minutes and more than one machine    drain and stop one, never the primary
WARM for over 24 hours, no spike expected             release it
====================================================  =======================================

Depth is the number of jobs waiting in all tiers, and of those that workers hold but have no slot for. Capacity on its
way is subtracted: each machine that is booting answers for one threshold's worth of jobs. Worked example: 25 jobs wait,
one machine boots out of WARM, another standby is there: 25 - 10 = 15 > 10, so the second standby is resumed as well;
with 18 jobs, 18 - 10 = 8, it is not.

The wish for a machine stands until depth was low for `idle_for`; how it is met (take a drain back, resume, else rent)
is the planner's part, so a refused resume falls through to the next standby and then to renting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Unknown
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, format_duration
from policies.base import Policy, State


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Settings of the policy `thresholds`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    resume_depth: int = 10
    """Resume a WARM machine when more jobs than this wait."""
    rent_depth: int = 30
    """Rent a machine when more jobs than this wait and no WARM machine is left."""
    idle_depth: int = 3
    """Fewer jobs than this waiting is quiet."""
    idle_for: Seconds = 1800.0
    """Stop one machine after it was quiet for this long."""
    release_after: Seconds = 86400.0
    """Release a machine that was WARM for longer than this."""


def decide(snapshot: PoolSnapshot, state: State, now: float, settings: Thresholds) -> tuple[Decision, State]:
    """Machines wanted by queue depth.

    The state holds `hot`, the machines wanted so far, and `quiet_since`, when depth fell below `idle_depth`.
    """
    wanted = snapshot.pool.limits.hot.clamp(int(state.get("hot", max(1, snapshot.up))))
    decision = Decision(hot=wanted, warm=_keep_warm(snapshot, now, settings))
    if isinstance(snapshot.demand, Unknown):
        unknown = f"the queue's depth is unknown ({snapshot.demand.reason}): hold"
        held = replace(decision, hot=min(wanted, snapshot.up))
        return held.because("thresholds.unknown", unknown), {"hot": wanted, "quiet_since": None}
    decision = _expire_note(decision, snapshot, now, settings)
    depth = snapshot.demand.waiting + snapshot.held_back()
    decision, grown = _grow(decision, snapshot, depth, settings)
    if grown or depth >= settings.idle_depth:
        quiet_since = None
    else:
        # Never later than now: a clock that was set back must not put the end of the quiet off.
        quiet_since = now if state.get("quiet_since") is None else min(now, float(state["quiet_since"]))
    if not grown:
        decision, quiet_since = _shrink(decision, depth, quiet_since, now, settings)
    return decision, {"hot": decision.hot, "quiet_since": quiet_since}


def _grow(decision: Decision, snapshot: PoolSnapshot, depth: int, settings: Thresholds) -> tuple[Decision, bool]:
    wanted, coming = decision.hot, snapshot.on_the_way
    if snapshot.up < wanted:
        return decision.because("thresholds.short", f"{snapshot.up} of {wanted} wanted machines are up"), False
    standbys = len(snapshot.in_phase(Phase.WARM, Phase.DRAINING))
    less_coming = f" less {coming} on the way" if coming else ""
    if standbys and depth - coming * settings.resume_depth > settings.resume_depth:
        text = f"{depth} jobs wait{less_coming}, more than {settings.resume_depth}, and a standby is there: resume it"
        return decision.because("thresholds.resume", text, hot=wanted + 1), True
    if not standbys and depth - coming * settings.rent_depth > settings.rent_depth:
        text = f"{depth} jobs wait{less_coming}, more than {settings.rent_depth}, and no standby is left: rent"
        return decision.because("thresholds.rent", text, hot=wanted + 1), True
    if standbys:
        threshold, action = settings.resume_depth, "resume"
    else:
        threshold, action = settings.rent_depth, "rent"
    needed = f"{threshold * (coming + 1)}, with {coming} on the way" if coming else str(threshold)
    return decision.but_not(f"thresholds.{action}", f"{depth} jobs wait; it takes more than {needed}"), False


def _shrink(
    decision: Decision, depth: int, quiet_since: float | None, now: float, settings: Thresholds
) -> tuple[Decision, float | None]:
    if quiet_since is None:
        text = f"{depth} jobs wait; it takes fewer than {settings.idle_depth} for {_time(settings.idle_for)}"
        return decision.but_not("thresholds.stop", text), None
    if decision.hot <= 1:
        return decision.but_not("thresholds.stop", "the last machine stays"), quiet_since
    quiet_s = now - quiet_since
    if quiet_s < settings.idle_for:
        text = f"quiet for {_time(quiet_s)} of {_time(settings.idle_for)}"
        return decision.but_not("thresholds.stop", text), quiet_since
    text = f"fewer than {settings.idle_depth} jobs waited for {_time(settings.idle_for)}: stop one machine"
    return decision.because("thresholds.stop", text, hot=decision.hot - 1), now


def _keep_warm(snapshot: PoolSnapshot, now: float, settings: Thresholds) -> int:
    """Stopped machines to keep: as many as the limits allow, less those whose time is over."""
    expired = sum(now - i.phase_since > settings.release_after for i in snapshot.in_phase(Phase.WARM))
    if not expired:
        return snapshot.pool.limits.warm.high
    kept = len(snapshot.in_phase(Phase.WARM, Phase.STOPPING, Phase.DRAINING)) - expired
    return snapshot.pool.limits.warm.clamp(kept)


def _expire_note(decision: Decision, snapshot: PoolSnapshot, now: float, settings: Thresholds) -> Decision:
    warm = snapshot.in_phase(Phase.WARM)
    if not warm:
        return decision
    longest = max(now - i.phase_since for i in warm)
    over = longest > settings.release_after
    if over and decision.warm < len(warm):
        text = f"WARM for {_time(longest)}, more than {_time(settings.release_after)}, and no spike expected: release"
        return decision.because("thresholds.release", text)
    reason = "limits.warm keeps it" if over else f"it takes {_time(settings.release_after)}"
    return decision.but_not("thresholds.release", f"WARM for {_time(longest)}; {reason}")


_time = format_duration

POLICY = Policy(
    settings=Thresholds,
    decide=decide,
    window_s=lambda settings: settings.idle_for,
    search=MappingProxyType(
        {
            "resume_depth": (0, 1, 2, 5, 10, 20),
            "rent_depth": (0, 1, 3, 10, 30, 60),
            "idle_depth": (1, 2, 3, 5),
            "idle_for": (60.0, 300.0, 900.0, 1800.0, 3600.0),
            "release_after": (3600.0, 21600.0, 86400.0, 259200.0),
        }
    ),
)
