"""Why a placement finds nothing to rent, or not all that it names: told by searching more widely, with few searches.

Each search gives up one of the placement's bounds; the first that finds something names the bound to mend.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from autoscaler.config.words import either
from autoscaler.core.market import Offer
from autoscaler.core.spec import MachineSpec, Placement, Pool

_ANY_PRICE = 1000.0
"""USD per hour: more than any machine costs, and yet a number that every vendor's search takes."""
_NAMED = 8
"""The most GPU types or regions that a line names."""

Search = Callable[[Placement, MachineSpec], Awaitable[Sequence[Offer]]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: where, what is there, and what would resolve it."""

    text: str
    grave: bool = False
    """It must be mended before machines can be rented as configured."""


async def why_absent(search: Search, pool: Pool, number: int, offers: Sequence[Offer]) -> AsyncIterator[Finding]:
    """What keeps a pool's placement from offers, given those that it has; of all its GPU types at once.

    Raises:
        ProviderError: a wider search failed.
    """
    place, machine = pool.placements[number], pool.machine
    where = f"pools.{pool.name}.placements[{number}]"
    offered = {offer.gpu for offer in offers}
    absent = tuple(gpu for gpu in place.gpus or machine.gpus if gpu not in offered)
    if not absent:
        return
    anywhere = await search(replace(place, gpus=absent, regions=(), max_usd_per_hour=_ANY_PRICE), machine)
    if anywhere and not offers:
        here = await search(replace(place, max_usd_per_hour=_ANY_PRICE), machine) if place.regions else anywhere
        text = _too_dear(place, here[0]) if here else _elsewhere(place, anywhere)
        yield Finding(f"{where}.{text}", grave=True)
    sold = {offer.gpu for offer in anywhere}
    if unsold := tuple(gpu for gpu in absent if gpu not in sold):
        named = f"{where}.gpus" if place.gpus else f"pools.{pool.name}.machine.gpus"
        async for text in _not_sold(search, place, machine, unsold, where=where, named=named):
            yield Finding(text, grave=not offers)


def _too_dear(place: Placement, cheapest: Offer) -> str:
    least = math.ceil(cheapest.usd_per_hour * 100) / 100
    return (
        f"max_usd_per_hour: {place.max_usd_per_hour:g} - below the market: the cheapest now is {_priced(cheapest)}; "
        f"raise it to {least:g} or more"
    )


def _elsewhere(place: Placement, anywhere: Sequence[Offer]) -> str:
    cheapest = {offer.region: offer for offer in reversed(anywhere)}
    regions = sorted(cheapest.values(), key=lambda offer: offer.usd_per_hour)
    stock = [f"{each.region or 'no named region'} (from {each.usd_per_hour:.3f} USD per hour)" for each in regions]
    dear = f", all above max_usd_per_hour ({place.max_usd_per_hour:g})"
    return (
        f"regions: {', '.join(place.regions)} - no stock there now; "
        f"there is in {_listed(stock)}"
        f"{dear if regions[0].usd_per_hour > place.max_usd_per_hour else ''}"
    )


async def _not_sold(
    search: Search, place: Placement, machine: MachineSpec, unsold: tuple[str, ...], *, where: str, named: str
) -> AsyncIterator[str]:
    """Of GPU types that are nowhere to be had as the placement buys: how they are, or what is."""
    free = replace(place, gpus=unsold, regions=(), max_usd_per_hour=_ANY_PRICE)
    for setting, written, instead, other in _otherwise(free):
        if found := await search(other, machine):
            yield (
                f"{where}.{setting}: {written} - {place.provider} has no {either(unsold)} so now; "
                f"there is {_priced(found[0])} {instead}"
            )
            return
    names = list(dict.fromkeys(o.gpu for o in await search(replace(free, gpus=()), replace(machine, gpus=()))))
    if not names:
        way = place.buy.replace("_", " ")
        yield f"{where}: {place.provider} offers no machine at all now, {way}; wait, or add a placement elsewhere"
        return
    for gpu in unsold:
        near = get_close_matches(gpu, names, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"there is {_listed(names)}"
        yield f"{named}: {gpu} - not on offer at {place.provider} now, at any price in any region; {hint}"


def _otherwise(place: Placement) -> Iterator[tuple[str, str, str, Placement]]:
    """Other ways to buy: the setting, what it says, what to write instead, and the placement with that."""
    if place.cloud is not None:
        yield "cloud", place.cloud, "in the other cloud: leave `cloud` out", replace(place, cloud=None)
    if place.buy == "spot":
        yield "buy", "spot", "on demand: write on_demand", replace(place, buy="on_demand")


def _priced(offer: Offer) -> str:
    within = f" in {offer.region}" if offer.region else ""
    return f"{offer.gpu}{within} for {offer.usd_per_hour:.3f} USD per hour"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:_NAMED])} and {more} more"
