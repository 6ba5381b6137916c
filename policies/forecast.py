"""Order machines before they are needed, as far as the past has been a guide.

It learns a pool's usual week (`policies.profile`), its idle gaps (`policies.gaps`) and how much of the changes that it
foretells come (`policies.skill`). At a moment t the pool will need

    work now + weight × (usual work at t + margin × usual spread - usual work now)

and never less than the work now; where that is more than usual, the rise is counted from there. The weight is what the
forecast has earned of late: where nothing comes of what it foretells, it asks for nothing, and the other policies
decide alone. Work is counted in slots kept busy. Nothing is planned further ahead than orders take, for that is worth
nothing (Lu and Chen, arXiv 1112.0442), save that a stopped machine must be there before it can be resumed, which takes
a rent.

- `hot`: what is needed when a resume ordered now is up; or, where more will be needed than runs or is stopped, when a
  rent ordered now is up. A lower wish waits for as long as stopping a machine takes to pay.
- `keep`: running machines that are needed again before stopping them pays.
- `standby`: machines for the next day's peak, less those that run.

Worked example, one slot a machine: at 08:40 on a Tuesday 0.8 slots work, as usual; a resumed machine would be up in
time for 08:48, when 2.4 ± 0.3 are usual; the weight is 0.75: 0.8 + 0.75 × (2.4 + 0.3 - 0.8) = 2.2 slots, so three
machines are wanted.

With no floor, the last machine goes by the gaps: it runs on, or is resumed, while the chance that the next job is near
is worth its price. Information that is missing is not quiet: with an unknown queue it proposes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

from autoscaler.core.decision import Decision, Reason
from autoscaler.core.demand import Unknown
from autoscaler.core.history import PlacementHistory
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import RATE_S
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import SETTINGS, Pool
from autoscaler.core.units import Seconds, format_duration
from autoscaler.core.waits import rates, service_times
from policies.base import Finding, Policy, State
from policies.gaps import Gaps
from policies.habits import remembered
from policies.hold import Held
from policies.profile import SLOT_S, Outlook, say_slot, slot_of
from policies.skill import Skill

_NOTHING = Decision(hot=0, warm=0)
_EARLY_S = 300.0  # machines should be up a little before they are needed; AWS buffers its predictions as long
_FRESH_S = 300.0  # an older history does not tell what works now
_DAY_S = 86400.0
_PART = 0.1  # of a machine's work is no reason to order one more
_LIKELY = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """Settings of the policy `forecast`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    margin: float = 1.0
    """How much to add to the usual work, in multiples of its usual spread."""
    learn_for: Seconds = 2 * _DAY_S
    """How much must have been seen before it weighs in."""
    shadow: bool = False
    """Compute and tell what would be wanted, and want nothing."""


@dataclass(frozen=True, slots=True)
class _Times:
    """How long orders take, in seconds."""

    resume_s: float
    setup_s: float
    pays_s: float
    """Stopping a machine pays if it is not needed for this long."""


@dataclass(frozen=True, slots=True)
class _Prospect:
    """What a pool will need."""

    now: float
    work: float
    """The work now, in slots."""
    usual: float
    """What was usual when that work came in."""
    outlook: Outlook
    margin: float
    skill: Skill
    slots: int
    """Of one machine."""

    def machines(self, usual: float) -> int:
        """Machines for a time at which so much work, its margin included, is usual."""
        work = self.work + self.skill.weight * max(0.0, usual - max(self.usual, self.work))
        return math.ceil(max(0.0, work / self.slots - _PART))

    def needed_in(self, seconds: float) -> int:
        """Machines needed so many seconds from now."""
        return self.machines(self.outlook.at(self.now + seconds, self.margin))

    def tell(self, seconds: float) -> str:
        """What is usual then, and how far to trust that, in words."""
        then = self.now + seconds
        return (
            f"{self.work:.1f} slots work, {self.usual:.1f} are usual; {say_slot(slot_of(then))} usually needs"
            f" {self.outlook.at(then):.1f} (skill {self.skill.skill:.2f}, weight {self.skill.weight:.2f})"
        )


