"""The race of a resume with a rent: WARM is a probability, and a resume that does not come must not be waited for.

A resume counts as capacity on its way for as long as it is expected to be up before a rent would be. Then a machine is
rented beside it; the first of the two to be HOT stays, and the other is given up with what it has cost.

With the learned mean `m` and standard deviation `d` of resumes and the chance `c` that one comes up at all, one that is
`t` seconds old and not up comes with the chance

    q = c·S / (c·S + 1 - c)        S = d² / (d² + (t - m)²) for t > m, else 1

(Bayes' rule; S is Cantelli's bound on the share of resumes that take longer than `t`). If it comes, it comes soon; if
it does not, its deadline passes first, and only then does a rent begin. So waiting takes
`q·soon + (1 - q)·(deadline left + set-up)` seconds on average, a rent now takes one set-up.

Worked example: m = 210 s, d = 52.5 s, c = 0.8, a deadline of 600 s. A resume is late at m + 2d = 315 s,
where q = 0.44. With a set-up of 270 s waiting takes 0.44 × 21 + 0.56 × 555 = 318 s: a machine is rented. With a set-up
of 45 minutes it takes 1668 s against 2700: the resume is waited for, as it will be up earlier anyway.
"""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.core.decision import Action, Command, Decision, about
from autoscaler.core.history import PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase, deadline_s
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.units import format_duration

_UNLIKELY = 0.25
"""A resume with less than this chance is not waited for at all."""
_STARTED = 0.95
"""The chance of a resume that its provider has started: it cannot be refused any more."""
_KEPT_H = 24.0
"""How long a stopped machine is kept, when its disk is weighed against its set-up; as in the strategy."""
_COMING = frozenset({Phase.RESUMING, Phase.BOOTING})


def chance(snapshot: PoolSnapshot, machine: Instance) -> float:
    """The chance that a resume of this machine comes up: what was learned, halved with each refusal in a row."""
    return snapshot.history_of(machine.placement).resume_chance() * 0.5**machine.refusals


def doubt(snapshot: PoolSnapshot, machine: Instance, now: float) -> str:
    """Why a resume, ordered or about to be, is not counted on; empty where it is."""
    likely = _STARTED if machine.phase is Phase.BOOTING else chance(snapshot, machine)
    if likely < _UNLIKELY:
        return f"its chance to come back is {likely:.0%}"
    if machine.phase is Phase.WARM:
        return ""
    age_s, history = now - machine.ordered_at, snapshot.history_of(machine.placement)
    if age_s <= history.resume_late_s():
        return ""
    mean_s, spread_s = history.resume_time()
    variance = spread_s * spread_s
    surviving = variance / (variance + (age_s - mean_s) ** 2)
    comes = likely * surviving / (likely * surviving + 1.0 - likely)
    left_s = max(0.0, (deadline_s(machine.phase, snapshot.pool.deadlines) or 0.0) - (now - machine.phase_since))
    setup_s = _setup_s(snapshot)
    waiting_s = comes * history.up_in_s(resumed=True, elapsed_s=age_s) + (1.0 - comes) * (left_s + setup_s)
    if waiting_s <= setup_s:
        return ""
    usual = f"{format_duration(mean_s)} ± {format_duration(spread_s)}"
    return (
        f"its resume takes {format_duration(age_s)} already, usually {usual}; it is expected in"
        f" {format_duration(waiting_s)}, a rent in {format_duration(setup_s)}"
    )


def doubtful(snapshot: PoolSnapshot, now: float) -> list[tuple[Instance, str]]:
    """The resumes on their way that are not counted on, and why."""
    coming = (m for m in snapshot.in_phase(*sorted(_COMING)) if _is_ordered_resume(m))
    return [(machine, why) for machine in coming if (why := doubt(snapshot, machine, now))]


def losers(snapshot: PoolSnapshot, decision: Decision, now: float) -> list[Command]:
    """Commands that give up the losers of races which are decided.

    A loser that is wanted all the same, as a machine or as a standby, goes on.
    """
    stopped = len(snapshot.in_phase(Phase.WARM, Phase.STOPPING))
    surplus = snapshot.up - decision.hot - max(0, decision.standby - stopped)
    if surplus <= 0 or decision.hold_down:
        return []
    by_id = {machine.id: machine for machine in snapshot.instances}
    commands: list[Command] = []
    for rented in (m for m in snapshot.in_phase(Phase.HOT, Phase.RENTING, Phase.BOOTING) if m.races):
        resumed = by_id.get(rented.races or "")
        if resumed is None or len(commands) == surplus or any(resumed.id == given_up.instance for given_up in commands):
            continue
        if resumed.phase is Phase.HOT and _is_first_boot(rented):
            commands.append(_give_up_rent(snapshot, rented, resumed, keeps=stopped < decision.warm, now=now))
        elif rented.phase is Phase.HOT and _is_ordered_resume(resumed) and resumed.ordered_at <= rented.created_at:
            usd = resumed.burn_usd_per_hour * (now - resumed.ordered_at) / 3600.0
            text = f"{rented.id} came up first: back to standby; its resume has cost {usd:.3f} USD"
            commands.append(about(Action.STOP, resumed, text))
    return commands


def _give_up_rent(snapshot: PoolSnapshot, rented: Instance, winner: Instance, *, keeps: bool, now: float) -> Command:
    """Release a boot that has lost; or stop it, where what is set up already is worth more than its disk for a day.

    Worked example: at 0.80 USD/h, 30 of 45 minutes done are worth 0.40 USD; a disk of 0.010 USD/h costs 0.24 a day.
    """
    setup_s = snapshot.history_of(rented.placement).up_in_s(resumed=False)
    done_usd = min(now - rented.created_at, setup_s) * rented.usd_per_hour / 3600.0
    disk_usd = rented.disk_usd_per_hour * _KEPT_H
    cost = f"{winner.id} came up first; this race has cost {rented.cost_usd(now):.3f} USD"
    stoppable = rented.phase is Phase.BOOTING and rented.provider in snapshot.stoppable
    if keeps and stoppable and done_usd > disk_usd:
        text = f"{cost}: stop it, {done_usd:.2f} USD of set-up are worth more than a day's disk of {disk_usd:.2f}"
        return about(Action.STOP, rented, text)
    return about(Action.RELEASE, rented, f"{cost}: release it")


def unraced(doubts: Iterable[tuple[Instance, str]], snapshot: PoolSnapshot) -> list[tuple[Instance, str]]:
    """Of these, the resumes beside which no machine is rented yet."""
    raced = {machine.races for machine in snapshot.instances if _is_first_boot(machine)}
    return [(machine, why) for machine, why in doubts if machine.id not in raced]


def _is_ordered_resume(machine: Instance) -> bool:
    ordered = machine.phase is Phase.RESUMING or (machine.phase is Phase.BOOTING and machine.resumed)
    return ordered and machine.ordered_at > machine.created_at


def _is_first_boot(machine: Instance) -> bool:
    return machine.phase in (Phase.PLANNED, Phase.RENTING, Phase.BOOTING) and not machine.resumed


def _setup_s(snapshot: PoolSnapshot) -> float:
    """The shortest time in which a rent is expected to be up."""
    known = [snapshot.history_of(p.label) for p in snapshot.pool.placements]
    return min((history.up_in_s(resumed=False) for history in known), default=PlacementHistory().up_in_s(resumed=False))
