"""Fewer machines: which one goes, and what becomes of it.

HOT machines go in this order; each rule only decides between those that the ones before it hold for equal:

1. those at a provider that is evacuated before all others: by now their replacements are HOT;
2. the base on demand (`limits.on_demand`) after all spot machines, and the primary last: of the healthy ones the
   cheapest for what it gives, the oldest where several cost the same;
3. those set apart for a tier after all others: the tier is promised its capacity;
4. unhealthy before healthy: it serves badly, and by now its replacement is HOT;
5. known idle before unknown or busy: nobody waits for its end, and it stops billing at once;
6. GPU idle for long before used: what the work does not need;
7. the dearest for what it gives, in USD per hour and slot, first: the saving is largest;
8. the one idle for the longest time first, the most recently idle last: the last one used has its model and caches
   loaded, and where jobs go to the machine used last, the others are left over (as in AutoScale: Gandhi et al., ACM
   TOCS 2012);
9. the oldest first, as the strategy says; then by id, so that the order is total.

The primary stays even where it alone is idle: the strategy keeps it running, and to wait for the jobs of another
machine costs less than a dearer one for days. A machine on its way is not given up for being one too many: its set-up
is paid for, it may be wanted by the time it is up, and its worker may have begun. Once HOT it goes like the others.

A machine whose contract ends within the time that its jobs may take (`deadlines.draining`) goes before all of them and
whatever was decided: its provider stops it then, with a job on it or without.

All of these are drained only. A drained machine is stopped or released only when it is known to be idle, and a sick one
is no standby: it is released. Of stopped machines, those go whose contract ends too soon for a resume; then first those
that were refused most often, then those whose disk is dearest, then those stopped for the longest time, whose host is
the likeliest to be full.
"""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.core.contract import ending, ends_within
from autoscaler.core.decision import Action, Command, Decision, about
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.units import format_duration
from autoscaler.core.utilisation import Use

MOST_REFUSALS = 3
"""A stopped machine refused this often in a row is released: it will not come back, and its disk is billed."""


def fewer(
    snapshot: PoolSnapshot, decision: Decision, taken: set[str | None], now: float
) -> tuple[list[Command], Decision]:
    """Commands that drain, stop and release what is more than decided; `taken` has the machines spoken for."""
    last = last_calls(snapshot, taken, now)
    commands = [*last, *_drains(snapshot, decision, taken | {command.instance for command in last}, now)]
    warm = [machine for machine in snapshot.in_phase(Phase.WARM, Phase.STOPPING) if machine.id not in taken]
    stopped = [machine for machine in warm if machine.phase is Phase.WARM]
    over = [machine for machine in stopped if snapshot.ends_soon(machine, now)]
    released = [about(Action.RELEASE, m, f"{ending(m.ends_at)}: not worth a resume, release it") for m in over]
    left = [machine for machine in stopped if machine not in over]
    released += _releases(left, len(warm) - len(over), decision, now)
    kept = len(warm) - len(released)
    drained = [machine for machine in snapshot.in_phase(Phase.DRAINING) if machine.id not in taken]
    ended, decision = _ends(snapshot, decision, drained, kept)
    return [*commands, *released, *ended], decision


def drained_for_good(
    snapshot: PoolSnapshot, decision: Decision, taken: set[str | None], now: float
) -> tuple[list[Command], Decision]:
    """Stops and releases of drained machines though nothing may go down: they serve nobody, and bill.

    Those that an operator had drained, at once; others once they have drained for as long as jobs may take, as until
    then they can be taken back.
    """
    last_job_s = snapshot.pool.deadlines.draining
    drained = [
        machine
        for machine in snapshot.in_phase(Phase.DRAINING)
        if machine.id not in taken and (snapshot.orders.of_machine(machine) or now - machine.phase_since > last_job_s)
    ]
    return _ends(snapshot, decision, drained, len(snapshot.in_phase(Phase.WARM, Phase.STOPPING)))


def last_calls(snapshot: PoolSnapshot, taken: set[str | None], now: float) -> list[Command]:
    """Drains of HOT machines whose contract ends before long; the last moment that lets their jobs end."""
    last_job_s = snapshot.pool.deadlines.draining
    going = [machine for machine in snapshot.in_phase(Phase.HOT) if ends_within(machine.ends_at, last_job_s, now)]
    text = "in time for its last job: drain it"
    return [about(Action.DRAIN, m, f"{ending(m.ends_at)}; {text}") for m in going if m.id not in taken]


