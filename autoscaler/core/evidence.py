"""What is known of the machines from outside, and how a record takes what its provider says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.market import Listing, Remote, Status
from autoscaler.core.orders import NO_ORDERS, Orders
from autoscaler.core.spec import Pool
from autoscaler.core.unit import WHOLE, Unit


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What is known of the machines from outside."""

    now: float
    fleet: str
    pools: Mapping[str, Pool]
    listings: Mapping[str, Listing | Unknown]
    """By provider."""
    calling: frozenset[str] = frozenset()
    """Ids of records with a provider call under way."""
    ready: frozenset[str] = frozenset()
    """Ids whose worker beats or whose service answers, since they boot."""
    beating: frozenset[str] = frozenset()
    """Ids whose worker was heard lately, and since they are in their phase."""
    unit: Unit = WHOLE
    """Whose machines these are: labels of other units' pools say nothing here."""
    orders: Orders = NO_ORDERS
    """What operators have ordered: machines to adopt may be among it."""


def index(evidence: Evidence) -> tuple[dict[tuple[str, str], Remote], dict[tuple[str, str], Remote]]:
    """The listed machines by provider and id, and those of our label by provider and token.

    A machine that a record names by its id is ours whatever its label says by now, unless that names another unit's
    pool: the label is for those without a record.
    """
    by_id: dict[tuple[str, str], Remote] = {}
    by_token: dict[tuple[str, str], Remote] = {}
    for provider, listing in evidence.listings.items():
        if isinstance(listing, Unknown):
            continue
        for pool, machines in listing.by_pool(evidence.fleet).items():
            if pool is not None and not evidence.unit.owns(pool):
                continue
            for remote in machines:
                by_id[provider, remote.provider_id] = remote
                if ours := parse_label(remote.label, evidence.fleet):
                    by_token.setdefault((provider, ours[1]), remote)
    return by_id, by_token


_FACTS = (
    "provider_id",
    "gpu",
    "region",
    "host",
    "address",
    "ends_at",
    "burn_usd_per_hour",
    "disk_usd_per_hour",
    "absent_since",
)
_facts_of = attrgetter(*_FACTS)


_RUNS = frozenset({Status.RUNNING, Status.UNKNOWN})
_RESTS = frozenset({Status.STOPPED, Status.QUEUED})


def with_facts(old: Instance, remote: Remote, now: float) -> Instance:
    """The record with the provider's own facts, its cost booked when the price changed.

    A price that is missing is not zero: what was agreed holds then, of the disk, and of the whole while it runs.
    """
    disk = remote.disk_usd_per_hour or old.disk_usd_per_hour
    agreed = old.usd_per_hour if remote.status in _RUNS else disk if remote.status in _RESTS else 0.0
    facts = (
        remote.provider_id,
        remote.gpu or old.gpu,
        remote.region or old.region,
        remote.host or old.host,
        remote.address,
        remote.ends_at,
        remote.burn_usd_per_hour or agreed,
        disk,
        None,
    )
    if _facts_of(old) == facts:
        return old
    return replace(old.booked(now), **dict(zip(_FACTS, facts, strict=True)))  # type: ignore[arg-type]
