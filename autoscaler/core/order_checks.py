"""What is wrong with an order, before it is given: whoever gives one is told all at once, in words that help."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass, field

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance, fleet_of, parse_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Remote
from autoscaler.core.orders import COUNTED, NO_ORDERS, OF_MACHINES, OF_POOLS, Order, OrderKind, Orders
from autoscaler.core.spec import Pool
from autoscaler.core.units import format_duration

MOST_WORDS = 200
"""Characters of a person's words; they are read with every tick and stand in the journal."""
_LONGEST_S = 366 * 86400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What an order is held against."""

    fleet: str
    """Its name, by which our machines' labels are known."""
    pools: Mapping[str, Pool]
    providers: Set[str]
    instances: Mapping[str, Instance]
    """Records by id; tombstones may be among them."""
    listings: Mapping[str, Listing | Unknown] = field(default_factory=dict)
    """The newest listing of each provider."""
    standing: Orders = NO_ORDERS


def problems(order: Order, known: Known) -> list[str]:
    """Why an order cannot be given: a line for each problem, with what would resolve it; empty where it can."""
    found = [*_of_words(order), *_of_fields(order)]
    if order.kind in OF_POOLS:
        found += _of_pools(order, known)
    elif order.kind in OF_MACHINES:
        found += _of_machine(order, known)
    elif order.kind is OrderKind.EVACUATE and order.subject not in known.providers:
        found.append(_unknown("provider", order.subject, known.providers))
    elif order.kind is OrderKind.ADOPT:
        found += _of_adoption(order, known)
    return found


def warnings(order: Order, known: Known) -> list[str]:
    """What whoever gives an order should know, though it can be given."""
    machine = order.machine_among(known.instances.values()) if order.kind in OF_MACHINES else None
    found = [*_of_others(order, known, machine)]
    if order.kind is OrderKind.EVACUATE:
        found += _of_evacuation(order, known)
    elif order.kind is OrderKind.ADOPT:
        found += _of_another_fleet(order, known)
    elif order.kind is OrderKind.DRAIN and machine is not None:
        found += _of_drain(machine)
    return found


def listed_machine(name: str, listings: Mapping[str, Listing | Unknown]) -> Remote | None:
    """The machine that a provider lists, whosever it is, by its name `PROVIDER/ID`."""
    provider, _, provider_id = name.partition("/")
    listing = listings.get(provider)
    machines = listing.machines if isinstance(listing, Listing) else ()
    return next((remote for remote in machines if remote.provider_id == provider_id), None)


def _of_words(order: Order) -> Iterator[str]:
    for what, text in (("by", order.by), ("why", order.why), ("subject", order.subject), ("pool", order.pool)):
        if len(text) > MOST_WORDS:
            yield f"{what}: {len(text)} characters, expected {MOST_WORDS} at most"
        if not text.isprintable():
            yield f"{what}: has a control character or a line break, expected one line of plain text"
    if not order.by.strip():
        yield "by: missing; say who gives the order"


def _of_fields(order: Order) -> Iterator[str]:
    """What any order may have, and what only some have."""
    if order.for_s is not None and not 0.0 < order.for_s <= _LONGEST_S:
        given = f"{order.for_s:g}s" if not math.isfinite(order.for_s) else format_duration(order.for_s)
        yield f"for: {given} given, expected more than 0s and at most {format_duration(_LONGEST_S)}"
    if order.until is not None and order.until <= order.at:
        yield "until: lies in the past; say for how long the order is to stand"
    if order.kind in COUNTED and order.count is None:
        yield f"count: missing; say how many machines the {order.kind} is"
    if order.count is not None and order.count < 0:
        yield f"count: {order.count} given, expected 0 or more"
    if order.count is not None and order.kind not in COUNTED:
        yield f"count: a {order.kind} has none"
    if order.lose_jobs and order.kind is not OrderKind.RELEASE:
        yield f"lose_jobs: only a release may lose jobs, not a {order.kind}"
    if order.pool and order.kind is not OrderKind.ADOPT:
        yield f"pool: only a machine to adopt is put into a pool; a {order.kind} names its pool as subject"