def _drains(snapshot: PoolSnapshot, decision: Decision, going: set[str | None], now: float) -> list[Command]:
    """Drains of HOT machines. What is on its way does not serve yet, so it replaces nobody."""
    victims = [machine for machine in _victims(snapshot) if machine.id not in going]
    surplus = max(0, len(victims) - decision.hot)
    wanted = f"{decision.wish()}, {len(victims)} HOT: drain it"
    return [about(Action.DRAIN, m, f"{wanted}, {_why_this(snapshot, m, now)}") for m in victims[:surplus]]


def _victims(snapshot: PoolSnapshot) -> list[Instance]:
    """HOT machines in the order in which they may go."""
    primary, base = snapshot.primary(), _base(snapshot)

    def rank(machine: Instance) -> tuple[object, ...]:
        return (
            snapshot.orders.evacuation(machine.provider) is None,
            machine.id in base,
            machine is primary,
            machine.tier is not None,
            not machine.ailment,
            snapshot.busy.get(machine.id, 1) > 0,
            machine.gpu_use is not Use.IDLE,
            -_usd_per_slot(machine),
            snapshot.idle_since.get(machine.id, float("inf")),
            machine.created_at,
            machine.id,
        )

    return sorted(snapshot.in_phase(Phase.HOT), key=rank)


def _base(snapshot: PoolSnapshot) -> frozenset[str]:
    """The machines on demand that stay while spot machines go: the cheapest, as many as the limits ask for."""
    on_demand = [machine for machine in snapshot.in_phase(Phase.HOT) if machine.buy == "on_demand"]
    on_demand.sort(key=_usd_per_slot)
    return frozenset(machine.id for machine in on_demand[: snapshot.pool.limits.on_demand])


def _why_this(snapshot: PoolSnapshot, machine: Instance, now: float) -> str:
    """What speaks for a machine to go, in the order of the rules."""
    busy, idle_since = snapshot.busy.get(machine.id), snapshot.idle_since.get(machine.id)
    words = [f"degraded ({machine.ailment})"] if machine.ailment else []
    words += [f"{machine.provider} is evacuated"] if snapshot.orders.evacuation(machine.provider) else []
    if busy is None:
        words.append("nobody says whether it is idle")
    elif busy:
        words.append(f"{busy} of its slots work")
    else:
        words.append("idle" + (f" for {format_duration(now - idle_since)}" if idle_since is not None else ""))
    words += ["its GPU hardly used for long"] if machine.gpu_use is Use.IDLE else []
    return ", ".join([*words, f"{_usd_per_slot(machine):.3f} USD/h a slot"])


def _usd_per_slot(machine: Instance) -> float:
    return machine.usd_per_hour / max(1, machine.slots)


def _releases(warm: Iterable[Instance], keeping: int, decision: Decision, now: float) -> list[Command]:
    """Releases of stopped machines; `keeping` counts these and those that will be stopped."""
    commands = []
    for machine in sorted(warm, key=lambda m: (-m.refusals, -m.disk_usd_per_hour, m.phase_since, m.id)):
        stopped = f"{machine.disk_usd_per_hour:.3f} USD/h, stopped for {format_duration(now - machine.phase_since)}"
        if machine.refusals >= MOST_REFUSALS:
            text = f"refused {machine.refusals} times in a row: it will not come back; it has cost"
            commands.append(about(Action.RELEASE, machine, f"{text} {machine.cost_usd(now):.2f} USD"))
        elif keeping - len(commands) > decision.warm:
            text = f"{keeping - len(commands)} stopped, {decision.warm} to keep: release it, {stopped}"
            commands.append(about(Action.RELEASE, machine, text))
    return commands


def _ends(
    snapshot: PoolSnapshot, decision: Decision, drained: Iterable[Instance], keeping: int
) -> tuple[list[Command], Decision]:
    """Stops and releases of drained machines; `keeping` counts the stopped ones that stay."""
    commands: list[Command] = []
    for machine in drained:
        busy = snapshot.busy.get(machine.id)
        if busy is None:
            decision = decision.but_not("plan.stop", f"{machine.id} drains; nobody says whether it is idle")
        elif busy:
            decision = decision.but_not("plan.stop", f"{machine.id} drains; {busy} of its slots work")
        elif machine.ailment:
            text = f"drained and idle, no standby as it was degraded ({machine.ailment}): release it"
            commands.append(about(Action.RELEASE, machine, text))
        elif keeping < decision.warm and machine.provider in snapshot.stoppable:
            text = f"drained and idle: stop it, {keeping} of {decision.warm} kept"
            commands.append(about(Action.STOP, machine, text))
            keeping += 1
        else:
            commands.append(about(Action.RELEASE, machine, f"drained and idle, {keeping} kept already: release it"))
    return commands, decision
