"""What all pools have in common in one tick, and what the earlier ones leave to the later ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.core.decision import Command
from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Offer
from autoscaler.core.orders import Orders
from autoscaler.core.spec import FleetLimits, Pool
from autoscaler.core.trouble import Place, booting, held_by
from autoscaler.runtime.accounts import Spending, Turns


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One tick, before its decisions. Pools are decided for one after the other."""

    now: float
    demand: Mapping[str, Demand | Unknown]
    grouped: Mapping[str, list[Instance]]
    """Records by pool, tombstones left out."""
    drained_at: Mapping[str, Sequence[float]]
    """When machines were told to drain and not taken back, tombstones included, by pool."""
    busy: Mapping[str, int]
    turns: Turns
    orders: Orders
    running_for_s: float
    """Seconds since this daemon took the lead."""
    held: frozenset[Place]
    """Hosts on which a machine of the fleet stands."""
    booting: set[Place]
    """Regions in which a machine boots, or is rented by an earlier pool."""
    taken: set[tuple[str, str]] = field(default_factory=set)
    """Offers, by provider and id, that an earlier pool rents."""

    @classmethod
    def of(
        cls,
        records: Collection[Instance],
        *,
        now: float,
        demand: Mapping[str, Demand | Unknown],
        busy: Mapping[str, int],
        orders: Orders,
        limits: FleetLimits,
        pools: Mapping[str, Pool],
        spent: Spending,
        running_for_s: float,
    ) -> Moment:
        """One tick of these machines, tombstones among them, before any pool had its turn."""
        grouped, drained_at = _by_pool(records)
        return cls(
            now=now,
            demand=demand,
            grouped=grouped,
            drained_at=drained_at,
            busy=busy,
            turns=Turns(limits, pools, grouped, spent),
            orders=orders,
            running_for_s=running_for_s,
            held=held_by(records),
            booting=booting(records),
        )

    def demand_of(self, pool: str) -> Demand | Unknown:
        """What a pool's queue holds."""
        return self.demand.get(pool) or Unknown("nothing reads this pool's queue", self.now)

    def left_of(self, offers: Mapping[str, Sequence[Offer] | Unknown]) -> Mapping[str, Sequence[Offer] | Unknown]:
        """The offers that no earlier pool takes."""
        if not self.taken:
            return offers
        return {
            label: found
            if isinstance(found, Unknown)
            else tuple(offer for offer in found if (offer.provider, offer.offer_id) not in self.taken)
            for label, found in offers.items()
        }

    def over(self, pool: Pool, commands: Sequence[Command]) -> None:
        """A pool's turn is over: what it rents and spends, later ones cannot."""
        self.turns.over(pool, commands)
        offers = [command.offer for command in commands if command.offer]
        self.taken.update((offer.provider, offer.offer_id) for offer in offers)
        self.booting.update((offer.provider, offer.region) for offer in offers)


def _by_pool(instances: Iterable[Instance]) -> tuple[dict[str, list[Instance]], dict[str, list[float]]]:
    """The records that are not gone, and when machines were told to drain and not taken back, whether gone or not."""
    grouped: dict[str, list[Instance]] = {}
    drained_at: dict[str, list[float]] = {}
    for record in instances:
        if record.drained_at and record.phase is not Phase.HOT:
            drained_at.setdefault(record.pool, []).append(record.drained_at)
        if record.phase is not Phase.GONE:
            grouped.setdefault(record.pool, []).append(record)
    return grouped, drained_at


def busy_by_queues(demand: Mapping[str, Demand | Unknown]) -> dict[str, int]:
    """Jobs at work by instance, as the queues' own workers tell; where several queues tell of one, the most."""
    told: dict[str, int] = {}
    for each in demand.values():
        for instance, jobs in each.busy.items() if isinstance(each, Demand) else ():
            told[instance] = max(jobs, told.get(instance, 0))
    return told
