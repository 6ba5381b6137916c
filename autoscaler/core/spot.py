"""Bids for spot machines: what to bid for a new one, and when to raise the bid of one that runs.

A market such as Vast.ai's runs the highest bidder and bills what was bid. Two things follow. A bid at the very floor
loses to the next comer, so ours lies a margin above it. And the floor listed for a host where a machine of ours runs is
an echo of our own bid: whoever raises "to the floor and a margin" climbs on his own shoulders up to the cap. So the
market's price is taken only from hosts on which the fleet has no machine, and no bid exceeds that price and the margin.
"""

from __future__ import annotations

from autoscaler.core.decision import Action, Command
from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Offer
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Placement

_WORTH_RAISING = 1.02  # less is rounding
_AGAIN_S = 600.0  # the listing shows a new bid late


def bid_usd_per_hour(offer: Offer, placement: Placement) -> float:
    """What a rent of this offer will cost while it runs, in USD per hour, disk included: its price, or our bid.

    Worked example: a floor of 0.30, a margin of 0.1 and a cap of 0.32 USD: the bid is 0.32, not 0.33.
    """
    if not offer.takes_bids:
        return offer.usd_per_hour
    return min(offer.usd_per_hour * (1.0 + placement.bid_margin), placement.max_usd_per_hour)


def raises(snapshot: PoolSnapshot, now: float) -> list[Command]:
    """Commands that raise the bids of running machines which the market has overtaken.

    To be outbid costs a set-up and then the market's price all the same, so keeping up with that price is never dearer.
    """
    floors = _floors(snapshot)
    placements = {placement.label: placement for placement in snapshot.pool.placements}
    commands: list[Command] = []
    for machine in snapshot.in_phase(Phase.HOT, Phase.BOOTING) if floors else ():
        floor = floors.get((machine.placement, machine.gpu))
        bids = machine.buy == "spot" and machine.provider in snapshot.rebids
        if floor is None or not bids or now - machine.called_at < _AGAIN_S:
            continue
        # While it boots it may be billed for its disk alone.
        stands = (machine.burn_usd_per_hour if machine.phase is Phase.HOT else 0.0) or machine.usd_per_hour
        bid = bid_usd_per_hour(floor, placements[machine.placement])
        if stands < floor.usd_per_hour and bid > stands * _WORTH_RAISING:
            commands.append(_raise(machine, stands, floor.usd_per_hour, bid))
    return commands


def _floors(snapshot: PoolSnapshot) -> dict[tuple[str, str], Offer]:
    """The offer with the lowest floor, by placement and GPU, of the hosts on which the fleet has no machine."""
    floors: dict[tuple[str, str], Offer] = {}
    for label, offers in snapshot.offers.items():
        for offer in () if isinstance(offers, Unknown) else offers:
            if not offer.takes_bids or (offer.provider, offer.host) in snapshot.places.held:
                continue
            known = floors.get((label, offer.gpu))
            if known is None or offer.usd_per_hour < known.usd_per_hour:
                floors[label, offer.gpu] = offer
    return floors


def _raise(machine: Instance, stands: float, floor: float, bid: float) -> Command:
    text = f"the market asks {floor:.3f} USD/h elsewhere, its bid is {stands:.3f}: bid {bid:.3f}"
    return Command(
        action=Action.SET_BID,
        pool=machine.pool,
        instance=machine.id,
        placement=machine.placement,
        bid_usd_per_hour=bid,
        reason=text,
    )


def outbid(snapshot: PoolSnapshot) -> dict[str, float]:
    """The stopped spot machines that would certainly be outbid, by id, and what their hosts ask for, in USD/h."""
    warm = [machine for machine in snapshot.in_phase(Phase.WARM) if machine.buy == "spot" and machine.host]
    asked: dict[tuple[str, str], float] = {}
    for label, offers in snapshot.offers.items() if warm else ():
        for offer in () if isinstance(offers, Unknown) else offers:
            if offer.takes_bids:
                place = (label, offer.host)
                asked[place] = min(offer.usd_per_hour, asked.get(place, offer.usd_per_hour))
    return {m.id: usd for m in warm if (usd := asked.get((m.placement, m.host), 0.0)) > m.usd_per_hour}
