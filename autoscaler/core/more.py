"""More machines: take a drain back, resume a standby, rent; and why not the others.

A standby that was refused waits; the next one is tried, then a rent. A resume in doubt is not counted on, so that a
machine is rented beside it (`autoscaler.core.race`). What is rented, `autoscaler.core.offers` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autoscaler.core.contract import ending
from autoscaler.core.decision import Action, Command, Decision, about
from autoscaler.core.demand import Pending
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import ON_THE_WAY, Phase
from autoscaler.core.offers import Choice, Round, choices, in_turn
from autoscaler.core.race import chance, doubt, doubtful, losers, unraced
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Placement
from autoscaler.core.spot import outbid, raises
from autoscaler.core.units import format_duration

RENT = "plan.rent"
"""The rule that says why nothing was rented."""
_LOOK_UP_S = 30.0  # vendors want some seconds between two searches
_REFUSED_PAUSE_S = 300.0  # a refused standby is tried again after this, doubled with each refusal


@dataclass(frozen=True, slots=True)
class _Wish:
    """A machine to rent."""

    why: str
    races: str | None = None


def more(snapshot: PoolSnapshot, decision: Decision, now: float) -> tuple[list[Command], Decision]:
    """Commands that start machines until as many are up, or on their way, as decided; and that keep those going."""
    doubts = doubtful(snapshot, now)
    room = max(0, decision.ceiling - snapshot.up)
    missing = decision.hot - snapshot.up
    short = max(0, missing, min(missing + len(doubts), room))
    commands: list[Command] = []
    drained = (m for m in snapshot.in_phase(Phase.DRAINING) if not m.ailment and not snapshot.orders.of_machine(m))
    for machine in _by_price(drained):
        if len(commands) < short:
            commands.append(about(Action.UNDRAIN, machine, "wanted again before it was stopped"))
    standbys, decision = _standbys(snapshot, decision, now, wanted=short > len(commands))
    resumed = standbys[: short - len(commands)]
    commands += [_resume(snapshot, decision, machine) for machine in resumed]
    doubts += [(machine, why) for machine in resumed if (why := doubt(snapshot, machine, now))]
    wishes, decision = _wishes(snapshot, decision, doubts, missing - len(commands), room - len(commands))
    if missing <= 0 < room and not wishes and _standby_missing(snapshot, decision):
        wishes = [_Wish(f"a standby is to be made: {decision.standby} wanted")]
    rented, decision = _rents(snapshot, decision, now, wishes)
    given_up = losers(snapshot, decision, now)
    going = {command.instance for command in given_up}
    raised = [command for command in raises(snapshot, now) if command.instance not in going]
    return [*commands, *rented, *given_up, *raised], decision


def _standbys(
    snapshot: PoolSnapshot, decision: Decision, now: float, *, wanted: bool
) -> tuple[list[Instance], Decision]:
    """Stopped machines to try, best first: the cheapest for its chance to come back, then the most recently stopped.

    To be refused costs time and no money. So a machine at 0.40 USD/h that comes back every other time goes before one
    at 0.90 that always does.
    """
    ready, lost = [], outbid(snapshot)
    for machine in snapshot.in_phase(Phase.WARM):
        pause = _REFUSED_PAUSE_S * 2.0 ** (machine.refusals - 1) if machine.refusals else 0.0
        left = max(machine.phase_since + pause, machine.retry_at or 0.0) - now
        if order := snapshot.orders.of_machine(machine):
            why_not = f"{machine.id} is not resumed: {order.kind} ordered {order.source(now)}"
        elif left > 0:
            why_not = f"{machine.id} is tried again in {format_duration(left)}; {machine.reason}"
        elif snapshot.ends_soon(machine, now):
            why_not = f"{machine.id} is not worth a resume: {ending(machine.ends_at)}"
        elif machine.id in lost:
            bids = f"the market asks {lost[machine.id]:.3f} USD/h, its bid is {machine.usd_per_hour:.3f}"
            why_not = f"{machine.id} would be outbid: {bids}"
        else:
            ready.append(machine)
            continue
        if wanted:
            decision = decision.but_not("plan.resume", why_not)
    ready.sort(key=lambda m: (m.usd_per_hour / chance(snapshot, m), -m.phase_since, m.id))
    return ready, decision


def _resume(snapshot: PoolSnapshot, decision: Decision, machine: Instance) -> Command:
    likely = f"{chance(snapshot, machine):.0%} likely to come back"
    text = f"{decision.wish()}, {snapshot.up} up: resume at {machine.usd_per_hour:.3f} USD/h, {likely}"
    return about(Action.RESUME, machine, text)


def _wishes(
    snapshot: PoolSnapshot, decision: Decision, doubts: Sequence[tuple[Instance, str]], missing: int, room: int
) -> tuple[list[_Wish], Decision]:
    """The machines to rent: those that are missing, and beside each resume in doubt one, while there is room."""
    plain = max(0, missing)
    rivals = unraced(doubts, snapshot)[: max(0, missing + len(doubts) - plain)]
    allowed = max(0, room - plain)
    for machine, why in rivals[allowed:]:
        text = f"nothing is rented beside {machine.id}, {why}: {decision.ceiling} machines may run"
        decision = decision.but_not("plan.race", text)
    racing = [_Wish(f"beside {machine.id}, {why}", machine.id) for machine, why in rivals[:allowed]]
    return [_Wish(f"{decision.wish()}, {snapshot.up} up")] * plain + racing, decision


def _standby_missing(snapshot: PoolSnapshot, decision: Decision) -> bool:
    """Whether fewer machines are stopped, or will be, than should be."""
    stopped = len(snapshot.in_phase(Phase.WARM, Phase.STOPPING, Phase.DRAINING))
    needed = decision.needs[-1][1] if decision.needs else decision.hot
    surplus = max(0, snapshot.up - min(needed, decision.hot))  # what idles now stands by before long
    return stopped + surplus < decision.standby and snapshot.on_the_way == 0


def _rents(
    snapshot: PoolSnapshot, decision: Decision, now: float, wishes: Sequence[_Wish]
) -> tuple[list[Command], Decision]:
    """Rents from the first placements that have offers, those on demand first while too few of these are up."""
    if not wishes:
        return [], decision
    found: dict[str, list[Choice]] = {}
    this_round, chosen = Round(snapshot), list[Choice]()
    for placements, count in _turns(snapshot, len(wishes)):
        if len(chosen) >= count:
            continue
        for placement in placements:
            if placement.label not in found:
                found[placement.label], why_not = choices(snapshot, placement, now)
                for text in why_not:
                    decision = decision.but_not(RENT, f"{placement.label}: {text}")
        if any(_awaited(snapshot, placement, now) for placement in placements):
            break  # what is liked less is not worth some seconds
        among = (choice for placement in placements for choice in found[placement.label])
        chosen += this_round.pick(among, count - len(chosen))
        full = [place.label for place in placements if found[place.label] and this_round.is_full(place.provider)]
        if full and len(chosen) < count:
            decision = decision.but_not(
                RENT, f"{', '.join(full)}: takes no more orders for some seconds; the rest follows"
            )
            break
    return [_rent(snapshot, wish, choice) for wish, choice in zip(wishes, chosen, strict=False)], decision


def _awaited(snapshot: PoolSnapshot, placement: Placement, now: float) -> bool:
    """Whether a placement's offers will be here before the next ones are to be tried."""
    offers = snapshot.offers.get(placement.label)
    waits = isinstance(offers, Pending) and now - offers.since < _LOOK_UP_S
    if snapshot.orders.evacuation(placement.provider):
        return False
    return waits and snapshot.history_of(placement.label).blocked_until <= now


