"""The memory of bad hosts and regions, and of what is sold out, shared by all pools of a provider.

One kind of memory serves all: after enough failures a place is avoided for a while, longer each time; after that it is
on trial, and one success makes it good again.

* A **host** is avoided after one machine that failed there: a boot that never came up, a machine that broke or was
  lost. Interruptions and refused resumes tell of the market rather than of the host; they only count in its rate of
  troubles, which makes its offers rank lower.
* A **region** is avoided after five failures in a row within half an hour (a circuit breaker), of boots, of machines
  and of rents. On trial it gets one boot at a time.
* **Stock** is what is let as one: a GPU type on a host, or in a region where the provider does not name its hosts. It
  is avoided after one rent that was refused, and where hosts have no names after one machine that failed, and ranks
  lower for a day, so that others are tried first: a data centre that lists what it does not have, or where nothing
  comes up, bars the way to no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Offer
from autoscaler.core.units import format_duration

DAY_S = 86400.0
"""Troubles older than this are forgotten; one of this age counts for 1/e of a new one."""
_KEPT = 8
_FIRST_BOOT = frozenset({Phase.PLANNED, Phase.RENTING, Phase.BOOTING})

Place = tuple[str, str]
"""A provider, and the name of a host, a region or a stock of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How many failures of a place are borne, and how long it is avoided then."""

    failures: int
    """So many in a row, …"""
    within_s: float
    """… within this time, are too many."""
    first_s: float
    """The first time; then twice as long each time, …"""
    most_s: float
    """… up to this."""


HOST = Patience(failures=1, within_s=DAY_S, first_s=3600.0, most_s=4 * 3600.0)
REGION = Patience(failures=5, within_s=1800.0, first_s=600.0, most_s=3600.0)
STOCK = Patience(failures=1, within_s=DAY_S, first_s=300.0, most_s=1800.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """What went wrong of late at one place."""

    at: tuple[float, ...] = ()
    """Epoch seconds of the newest troubles, oldest first."""
    avoided: int = 0
    """How often it was avoided since it was last good."""
    until: float = 0.0
    """Epoch seconds up to which it is, or was, avoided."""
    why: str = ""

    @property
    def on_trial(self) -> bool:
        """Whether it has to prove itself, once the time is over for which it is avoided."""
        return self.avoided > 0

    def noted(self, now: float) -> Trouble:
        """After a trouble that is no reason to avoid it."""
        recent = [at for at in self.at if now - at < DAY_S]
        return replace(self, at=tuple([*recent, now][-_KEPT:]))

    def failed(self, now: float, why: str, patience: Patience) -> Trouble:
        """After a failure. While it is avoided, what was under way there may fail, too, and says nothing new."""
        noted = self.noted(now)
        if now < self.until:
            return noted
        before = self.avoided if len(noted.at) > 1 else 0  # a day without trouble is as good as a success
        in_a_row = sum(now - at <= patience.within_s for at in noted.at)
        if not before and in_a_row < patience.failures:
            return replace(noted, avoided=0)
        pause_s = min(patience.most_s, patience.first_s * 2.0**before)
        text = f"{in_a_row} failures in a row, the last: {why}" if patience.failures > 1 else why
        return replace(noted, avoided=before + 1, until=now + pause_s, why=text)

    def eased(self) -> Trouble:
        """After a success. What went wrong before still counts in its rate."""
        return replace(self, avoided=0, until=0.0, why="")

    def per_hour(self, now: float) -> float:
        """Troubles per hour: a count that decays with a time constant of a day, over that day."""
        return sum(math.exp(-max(0.0, now - at) / DAY_S) for at in self.at) / (DAY_S / 3600.0)

    def is_past(self, now: float) -> bool:
        """Whether there is nothing left to remember."""
        return all(now - at >= DAY_S for at in self.at)

    def not_after(self, now: float) -> Trouble:
        """This trouble with nothing in it later than now: for when the clock was set back."""
        return replace(self, at=tuple(min(at, now) for at in self.at), until=min(self.until, now))


GOOD = Trouble()
"""A place of which nothing bad is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """What a fleet knows of hosts, regions and stocks, and what it has there."""

    hosts: Mapping[Place, Trouble] = field(default_factory=dict)
    regions: Mapping[Place, Trouble] = field(default_factory=dict)
    stocks: Mapping[Place, Trouble] = field(default_factory=dict)
    held: Set[Place] = frozenset()
    """Hosts on which a machine of the fleet stands, whichever pool's."""
    booting: Set[Place] = frozenset()
    """Regions in which a machine of the fleet boots for the first time."""

    def host(self, provider: str, host: str) -> Trouble:
        """A host's troubles. Where a provider does not name its hosts, nothing is known of them."""
        return self.hosts.get((provider, host), GOOD) if host else GOOD

    def stock(self, offer: Offer) -> Trouble:
        """The troubles of the stock that an offer is of."""
        return self.stocks.get((offer.provider, stock_of(offer)), GOOD) if self.stocks else GOOD

    def avoid_stock(self, offer: Offer, now: float) -> str:
        """Why nothing is rented of an offer's stock now; empty where nothing is against it."""
        return _avoid(stock_of(offer), self.stock(offer), now) if self.stocks else ""

    def avoid_host(self, provider: str, host: str, now: float) -> str:
        """Why nothing is rented on a host now; empty where nothing is against it."""
        return _avoid(f"host {host}", self.host(provider, host), now)

    def avoid_region(self, provider: str, region: str, now: float) -> str:
        """Why nothing is rented in a region now; empty where nothing is against it."""
        trouble = self.regions.get((provider, region), GOOD)
        if trouble.on_trial and now >= trouble.until and (provider, region) in self.booting:
            return f"region {region} is on trial with the one machine that boots there ({trouble.why})"
        return _avoid(f"region {region}", trouble, now)

    def on_trial(self, provider: str, region: str) -> bool:
        """Whether a region may have one boot at a time."""
        return self.regions.get((provider, region), GOOD).on_trial


def _avoid(name: str, trouble: Trouble, now: float) -> str:
    if now >= trouble.until:
        return ""
    return f"{name} is avoided for {format_duration(trouble.until - now)} ({trouble.why})"


def stock_of(at: Instance | Offer) -> str:
    """What a machine is let from, in words for people: `on-demand RTX 4090 in EU-RO-1`."""
    where = f"on host {at.host}" if at.host else f"in {at.region}" if at.region else "anywhere"
    return f"{at.buy.replace('_', '-')} {at.gpu} {where}"


def held_by(instances: Iterable[Instance]) -> frozenset[Place]:
    """The hosts on which machines stand."""
    return frozenset((i.provider, i.host) for i in instances if i.host and i.phase is not Phase.GONE)


def booting(instances: Iterable[Instance]) -> set[Place]:
    """The regions in which machines boot for the first time."""
    return {(i.provider, i.region) for i in instances if i.phase in _FIRST_BOOT and not i.resumed}
