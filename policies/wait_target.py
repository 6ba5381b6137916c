"""Size by waiting time: each tier's jobs start within its target, at the least cost.

Tiers nest: each sees the work of its own and of more urgent tiers, so the machines needed are the most that any tier
needs up to itself. A tier needs machines for three reasons:

- **steady**: so many slots that at most the tolerated share of its jobs is late while jobs come as they do (Erlang's
  delay formula under priority, `policies.staffing`);
- **resume**: what will be in the queue when a standby that is resumed now is up must be done within the target:
  ``work then = work now + (slots of work arriving - slots up) × time``, and ``slots ≥ work then ÷ target`` plus what
  more urgent jobs take;
- **rent**: the same for when a machine that is rented now is up. A backlog that is gone by then needs none, and one
  that is not is given a ninth of that time at least: many machines that come late are no help.

Work is waiting jobs times their learned service time (with a weight by tier until it is known) plus what is left of
jobs in hand; capacity is what is up and, from its learned remaining time on, what is on its way. While jobs wait, those
that wait by the age of the oldest are how fast they came of late. Long jobs are thus sized by the work there is, not
by the rate of their arrival. The target is stretched by the tier's patience, which falls as its error budget is used
up (`policies.lateness`).

Worked example: one machine of one slot runs, jobs take 20 s, a standby would be up in 210 s. 40 `free` jobs wait, the
oldest for 100 s, so 8 slots of work arrive. In 210 s there will be 800 + 10 + (8 - 1) × 210 = 2,280 s of work; the
target of 5 min, stretched to 15, takes 2.5 slots: three machines. A rented one would be up in 45 min; over so long a
time as that, a third of it at least, jobs come at 0.9 slots, and 810 + (0.9 - 1) × 2,700 = 510 s of work take less than
the machine that runs: none is rented.

The wish falls only after it was lower for `hold_for`. Standbys are kept for what jobs have needed lately
(`policies.levels`): enough machines, running or stopped, for all but `uncovered_share` of the work, more where stopped
ones often do not come back, none where a rent is nearly as quick as a resume.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import SETTINGS, Pool, Tier
from autoscaler.core.units import Seconds, format_duration
from autoscaler.core.waits import Supply, rates, service_times, supply
from policies import lateness
from policies.base import Finding, Policy, State
from policies.hold import Held
from policies.lateness import Lateness
from policies.levels import covering, seen
from policies.staffing import Class, slots_for

_LONGEST_S = 60.0  # a longer time between two ticks is a gap, of which nothing is known
_BURST_S = 60.0  # jobs that came within less than this are no rate yet
_SLOWER = 2.0  # times a resume; where a rent takes less than that, standbys are not worth their disks
_KEPT = 0.2  # standbys go when this part of the share that may be uncovered needs them no more


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitTarget:
    """Settings of the policy `wait_target`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    late_share: float = 0.05
    """The share of each tier's jobs that may start later than its target."""
    patience: float = 3.0
    """How many times its target a tier's jobs may be expected to wait before machines are started for them, as long as
    none was late; it falls to a half as the tolerated share is used up."""
    uncovered_share: float = 0.35
    """The share of the work that may come while more machines are needed than run or stand by."""
    hold_for: Seconds = 120.0
    """Want fewer machines only after fewer were needed for this long."""
    service: Seconds = 20.0
    """How long a slot works on a job, until that is known from a few; times the tier's `weight`."""


@dataclass(frozen=True, slots=True)
class _Need:
    """Machines needed, and why."""

    machines: int
    text: str


@dataclass(frozen=True, slots=True)
class _Horizon:
    """A time at which machines that are ordered now would be up."""

    order: str
    in_s: float
    window_s: float
    """Over less than this, jobs that wait are no rate at which more will come until then."""
    least_s: float
    """What waits then is given this long at least: many machines that come late are no help."""
    most: float
    """Machines that there can be by then."""