def decide(snapshot: PoolSnapshot, state: State, now: float, settings: Forecast) -> tuple[Decision, State]:
    """Machines wanted by what is usual. The state is that of `policies.habits`, and the wish as it is `held`."""
    if isinstance(snapshot.demand, Unknown):
        return _NOTHING.but_not("forecast.unknown", f"the queue is unknown ({snapshot.demand.reason})"), state
    memory = remembered(state, snapshot, now)
    if not memory:
        return _NOTHING.but_not("forecast.learning", "there is no history yet"), memory
    times = _times(snapshot)
    decision = _by_week(snapshot, memory, now, settings, times)
    decision = _by_gaps(decision, snapshot, memory, now, times)
    held = Held(**memory.get("held", {})).take(decision.hot, now, times.pays_s)
    if held.state() != memory.get("held"):
        memory = {**memory, "held": held.state()}
    if held.value > decision.hot:
        left = format_duration(held.falls_in_s(now, times.pays_s) or 0.0)
        decision = decision.because("forecast.hold", f"{held.value} HOT were wanted; fewer in {left}", hot=held.value)
    return (_shadow(decision) if settings.shadow else decision), memory


def _times(snapshot: PoolSnapshot) -> _Times:
    """Orders take what they took at the first placement of which anything is known.

    Stopping pays by multi-slope ski rental, the disk's price neglected: a resume costs what the machine costs while it
    starts, and if it is refused, which it is with a chance of 1 - p, what a rent costs: ``resume + (1 - p) × set-up``.
    """
    known = [snapshot.history[p.label] for p in snapshot.pool.placements if p.label in snapshot.history]
    history = known[0] if known else PlacementHistory()
    resume_s, setup_s = history.up_in_s(resumed=True), history.up_in_s(resumed=False)
    if not _can_stop(snapshot):
        return _Times(resume_s, setup_s, setup_s)
    return _Times(resume_s, setup_s, resume_s + (1.0 - history.resume_chance()) * setup_s)


def _can_stop(snapshot: PoolSnapshot) -> bool:
    return bool(snapshot.pool.limits.warm.high) and any(
        placement.provider in snapshot.stoppable for placement in snapshot.pool.placements
    )


def _by_week(snapshot: PoolSnapshot, memory: State, now: float, settings: Forecast, times: _Times) -> Decision:
    """What the usual week asks for."""
    seen_s = memory["profile"]["slots"] * SLOT_S
    if seen_s < settings.learn_for:
        text = f"the forecast is learning: {format_duration(seen_s)} of {format_duration(settings.learn_for)} seen"
        return _NOTHING.but_not("forecast.learning", text)
    if not 0.0 <= now - snapshot.load.until <= _FRESH_S:
        return _NOTHING.but_not("forecast.stale", "the history does not tell what works now")
    outlook, skill = Outlook(**memory["outlook"]), Skill(**memory["skill"])
    if not skill.weight:
        return _NOTHING.but_not("forecast.skill", "of late, what it foretold did not come: weight 0")
    prospect = _Prospect(
        now=now,
        work=sum(rates(snapshot, service_times(snapshot)).values()),
        usual=outlook.at(now - RATE_S),
        outlook=outlook,
        margin=settings.margin,
        skill=skill,
        slots=snapshot.pool.machine.slots,
    )
    return _standby(_keep(_hot(prospect, snapshot, times), prospect, snapshot, times), prospect, snapshot)


