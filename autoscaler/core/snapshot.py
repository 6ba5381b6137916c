"""Everything one tick knows, immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from autoscaler.core.contract import ends_soon
from autoscaler.core.demand import Demand, InFlightKind, Unknown
from autoscaler.core.diagnosis import ImageHistory
from autoscaler.core.history import PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import ON_THE_WAY, Phase
from autoscaler.core.load import Load
from autoscaler.core.market import Offer
from autoscaler.core.money import FleetMoney
from autoscaler.core.orders import NO_ORDERS, Orders
from autoscaler.core.signal import Signal
from autoscaler.core.spec import Pool
from autoscaler.core.trouble import Places

_BY_AGE = attrgetter("created_at", "id")


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSnapshot:
    """One pool at one tick, after its records were brought in line with the listings."""

    pool: Pool
    demand: Demand | Unknown
    instances: tuple[Instance, ...] = ()
    """Its machines, tombstones left out."""
    busy: Mapping[str, int] = field(default_factory=dict)
    """Slots at work by instance id. A machine that is not in here may hold any number of jobs; one that drains is in
    here with 0 only when its worker confirmed that it pulls no more."""
    offers: Mapping[str, Sequence[Offer] | Unknown] = field(default_factory=dict)
    """By placement label."""
    history: Mapping[str, PlacementHistory] = field(default_factory=dict)
    """By placement label."""
    places: Places = Places()
    """What is known of hosts and regions."""
    load: Load = Load()
    """What was learned of its jobs."""
    image: ImageHistory = ImageHistory()
    """Where its image crashed."""
    idle_since: Mapping[str, float] = field(default_factory=dict)
    """By instance id of the HOT machines known to hold no job: epoch seconds since when that is known."""
    stoppable: frozenset[str] = frozenset()
    """Providers whose machines can be stopped and kept."""
    rebids: frozenset[str] = frozenset()
    """Providers where the bid of a running machine can be changed."""
    orders_at_once: Mapping[str, int] = field(default_factory=dict)
    """Rents that a provider takes within some seconds; one that is not named takes any number."""
    spent_today_usd: float = 0.0
    day_left_s: float = 86400.0
    """Seconds until the budget's day (UTC) ends."""
    spent_month_usd: float = 0.0
    month_left_s: float = 31 * 86400.0
    """Seconds until the budget's month (UTC) ends."""
    forecast_usd: float | None = None
    """What the month will have cost at the pace of the last 7 days; None before anything was booked."""
    fleet: FleetMoney = FleetMoney()
    """What the whole fleet spends; caps of its own count only if given."""
    drained_at: Sequence[float] = ()
    """When machines of the pool were told to drain, those that are gone by now included: epoch seconds."""
    orders: Orders = NO_ORDERS
    """What operators have ordered."""
    signal: Signal = Signal()
    """How far the readings of its queue can be believed."""
    running_for_s: float = float("inf")
    """Seconds since this daemon took the lead."""
    up: int = field(init=False, compare=False)
    """Machines that are HOT or will be without further orders."""
    on_the_way: int = field(init=False, compare=False)
    """Machines that will be HOT without further orders."""
    _by_phase: Mapping[Phase, Sequence[Instance]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_phase: dict[Phase, list[Instance]] = {}
        for machine in sorted(self.instances, key=_BY_AGE):
            by_phase.setdefault(machine.phase, []).append(machine)
        on_the_way = sum([len(machines) for phase, machines in by_phase.items() if phase in ON_THE_WAY])
        object.__setattr__(self, "_by_phase", by_phase)
        object.__setattr__(self, "on_the_way", on_the_way)
        object.__setattr__(self, "up", on_the_way + len(by_phase.get(Phase.HOT, ())))

    def in_phase(self, *phases: Phase) -> list[Instance]:
        """The machines in these phases: phase by phase, oldest first."""
        return [machine for phase in phases for machine in self._by_phase.get(phase, ())]

    def history_of(self, placement: str) -> PlacementHistory:
        """What was learned of a placement, by its label."""
        return self.history.get(placement, PlacementHistory())

    def ends_soon(self, machine: Instance, now: float) -> bool:
        """Whether a machine's contract ends before its successor could be up and its last job done."""
        return ends_soon(machine.ends_at, self.history_of(machine.placement), self.pool.deadlines, now)

    def at_work(self) -> int:
        """Slots that hold a job: as the queue tells, else as HOT machines do; a silent machine counts as full."""
        if isinstance(self.demand, Demand) and self.demand.in_flight is not None:
            return self.demand.in_flight - self.held_back()
        return sum(self.busy.get(machine.id, machine.slots) for machine in self.in_phase(Phase.HOT))

    def held_back(self) -> int:
        """Jobs that workers took and cannot have started: more than there are slots (prefetch)."""
        demand = self.demand
        if not isinstance(demand, Demand) or demand.in_flight_kind is not InFlightKind.DELIVERED:
            return 0
        slots = sum(machine.slots for machine in self.in_phase(Phase.HOT, Phase.DRAINING))
        return max(0, (demand.in_flight or 0) - slots) if slots else 0

    def primary(self) -> Instance | None:
        """The machine that is stopped last: of the healthy HOT ones the cheapest for what it gives, then the oldest.

        Were it the oldest whatever it costs, one machine rented when the market was dear would be the last to go.
        """
        hot = self.in_phase(Phase.HOT)
        healthy = [machine for machine in hot if not machine.ailment] or hot
        return min(healthy, key=lambda machine: machine.usd_per_hour / machine.slots, default=None)
