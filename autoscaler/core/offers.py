"""Which offers to rent: those whose useful hours cost least, spread over hosts, regions and providers.

**What a useful hour costs.** A machine is billed while it is set up, it downloads its image and models, it may be
interrupted, and its host is not always up. With price `p` while running (disk included; for spot what is bid), disk
price `d` while stopped, download `g` GB at `b` USD, set-up `s` hours, reliability `r`, and interruptions `i` per hour
(those learned of the placement and the host's own troubles), a machine wanted for `T` = 8 hours serves for

    L = (1 - exp(-i·T)) / i        the mean of min(T, the time to the first interruption)

hours, and a useful hour costs `(p·(s + L) + d·L + g·b) / (r·L)` USD: a machine that may be kept stopped is taken to be
stopped for as long as it serves; where none is kept, `d` is 0.

Worked example, s = 0.75 h, r = 1, d = g = 0: at 0.80 USD/h on demand, `i` = 0.002, L = 7.94 h, a useful hour costs
0.80 × 8.69 / 7.94 = 0.876 USD; as spot at 0.40 with an interruption every 4 h, L = 3.46 h, it costs 0.487 USD; with one
every half hour, L = 0.5 h, it costs 1.000 USD, and on demand is cheaper.

**Spread.** What fails together should not hold all machines. An offer counts as dearer by a tenth of the share of the
pool's machines that its host has already, times three hundredths of its region's share, times two hundredths of its
provider's: a host with all machines is passed over for one that costs up to 10 % more, a region for 3 %, a provider for
2 %. Each host is rented from once a tick.

Within a placement this order decides; among placements the order in which they are listed, unless the pool says
`prefer: cost`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from autoscaler.core.demand import Unknown
from autoscaler.core.history import PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Offer
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Placement
from autoscaler.core.spot import bid_usd_per_hour
from autoscaler.core.units import format_duration

_STAY_H = 8.0
_HOST, _REGION, _PROVIDER = 0.10, 0.03, 0.02
_NAMED = 3  # avoided hosts that a reason names; the others are counted
_LEAVING = frozenset({Phase.RELEASING, Phase.LOST, Phase.GONE})


@dataclass(frozen=True, slots=True)
class Choice:
    """An offer that may be rented, its bid included in its price."""

    placement: str
    offer: Offer
    useful_usd: float
    """What a useful hour costs, in USD."""


def usd_per_useful_hour(
    offer: Offer, *, setup_s: float, interruptions: float, stopped: bool, download_gb: float
) -> float:
    """What a useful hour of an offer costs, in USD; see above.

    `interruptions` are per hour; `stopped` tells whether such machines may be kept stopped.
    """
    serves_h = -math.expm1(-interruptions * _STAY_H) / interruptions if interruptions else _STAY_H
    usd = offer.usd_per_hour * (setup_s / 3600.0 + serves_h) + download_gb * offer.usd_per_gb
    if stopped:
        usd += offer.disk_usd_per_hour * serves_h
    return usd / (max(offer.reliability, 0.01) * serves_h)


def choices(snapshot: PoolSnapshot, placement: Placement, now: float) -> tuple[list[Choice], list[str]]:
    """The offers of a placement that may be rented now, and why the others, or all, may not."""
    history, evacuation = snapshot.history_of(placement.label), snapshot.orders.evacuation(placement.provider)
    if evacuation:
        return [], [f"{placement.provider} is evacuated, ordered {evacuation.source(now)}"]
    if history.blocked_until > now:
        return [], [f"left alone for {format_duration(history.blocked_until - now)} ({history.blocked_why})"]
    offers = snapshot.offers.get(placement.label, ())
    if isinstance(offers, Unknown):
        return [], [f"offers unknown ({offers.reason})"]
    within = [offer for offer in offers if offer.usd_per_hour <= placement.max_usd_per_hour]
    if not within:
        return [], [f"no offer at or below {placement.max_usd_per_hour:g} USD/h"]
    good, why_not = _unavoided(snapshot, within, now)
    return [_choice(snapshot, placement, history, offer, now) for offer in good], why_not


def _unavoided(snapshot: PoolSnapshot, offers: Iterable[Offer], now: float) -> tuple[list[Offer], list[str]]:
    places = snapshot.places
    good: list[Offer] = []
    avoided: dict[str, None] = {}
    for offer in offers:
        why_not = (
            places.avoid_region(offer.provider, offer.region, now)
            or places.avoid_host(offer.provider, offer.host, now)
            or places.avoid_stock(offer, now)
        )
        if why_not:
            avoided[why_not] = None
        else:
            good.append(offer)
    told = list(avoided)
    return good, told[:_NAMED] + ([f"and {len(told) - _NAMED} more are avoided"] if len(told) > _NAMED else [])


def _choice(
    snapshot: PoolSnapshot, placement: Placement, history: PlacementHistory, offer: Offer, now: float
) -> Choice:
    pool = snapshot.pool
    bid = replace(offer, usd_per_hour=bid_usd_per_hour(offer, placement))
    places = snapshot.places
    troubles = places.host(offer.provider, offer.host).per_hour(now) + places.stock(offer).per_hour(now)
    useful = usd_per_useful_hour(
        bid,
        setup_s=history.up_in_s(resumed=False),
        interruptions=history.interruptions_per_hour(placement.buy) + troubles,
        stopped=pool.limits.warm.high > 0 and offer.provider in snapshot.stoppable,
        download_gb=pool.machine.download_gb,
    )
    return Choice(placement.label, bid, useful)


class Round:
    """What is rented for one pool in one tick, and what it has where already."""

    def __init__(self, snapshot: PoolSnapshot) -> None:
        self._places = snapshot.places
        self._taken: set[tuple[str, str]] = set()
        self._tried: set[tuple[str, str]] = set()
        self._hosts: Counter[tuple[str, str]] = Counter()
        self._regions: Counter[tuple[str, str]] = Counter()
        self._providers: Counter[str] = Counter()
        ordered = Counter(machine.provider for machine in snapshot.in_phase(Phase.PLANNED))
        self._room = {provider: count - ordered[provider] for provider, count in snapshot.orders_at_once.items()}
        for machine in snapshot.instances:
            if machine.phase not in _LEAVING:
                self._count(machine)

    def _count(self, at: Instance | Offer) -> None:
        self._hosts[at.provider, at.host] += bool(at.host)
        self._regions[at.provider, at.region] += 1
        self._providers[at.provider] += 1

    def pick(self, among: Iterable[Choice], count: int) -> list[Choice]:
        """The best `count` of these, or as many as there are.

        Offers of one region are sorted once, by cost and host; then each pick compares the regions' best. So a thousand
        offers cost little more than to sort them.
        """
        machines = max(1, sum(self._providers.values()))
        regions: dict[tuple[str, str], list[tuple[float, str, Choice]]] = {}
        for each in among:
            offer = each.offer
            cost = each.useful_usd * (1.0 + _HOST * self._hosts[offer.provider, offer.host] / machines)
            regions.setdefault((offer.provider, offer.region), []).append((cost, offer.offer_id, each))
        for waiting in regions.values():
            waiting.sort(key=lambda ranked: ranked[:2], reverse=True)  # the best is the last, to be popped
        picked: list[Choice] = []
        while len(picked) < count and (best := self._best(regions)) is not None:
            choice = regions[best][-1][2]
            self._take(choice.offer)
            picked.append(choice)
        return picked

    def is_full(self, provider: str) -> bool:
        """Whether a provider takes no more orders for the moment."""
        return self._room.get(provider, 1) <= 0

    def _best(self, regions: dict[tuple[str, str], list[tuple[float, str, Choice]]]) -> tuple[str, str] | None:
        """The region whose next offer is the best, with offers in front of it that cannot be had dropped."""
        machines = max(1, sum(self._providers.values()))
        found: tuple[float, tuple[str, str]] | None = None
        for (provider, region), waiting in regions.items():
            while waiting and self._is_spoken_for(waiting[-1][2].offer):
                waiting.pop()
            if waiting:
                share = 1.0 + _REGION * self._regions[provider, region] / machines
                share *= 1.0 + _PROVIDER * self._providers[provider] / machines
                cost = waiting[-1][0] * share
                if found is None or cost < found[0]:  # where it is the same, the provider's own order decides
                    found = cost, (provider, region)
        return found[1] if found else None

    def _is_spoken_for(self, offer: Offer) -> bool:
        taken = _spot_of(offer) in self._taken or (offer.provider, offer.region) in self._tried
        return taken or self.is_full(offer.provider)

    def _take(self, offer: Offer) -> None:
        self._count(offer)
        if not offer.stands:
            self._taken.add(_spot_of(offer))
        if offer.provider in self._room:
            self._room[offer.provider] -= 1
        if self._places.on_trial(offer.provider, offer.region):
            self._tried.add((offer.provider, offer.region))


def _spot_of(offer: Offer) -> tuple[str, str]:
    """Its host; the offer itself where the provider does not name its hosts."""
    return offer.provider, offer.host or offer.offer_id


def in_turn(snapshot: PoolSnapshot) -> Sequence[Sequence[Placement]]:
    """The placements in the order in which they are tried; those that compete by cost together."""
    placements = snapshot.pool.placements
    return [placements] if snapshot.pool.prefer == "cost" else [[placement] for placement in placements]
