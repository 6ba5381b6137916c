"""When an order has nothing more to do: it is over, fulfilled, or cannot be carried out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing
from autoscaler.core.orders import OF_MACHINES, Order, OrderKind


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What tells how far orders are."""

    records: Collection[Instance]
    """All of them, tombstones included."""
    listings: Mapping[str, Listing | Unknown]
    """By provider."""
    whole: bool = True
    """The records are those of all pools: a machine that none of them names is not ours."""


def became(order: Order, world: World, now: float) -> str | None:
    """What has become of an order by now, in words; None while it stands."""
    if order.until is not None and order.until <= now:
        return "is over"
    if order.kind in OF_MACHINES:
        return _of_machine(order, world)
    if order.kind is OrderKind.ADOPT:
        return _of_adoption(order, world)
    return None


def left_at(provider: str, records: Iterable[Instance]) -> int:
    """How many machines of ours a provider that is evacuated still has."""
    return sum(record.provider == provider and record.phase is not Phase.GONE for record in records)


def _of_machine(order: Order, world: World) -> str | None:
    named = [record for record in world.records if order.is_about(record)]
    there = [record for record in named if record.phase is not Phase.GONE]
    if not there:
        return "is fulfilled, the machine is gone" if named else _of_stranger(order, world)
    if order.kind is OrderKind.DRAIN and all(record.phase is Phase.WARM for record in there):
        return "is fulfilled, the machine is stopped"
    return None


def _of_stranger(order: Order, world: World) -> str | None:
    """Every listed machine of ours has a record: of one that has none it matters only whether all are listed."""
    if not world.whole:
        return None
    provider, slash, _ = order.subject.partition("/")
    asked = [world.listings.get(provider)] if slash else [*world.listings.values()]
    if any(listing is None or isinstance(listing, Unknown) for listing in asked):
        return None
    return "cannot be carried out, no such machine is ours"


def _of_adoption(order: Order, world: World) -> str | None:
    provider, _, provider_id = order.subject.partition("/")
    record = next((each for each in world.records if order.is_about(each) and each.phase is not Phase.GONE), None)
    if record is not None:
        return f"is fulfilled, the machine is {record.id} of {record.pool}"
    listing = world.listings.get(provider)
    if not isinstance(listing, Listing):
        return None
    if all(remote.provider_id != provider_id for remote in listing.machines):
        return f"cannot be carried out, {provider} lists no such machine"
    return None