def _turns(snapshot: PoolSnapshot, count: int) -> list[tuple[Sequence[Placement], int]]:
    """Which placements to try in turn, and how many machines are to be had by then."""
    running = snapshot.in_phase(Phase.HOT, *sorted(ON_THE_WAY))
    base = snapshot.pool.limits.on_demand - sum(machine.buy == "on_demand" for machine in running)
    on_demand = [[p for p in placements if p.buy == "on_demand"] for placements in in_turn(snapshot)]
    return [*((ps, min(base, count)) for ps in on_demand), *((ps, count) for ps in in_turn(snapshot))]


def _rent(snapshot: PoolSnapshot, wish: _Wish, choice: Choice) -> Command:
    offer = choice.offer
    within = f" in {offer.region}" if offer.region else ""
    price = f"{offer.usd_per_hour:.3f} USD/h, {choice.useful_usd:.3f} a useful hour"
    return Command(
        action=Action.RENT,
        pool=snapshot.pool.name,
        reason=f"{wish.why}: {offer.gpu}{within} at {price}",
        placement=choice.placement,
        offer=offer,
        races=wish.races,
    )


def _by_price(machines: Iterable[Instance]) -> list[Instance]:
    return sorted(machines, key=lambda m: (m.usd_per_hour, m.created_at, m.id))
