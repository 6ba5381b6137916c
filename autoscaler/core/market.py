"""What providers offer and list, in one vocabulary for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from autoscaler.core.instance import parse_label
from autoscaler.core.spec import Buy


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One concrete thing a provider will rent now."""

    provider: str
    offer_id: str
    gpu: str
    region: str
    host: str
    """The physical machine, so that a bad one can be avoided."""
    buy: Buy
    usd_per_hour: float
    """Price while running, disk included; where it takes bids, the least bid that wins now, disk included."""
    disk_usd_per_hour: float
    """Price while stopped."""
    reliability: float = 1.0
    """The provider's own figure, 0 to 1."""
    takes_bids: bool = False
    """It is let to the highest bidder, who pays what he bids."""
    usd_per_gb: float = 0.0
    """Price of what the machine downloads."""
    stands: bool = False
    """It stands for any number of machines; else it is spent with the first."""


class Status(StrEnum):
    """What a provider says of a machine, reduced to what changes our behaviour."""

    STARTING = "starting"
    """Being made or started: image pull, container start."""
    RUNNING = "running"
    STOPPED = "stopped"
    QUEUED = "queued"
    """Stopped, with a start ordered that waits for a GPU: it may bill at any time."""
    FAILED = "failed"
    """It will not run without a new machine: crash loop, bad image, broken host."""
    OFFLINE = "offline"
    """Its host is not answering."""
    UNKNOWN = "unknown"
    """A word of the provider that we do not know: wait, with a deadline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """A machine as its provider lists it."""

    provider_id: str
    label: str
    """Our label, or anything at all for a machine that is not ours."""
    status: Status
    gpu: str = ""
    gpu_count: int = 1
    """0 after a start without a GPU."""
    region: str = ""
    host: str = ""
    buy: Buy = "on_demand"
    usd_per_hour: float = 0.0
    """Price while running, disk included; 0 where it is not told."""
    disk_usd_per_hour: float = 0.0
    """Price while stopped."""
    burn_usd_per_hour: float = 0.0
    """What it costs at this moment."""
    address: str | None = None
    """`host:port` where the port of the machine's `ready` answers from outside, or `host` where it has none."""
    ends_at: float | None = None
    """Epoch seconds when the provider will stop it for good: the end of its contract. None where it has no end."""
    busy_slots: int | None = None
    """Slots at work where the provider itself knows; the clouds do not."""
    detail: str = ""
    """The provider's own words, for people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """All machines of an account. Complete, or it would have been an error."""

    asked_at: float
    """Epoch seconds when the request was sent: it says nothing about what was done later."""
    machines: tuple[Remote, ...]
    notices: tuple[str, ...] = ()
    """What the provider wants its customer to decide, in words for people: a price increase that waits for a yes."""
    _by_pool: dict[str, dict[str | None, list[Remote]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _by_id: dict[str | None, Remote] = field(default_factory=dict, init=False, repr=False, compare=False)

    def by_pool(self, fleet: str) -> Mapping[str | None, list[Remote]]:
        """The machines by the pool that their label names; under None those that do not carry the fleet's.

        They are sorted once, however many ask: where pools are led one by one, each asks with each tick.
        """
        if fleet not in self._by_pool:
            pools = self._by_pool.setdefault(fleet, {})
            for remote in self.machines:
                ours = parse_label(remote.label, fleet)
                pools.setdefault(ours[0] if ours else None, []).append(remote)
        return self._by_pool[fleet]

    def machine(self, provider_id: str | None) -> Remote | None:
        """The machine of that id; they, too, are sorted once."""
        if not self._by_id:
            self._by_id.update((remote.provider_id, remote) for remote in self.machines)
        return self._by_id.get(provider_id)