def _hot(prospect: _Prospect, snapshot: PoolSnapshot, times: _Times) -> Decision:
    """Machines to order, counting on stopped ones as long as none was refused."""
    soon_s, later_s = times.resume_s + _EARLY_S, times.setup_s + _EARLY_S
    stopped = sum(not machine.refusals for machine in snapshot.in_phase(Phase.WARM))
    hot, in_s = prospect.needed_in(soon_s), soon_s
    if prospect.needed_in(later_s) > len(snapshot.in_phase(Phase.HOT)) + stopped:
        hot, in_s = max(hot, prospect.needed_in(later_s)), later_s
    return _NOTHING.because("forecast.hot", f"{prospect.tell(in_s)}: {hot} HOT in {format_duration(in_s)}", hot=hot)


def _keep(decision: Decision, prospect: _Prospect, snapshot: PoolSnapshot, times: _Times) -> Decision:
    """Running machines that are needed again before stopping them pays."""
    at, usual = prospect.outlook.peak(prospect.now, prospect.now + times.pays_s, prospect.margin)
    keep = min(snapshot.up, prospect.machines(usual))
    if keep <= decision.hot:
        return decision
    text = f"{keep} are needed again by {say_slot(slot_of(at))}; stopping pays for {format_duration(times.pays_s)} only"
    return decision.because("forecast.keep", text, keep=keep)


def _standby(decision: Decision, prospect: _Prospect, snapshot: PoolSnapshot) -> Decision:
    """Stopped machines for the next day's peak."""
    at, usual = prospect.outlook.peak(prospect.now, prospect.now + _DAY_S, prospect.margin)
    peak = prospect.machines(usual)
    standby = max(0, peak - max(snapshot.up, decision.hot))
    if not standby or not _can_stop(snapshot):
        return decision
    text = f"{peak} needed at the next day's peak, {say_slot(slot_of(at))}: {standby} stopped machines by then"
    return decision.because("forecast.standby", text, standby=standby, warm=standby)


def _by_gaps(decision: Decision, snapshot: PoolSnapshot, memory: State, now: float, times: _Times) -> Decision:
    """What the law of idle gaps says of the last machine, where there need be none."""
    if not memory["idle"]:
        return decision
    gaps, idle_s = Gaps(memory["gaps"]), max(0.0, now - memory["idle"]["since"])
    if gaps.chance(idle_s, _DAY_S) >= _LIKELY and _can_stop(snapshot):
        decision = replace(decision, warm=max(decision.warm, 1))
    idle = f"idle for {format_duration(idle_s)}"
    if snapshot.up:
        wish, up_s, text = {"keep": 1}, 0.0, f"{idle}: the last machine runs on"
    else:
        up_s = times.resume_s if snapshot.in_phase(Phase.WARM) else times.setup_s
        wish, text = {"hot": max(decision.hot, 1)}, f"{idle}: one HOT in {format_duration(up_s)}"
    chance, pays = gaps.chance(idle_s + up_s, times.pays_s), format_duration(times.pays_s)
    odds = f"{chance:.0%} of gaps that reach that moment end within {pays} of it"
    if gaps.worth_running(idle_s + up_s, times.pays_s):
        return decision.because("forecast.gap", f"{text}; {odds}", **wish)
    return decision.but_not("forecast.gap", f"{idle}: no reason for a machine; {odds}")


def _shadow(decision: Decision) -> Decision:
    """What would have been wanted, as words alone."""
    text = f"would want {decision.hot} HOT, keep {decision.keep} and {decision.standby} stopped; not used: shadow"
    return replace(_NOTHING, why_not=(*decision.why, *decision.why_not, Reason("forecast.shadow", text)))


def _check(settings: Forecast, _pool: Pool) -> Iterator[Finding]:
    if settings.margin < 0:
        yield ("margin",), "expected 0 or more"


POLICY = Policy(
    settings=Forecast,
    decide=decide,
    window_s=lambda _settings: 0.0,  # it never asks for fewer machines than others want
    search=MappingProxyType(
        {
            "margin": (0.0, 0.5, 1.0, 2.0, 4.0),
            "learn_for": (_DAY_S, 2 * _DAY_S, 7 * _DAY_S),
        }
    ),
    alone=False,
    check=_check,
)
