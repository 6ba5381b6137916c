"""Floors, ceilings and buffers by the clock: windows that open at the moments of a cron line and stay open for a time.

While windows are open, the highest floor, spare and standby of them count, and the strictest ceiling; where a floor is
above a ceiling, the ceiling stands.

A floor is there when its window opens, not ordered then. So a window is opened early for floor, spare and standby: by
as long as a set-up takes at the slowest of the pool's placements; or, where stopped machines are enough for what is
missing, by as long as the slowest of them takes to resume, and from a set-up's time before on nothing of it is let go.
The times are the usual ones of past machines, so that one comes up a little early and another a little late: who needs
a floor to the minute lets the window begin sooner. Worked example: the floor is 3 from 08:00, one machine is up, a
set-up takes 45 min and a resume 3 min. Without stopped machines two are ordered at 07:15; with two, they are resumed at
07:57. A ceiling is never early.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

from autoscaler.core.decision import Decision
from autoscaler.core.history import PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.ledger import DAY_S
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import SETTINGS, Pool
from autoscaler.core.units import format_duration
from policies.base import Finding, Policy, State
from policies.windows import Window, findings, starts

_LOOK_AHEAD_S = 7 * DAY_S  # how far a closed window's next start is looked for


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """Settings of the policy `schedule`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    windows: tuple[Window, ...]
    """Windows of time, each with what is wanted while it is open."""


def decide(snapshot: PoolSnapshot, state: State, now: float, settings: Schedule) -> tuple[Decision, State]:
    """What the windows that are open, or soon will be, want.

    The state holds, for each window that was opened early, the start that it was opened for: learned times change, and
    must not close it again.
    """
    decision = Decision(hot=0, warm=0)
    early: dict[str, float] = {}
    for window in settings.windows:
        name = _name(window)
        begun = list(starts(window, now - window.lasts, now))
        opens_at = next(starts(window, now, now + _LOOK_AHEAD_S), None)
        if begun:
            decision = _open(decision, window, begun[-1] + window.lasts - now)
        elif opens_at is None:
            decision = decision.but_not("schedule.rent", f"{name} does not open within a week")
        elif state.get(name) == opens_at or _is_due(window, snapshot, opens_at - now):
            early[name] = opens_at
            text = f"{name} opens in {format_duration(opens_at - now)}; {_times(snapshot)}: {_wishes(window)}"
            decision = _ordered(decision, window).because("schedule.early", text)
        else:
            decision = _closed(decision, window, snapshot, opens_at - now)
    return decision, early


def _open(decision: Decision, window: Window, left_s: float) -> Decision:
    if window.ceiling is not None:
        decision = replace(decision, ceiling=min(decision.ceiling, window.ceiling))
    text = f"{_name(window)} is open for another {format_duration(left_s)}: {_wishes(window)}"
    return _ordered(decision, window).because("schedule.open", text)


def _is_due(window: Window, snapshot: PoolSnapshot, in_s: float) -> bool:
    """Whether what a window wants must be ordered now in order to be there when it opens."""
    setup_s, resume_s = _up_in_s(snapshot)
    if window.floor == window.spare == window.standby == 0 or in_s > setup_s:
        return False
    return in_s <= resume_s or _missing(window, snapshot) > len(_stopped(snapshot))


def _closed(decision: Decision, window: Window, snapshot: PoolSnapshot, in_s: float) -> Decision:
    """A closed window wants nothing, but lets nothing go that it could not have back in time."""
    opens = f"{_name(window)} opens in {format_duration(in_s)}"
    if in_s <= _up_in_s(snapshot)[0]:
        missing = _missing(window, snapshot)
        decision = replace(
            decision,
            keep=max(decision.keep, min(window.floor, snapshot.up)),
            standby=max(decision.standby, missing + window.standby),
        )
        opens += f"; {missing} more machines by then, {len(_stopped(snapshot))} are stopped"
    return decision.but_not("schedule.rent", f"{opens}; {_times(snapshot)}")


def _ordered(decision: Decision, window: Window) -> Decision:
    return replace(
        decision,
        hot=max(decision.hot, window.floor),
        spare=max(decision.spare, window.spare),
        standby=max(decision.standby, window.standby),
    )


def _missing(window: Window, snapshot: PoolSnapshot) -> int:
    """Machines to start for a window; the spare ones come on top of whatever is up by then."""
    return max(0, window.floor - snapshot.up) + window.spare


def _stopped(snapshot: PoolSnapshot) -> list[Instance]:
    return snapshot.in_phase(Phase.WARM, Phase.STOPPING, Phase.DRAINING)


def _up_in_s(snapshot: PoolSnapshot) -> tuple[float, float]:
    """Seconds that a set-up takes at the slowest placement, and a resume of the slowest machine that is stopped."""
    history, unknown = snapshot.history, PlacementHistory()
    setups = [history.get(each.label, unknown).up_in_s(resumed=False) for each in snapshot.pool.placements]
    resumes = [history.get(each.placement, unknown).up_in_s(resumed=True) for each in _stopped(snapshot)]
    return max(setups), max(resumes, default=0.0)


def _times(snapshot: PoolSnapshot) -> str:
    setup_s, resume_s = _up_in_s(snapshot)
    resumes = f", a resume {format_duration(resume_s)}" if resume_s else ""
    return f"a set-up takes {format_duration(setup_s)}{resumes}"


def _name(window: Window) -> str:
    return f"the window of {window.cron} {window.zone}"


def _wishes(window: Window) -> str:
    wishes = {"at least": window.floor, "at most": window.ceiling, "spare": window.spare, "standby": window.standby}
    return ", ".join(
        f"{name} {count}" for name, count in wishes.items() if count is not None and (count or name == "at most")
    )


def check(settings: Schedule, pool: Pool) -> Iterable[Finding]:
    """What is wrong with the windows."""
    return ((("windows", *where), text) for where, text in findings(settings.windows, pool.limits))


POLICY = Policy(
    settings=Schedule,
    decide=decide,
    window_s=lambda _settings: 0.0,
    search=MappingProxyType({}),
    check=check,
)