def decide(snapshot: PoolSnapshot, state: State, now: float, settings: WaitTarget) -> tuple[Decision, State]:
    """Machines that keep every tier's target.

    The state holds `wish` (`policies.hold`), `lateness` by tier, `levels` (`policies.levels`) and `at`, the last tick.
    """
    held = Held(**state["wish"]) if "wish" in state else Held(max(1, snapshot.up))
    levels: Sequence[float] = state.get("levels", ())
    if isinstance(snapshot.demand, Unknown):
        unknown = f"the queue's depth is unknown ({snapshot.demand.reason}): hold"
        decision = Decision(
            hot=min(held.value, snapshot.up),
            warm=_standbys(snapshot, levels, held.value, settings.uncovered_share * _KEPT),
        )
        return decision.because("wait_target.unknown", unknown), {
            **state,
            "wish": held.take(held.value, now, settings.hold_for).state(),
        }
    elapsed_s = min(_LONGEST_S, max(0.0, now - state.get("at", now)))
    late = _lateness(snapshot, snapshot.demand, lateness.read(state.get("lateness", {})), elapsed_s)
    needs = list(_needs(snapshot, snapshot.demand, late, now, settings))
    most = needs[-1][1].machines
    held = held.take(most, now, settings.hold_for)
    levels = seen(levels, min(most, snapshot.pool.limits.hot.high), snapshot.at_work(), elapsed_s)
    running = len(snapshot.in_phase(Phase.HOT))
    decision = Decision(
        hot=held.value,
        warm=_standbys(snapshot, levels, min(held.value, running), settings.uncovered_share * _KEPT),
        standby=_standbys(snapshot, levels, held.value, settings.uncovered_share),
        needs=tuple((name, need.machines) for name, need in needs),
    )
    fresh = {"wish": held.state(), "lateness": lateness.write(late), "levels": levels, "at": now}
    return _told(decision, needs, held, now, settings), fresh


def _lateness(
    snapshot: PoolSnapshot, demand: Demand, before: Mapping[str, Lateness], elapsed_s: float
) -> dict[str, Lateness]:
    known = snapshot.load.tiers
    return {
        tier.name: before.get(tier.name, Lateness()).seen(
            queue, tier.wait_target, known[tier.name].per_s if tier.name in known else 0.0, elapsed_s
        )
        for tier, queue in zip(snapshot.pool.tiers, demand.tiers, strict=True)
    }


# --- machines by tier -------------------------------------------------------------------------------------------------


def _needs(
    snapshot: PoolSnapshot, demand: Demand, late: Mapping[str, Lateness], now: float, settings: WaitTarget
) -> Iterator[tuple[str, _Need]]:
    """What each tier and the more urgent ones need together, the most urgent first."""
    slots = snapshot.pool.machine.slots
    service_s = service_times(snapshot, settings.service)
    steady = rates(snapshot, service_s)
    patience = {name: each.patience(settings.late_share, settings.patience) for name, each in late.items()}
    classes = [Class(steady[t.name], service_s[t.name], t.wait_target * patience[t.name]) for t in snapshot.pool.tiers]
    coming, horizons = supply(snapshot, now), _horizons(snapshot)
    usual_s, held_back = sum(service_s.values()) / len(service_s), snapshot.held_back()
    in_hand_s = snapshot.at_work() * usual_s / 2.0 + held_back * usual_s
    done_s = {horizon.order: _done(coming, horizon.in_s) for horizon in horizons}
    need, work_s, above = _Need(1, "one keeps every target"), in_hand_s, {horizon.order: 0.0 for horizon in horizons}
    for place, (tier, queue) in enumerate(zip(snapshot.pool.tiers, demand.tiers, strict=True)):
        need = _more(need, _steady(tier, classes, place, settings.late_share, slots))
        work_s += queue.waiting * service_s[tier.name]
        for horizon in horizons:
            load = max(steady[tier.name], _arriving(queue, service_s[tier.name], horizon.window_s))
            then_s = work_s + (above[horizon.order] + load) * horizon.in_s - done_s[horizon.order]
            if (queue.waiting or held_back) and then_s > 0.0:
                within_s = max(classes[place].target_s, horizon.least_s)
                machines = math.ceil((then_s / within_s + above[horizon.order]) / slots)
                need = _more(need, _queued(tier, horizon, then_s, within_s, machines))
            above[horizon.order] += load
        yield tier.name, need


def _more(need: _Need, other: _Need) -> _Need:
    return other if other.machines > need.machines else need


def _steady(tier: Tier, classes: Sequence[Class], place: int, tolerated: float, slots: int) -> _Need:
    load = sum(each.load for each in classes)
    late = f"over {tolerated:.0%} would wait for over {format_duration(classes[place].target_s)}"
    text = f"{tier.name}: with {load:.2f} slots of work arriving, {late} on fewer"
    return _Need(math.ceil(slots_for(classes, place, tolerated) / slots), text)


