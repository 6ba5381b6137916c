"""More machines: take a drain back, resume a standby, rent; and why not the others.

A standby that was refused waits; the next one is tried, then a rent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autoscaler.core.decision import Action, Command, Decision, about
from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Offer
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Placement
from autoscaler.core.units import format_duration

RENT = "plan.rent"
"""The rule that says why nothing was rented."""
_REFUSED_PAUSE_S = 300.0  # a refused standby is tried again after this, doubled with each refusal


def more(snapshot: PoolSnapshot, decision: Decision, now: float) -> tuple[list[Command], Decision]:
    """Commands that start machines until as many are up, or on their way, as decided."""
    short = decision.hot - snapshot.up
    commands: list[Command] = []
    for machine in _by_price(snapshot.in_phase(Phase.DRAINING)):
        if len(commands) < short:
            commands.append(about(Action.UNDRAIN, machine, "wanted again before it was stopped"))
    standbys, decision = _standbys(snapshot, decision, now, wanted=short > len(commands))
    for machine in standbys[: max(0, short - len(commands))]:
        text = f"{decision.hot} machines wanted, {snapshot.up} up: resume at {machine.usd_per_hour:.3f} USD/h"
        commands.append(about(Action.RESUME, machine, text))
    rents = max(0, short - len(commands))
    reason = f"{decision.hot} machines wanted, {snapshot.up} up"
    if short <= 0 and _standby_missing(snapshot, decision) and snapshot.up < decision.ceiling:
        rents, reason = 1, f"a standby is to be made: {decision.standby} wanted"
    rented, decision = _rents(snapshot, decision, now, rents, reason)
    return commands + rented, decision


def _standbys(
    snapshot: PoolSnapshot, decision: Decision, now: float, *, wanted: bool
) -> tuple[list[Instance], Decision]:
    """Stopped machines to try, best first: fewest refusals, best chance, most recently stopped."""
    ready = []
    for machine in snapshot.in_phase(Phase.WARM):
        pause = _REFUSED_PAUSE_S * 2.0 ** (machine.refusals - 1) if machine.refusals else 0.0
        left = max(machine.phase_since + pause, machine.retry_at or 0.0) - now
        if left <= 0:
            ready.append(machine)
        elif wanted:
            text = f"{machine.id} is tried again in {format_duration(left)}; {machine.reason}"
            decision = decision.but_not("plan.resume", text)
    ready.sort(key=lambda m: (m.refusals, -_chance(snapshot, m), -m.phase_since, m.id))
    return ready, decision


def _chance(snapshot: PoolSnapshot, machine: Instance) -> float:
    history = snapshot.history.get(machine.placement)
    return history.resume_chance() if history else 0.5


def _standby_missing(snapshot: PoolSnapshot, decision: Decision) -> bool:
    """Whether fewer machines are stopped, or will be, than should be."""
    stopped = len(snapshot.in_phase(Phase.WARM, Phase.STOPPING, Phase.DRAINING))
    surplus = max(0, snapshot.up - decision.hot)
    return stopped + surplus < decision.standby and snapshot.on_the_way == 0


def _rents(
    snapshot: PoolSnapshot, decision: Decision, now: float, count: int, reason: str
) -> tuple[list[Command], Decision]:
    """Rents from the first placement that has offers; each offer and host once."""
    commands: list[Command] = []
    for placement in snapshot.pool.placements:
        if len(commands) >= count:
            break
        offers, why_not = _usable(snapshot, placement, now)
        if why_not:
            decision = decision.but_not(RENT, f"{placement.label}: {why_not}")
        for offer in offers[: count - len(commands)]:
            text = f"{reason}: {offer.gpu} in {offer.region} at {offer.usd_per_hour:.3f} USD/h"
            commands.append(
                Command(
                    action=Action.RENT,
                    pool=snapshot.pool.name,
                    reason=text,
                    placement=placement.label,
                    offer=offer,
                )
            )
    return commands, decision


def _usable(snapshot: PoolSnapshot, placement: Placement, now: float) -> tuple[Sequence[Offer], str]:
    """Offers of a placement that may be rented now, cheapest first; or why there are none."""
    history = snapshot.history.get(placement.label)
    if history and history.blocked_until > now:
        return (), f"left alone for {format_duration(history.blocked_until - now)} ({history.blocked_why})"
    offers = snapshot.offers.get(placement.label, ())
    if isinstance(offers, Unknown):
        return (), f"offers unknown ({offers.reason})"
    within = [offer for offer in offers if offer.usd_per_hour <= placement.max_usd_per_hour]
    if not within:
        return (), f"no offer at or below {placement.max_usd_per_hour:g} USD/h"
    return sorted(within, key=lambda offer: (offer.usd_per_hour, offer.offer_id)), ""


def _by_price(machines: Iterable[Instance]) -> list[Instance]:
    return sorted(machines, key=lambda m: (m.usd_per_hour, m.created_at, m.id))