def _of_pools(order: Order, known: Known) -> Iterator[str]:
    if order.subject and order.subject not in known.pools:
        yield _unknown("pool", order.subject, known.pools.keys())
        return
    if order.kind is not OrderKind.FLOOR or order.count is None:
        return
    for name in [order.subject] if order.subject else sorted(known.pools):
        most = known.pools[name].limits.hot.high
        if order.count > most:
            yield f"a floor of {order.count} is above what {name} may run: {most} by its limits.hot"
        ceiling = known.standing.of_pool(OrderKind.CEILING, name)
        if ceiling is not None and order.count > (ceiling.count or 0):
            yield (
                f"a floor of {order.count} is above the ceiling of {name}, {ceiling.count} by {ceiling.by}: withdraw"
                f" {ceiling.name} first"
            )


def _of_machine(order: Order, known: Known) -> Iterator[str]:
    if order.machine_among(known.instances.values()) is not None:
        return
    listed = listed_machine(order.subject, known.listings)
    if listed is None:
        shown = f"there is no machine {order.subject!r}" if order.subject else "machine: missing"
        yield f"{shown}; `autoscaler status` shows their ids, and PROVIDER/ID will do, too"
    elif parse_label(listed.label, known.fleet) is None:
        yield f"{order.subject} is not ours and is left alone; `autoscaler adopt` makes it ours"


def _of_adoption(order: Order, known: Known) -> Iterator[str]:
    if order.pool not in known.pools:
        yield _unknown("pool", order.pool, known.pools.keys())
    provider, slash, provider_id = order.subject.partition("/")
    if not slash or not provider_id:
        yield f"{order.subject!r} names no machine of an account; expected PROVIDER/ID, as in the provider's console"
        return
    if provider not in known.providers:
        yield _unknown("provider", provider, known.providers)
        return
    record, listing = order.machine_among(known.instances.values()), known.listings.get(provider)
    if record is not None:
        yield f"{order.subject} is ours already: {record.id} of {record.pool}"
    elif listing is None or isinstance(listing, Unknown):
        reason = f" ({listing.reason})" if listing else ""
        yield f"{provider} cannot be listed now{reason}, so that nobody knows what {order.subject} is: try again"
    elif listed_machine(order.subject, known.listings) is None:
        age = format_duration(max(0.0, order.at - listing.asked_at))
        yield f"{provider} listed no machine {provider_id} of this account {age} ago; if it was rented since, try again"


def _of_others(order: Order, known: Known, machine: Instance | None) -> Iterator[str]:
    """What other orders make of it."""
    if machine is not None:
        pools: Collection[str] = [machine.pool]
    elif order.kind is OrderKind.ADOPT:
        pools = [order.pool]
    else:
        pools = [order.subject] if order.kind in OF_POOLS and order.subject else known.pools
    if order.kind is not OrderKind.PAUSE:
        for pause in _standing(OrderKind.PAUSE, pools, known):
            yield f"nothing is done while this stands: {pause.text}"
    if order.kind is OrderKind.CEILING:
        for floor in _standing(OrderKind.FLOOR, pools, known):
            if (floor.count or 0) > (order.count or 0):
                yield f"it goes before what stands already: {floor.text}"


def _standing(kind: OrderKind, pools: Collection[str], known: Known) -> Iterator[Order]:
    """The orders of a kind that pools are under, each once."""
    return filter(None, dict.fromkeys(known.standing.of_pool(kind, pool) for pool in pools))


def _of_evacuation(order: Order, known: Known) -> Iterator[str]:
    left = {each.subject for each in known.standing.of_kind(OrderKind.EVACUATE)} | {order.subject}
    places = {name: {each.provider for each in pool.placements} for name, pool in known.pools.items()}
    if stuck := sorted(name for name, providers in places.items() if order.subject in providers <= left):
        yield f"{', '.join(stuck)} may rent nowhere else: what serves there goes on, and nothing is added"


def _of_another_fleet(order: Order, known: Known) -> Iterator[str]:
    remote = listed_machine(order.subject, known.listings)
    other = fleet_of(remote.label) if remote else None
    if other not in (None, known.fleet):
        yield f"its label is that of the fleet {other!r}: a daemon that runs that one goes on with it, too"


def _of_drain(machine: Instance) -> Iterator[str]:
    if machine.phase is Phase.WARM:
        yield f"{machine.id} is stopped already: there is nothing to drain; `release` gives it back"
    elif machine.phase not in (Phase.HOT, Phase.DRAINING):
        yield f"{machine.id} is {machine.phase}: it is drained once it is HOT; `release` gives it back sooner"


def _unknown(what: str, name: str, known: Set[str]) -> str:
    there = ", ".join(sorted(known)) or "none"
    return f"there is no {what} {name!r}; {what}s: {there}" if name else f"{what}: missing; {what}s: {there}"