def _queued(tier: Tier, horizon: _Horizon, work_s: float, within_s: float, machines: int) -> _Need:
    text = (
        f"{tier.name}: when a {horizon.order} is up in {format_duration(horizon.in_s)},"
        f" {work_s:.0f} s of work will wait, to be done in {format_duration(within_s)}"
    )
    return _Need(int(min(machines, horizon.most)), text)


def _arriving(queue: TierDemand, service_s: float, window_s: float) -> float:
    """The slots' worth of work that arrived while the present queue built up; none of it has left yet."""
    return queue.waiting * service_s / max(window_s, queue.oldest_wait_s or 0.0)


def _horizons(snapshot: PoolSnapshot) -> tuple[_Horizon, _Horizon]:
    resume_s, setup_s = _soonest_s(snapshot)
    chances = sum(_chance(snapshot, machine.placement) for machine in snapshot.in_phase(Phase.WARM))
    returning = math.ceil(chances) + len(snapshot.in_phase(Phase.DRAINING))
    return (
        _Horizon("resumed machine", resume_s, _BURST_S, 0.0, snapshot.up + returning),
        _Horizon("rented machine", setup_s, max(_BURST_S, setup_s / 3.0), setup_s / 9.0, math.inf),
    )


def _soonest_s(snapshot: PoolSnapshot) -> tuple[float, float]:
    """Seconds until a machine is up that is resumed now, and one that is rented now, at the quickest placement."""
    histories = [snapshot.history_of(place.label) for place in snapshot.pool.placements]
    return (
        min(history.up_in_s(resumed=True) for history in histories),
        min(history.up_in_s(resumed=False) for history in histories),
    )


def _done(coming: Sequence[Supply], in_s: float) -> float:
    """The work that slots do until then, in slot-seconds."""
    return sum(max(0.0, in_s - each.in_s) * each.slots for each in coming)


# --- standbys ---------------------------------------------------------------------------------------------------------


def _standbys(snapshot: PoolSnapshot, levels: Sequence[float], running: int, uncovered: float) -> int:
    """Stopped machines that, with those running, are enough for what jobs needed lately; one at least.

    None where a machine that is rented is up nearly as soon.
    """
    short = max(2, covering(levels, uncovered)) - running
    if short <= 0:
        return 0
    resume_s, setup_s = _soonest_s(snapshot)
    if setup_s < _SLOWER * resume_s:
        return 0
    chances = [_chance(snapshot, machine.placement) for machine in snapshot.in_phase(Phase.WARM)]
    chance = sum(chances) / len(chances) if chances else 1.0
    return max(1, round(short / chance))


def _chance(snapshot: PoolSnapshot, placement: str) -> float:
    return snapshot.history_of(placement).resume_chance()


# --- words ------------------------------------------------------------------------------------------------------------


def _told(
    decision: Decision, needs: Sequence[tuple[str, _Need]], held: Held, now: float, settings: WaitTarget
) -> Decision:
    need = needs[-1][1]
    decision = decision.because("wait_target.need", f"{need.text}: {need.machines} HOT")
    left_s = held.falls_in_s(now, settings.hold_for)
    if left_s is not None:
        text = f"{need.machines} HOT would do; {held.value} stand for another {format_duration(left_s)}"
        decision = decision.but_not("wait_target.fewer", text)
    return decision


def _check(settings: WaitTarget, _pool: Pool) -> Iterator[Finding]:
    for name in ("late_share", "uncovered_share"):
        if not 0.0 < getattr(settings, name) < 1.0:
            yield (name,), "expected a share above 0 and below 1, such as 0.05"
    if settings.patience < 1.0:
        yield ("patience",), "expected 1 or more: how many times its target a job may be expected to wait"
    if settings.service <= 0.0:
        yield ("service",), "expected more than 0s"


POLICY = Policy(
    settings=WaitTarget,
    decide=decide,
    window_s=lambda settings: settings.hold_for,
    search=MappingProxyType(
        {
            "patience": (1.0, 2.0, 3.0, 4.0),
            "uncovered_share": (0.05, 0.1, 0.2, 0.35, 0.5),
            "hold_for": (60.0, 120.0, 300.0, 900.0),
            "late_share": (0.01, 0.02, 0.05, 0.1),
        }
    ),
    check=_check,
)
