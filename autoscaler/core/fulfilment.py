"""When an order has nothing more to do: it is over, fulfilled, or cannot be carried out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing
from autoscaler.core.order_checks import listed_machine
from autoscaler.core.orders import OF_MACHINES, OF_POOLS, Order, OrderKind
from autoscaler.core.unit import WHOLE, Unit

_HEARD_OF_S = 3600.0
"""By then a unit with a record of the machine has ended an order about it, or the machine is listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What tells how far orders are."""

    records: Collection[Instance]
    """All of the unit's, tombstones included."""
    listings: Mapping[str, Listing | Unknown]
    """By provider."""
    unit: Unit = WHOLE
    """Whose records they are."""

    def tells_of(self, order: Order, now: float) -> bool:
        """Whether this unit is the one to end an order that is done with, and to tell: of all units, one."""
        if order.kind not in OF_MACHINES:
            return self.unit.owns(order.subject if order.kind in OF_POOLS else order.pool)
        if any(order.is_about(record) for record in self.records):
            return True
        return self.unit.owns("") and (not self.unit.name or now >= (order.until or order.at) + _HEARD_OF_S)


def became(order: Order, world: World, now: float) -> str | None:
    """What has become of an order by now, in words; None while it stands."""
    if order.until is not None and order.until <= now:
        return "is over"
    if order.kind in OF_MACHINES:
        return _of_machine(order, world, now)
    if order.kind is OrderKind.ADOPT:
        return _of_adoption(order, world, now)
    return None


def left_at(provider: str, records: Iterable[Instance]) -> int:
    """How many machines of ours a provider that is evacuated still has."""
    return sum(record.provider == provider and record.phase is not Phase.GONE for record in records)


def _of_machine(order: Order, world: World, now: float) -> str | None:
    named = [record for record in world.records if order.is_about(record)]
    there = [record for record in named if record.phase is not Phase.GONE]
    if not there:
        return "is fulfilled, the machine is gone" if named else _of_stranger(order, world, now)
    if order.kind is OrderKind.DRAIN and all(record.phase is Phase.WARM for record in there):
        return "is fulfilled, the machine is stopped"
    return None


def _of_stranger(order: Order, world: World, now: float) -> str | None:
    """Every listed machine of ours has a record: of one that has none it matters only whether all are listed."""
    provider, slash, _ = order.subject.partition("/")
    asked = {provider: world.listings.get(provider)} if slash else world.listings
    listings = _newer(asked, order, now)
    if len(listings) < len(asked) or (world.unit.name and _is_listed(order, listings)):
        return None
    return "cannot be carried out, no such machine is ours"


def _newer(listings: Mapping[str, Listing | Unknown | None], order: Order, now: float) -> Mapping[str, Listing]:
    """Those listings that were asked for since an order was given, as far as the clock that dated it is not ahead.

    Its machine may have been rented a moment before.
    """
    complete = {name: listing for name, listing in listings.items() if isinstance(listing, Listing)}
    return {name: listing for name, listing in complete.items() if listing.asked_at >= order.at or order.at > now}


def _is_listed(order: Order, listings: Mapping[str, Listing]) -> bool:
    """Whether it is about a machine that is there: some unit has its record then, or will have."""
    return any(
        order.subject == f"{name}/{remote.provider_id}" or order.subject in remote.label
        for name, listing in listings.items()
        for remote in listing.machines
    )


def _of_adoption(order: Order, world: World, now: float) -> str | None:
    record = order.machine_among(world.records)
    if record is not None:
        return f"is fulfilled, the machine is {record.id} of {record.pool}"
    provider = order.subject.partition("/")[0]
    if provider in _newer(world.listings, order, now) and listed_machine(order.subject, world.listings) is None:
        return f"cannot be carried out, {provider} lists no such machine"
    return None
