"""Machines that bill in our name and that nobody takes care of, as providers' listings and our records have them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance, parse_label, resembles_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Remote
from autoscaler.core.units import format_duration

_NEARLY_OURS = "its label is nearly ours, so it is never touched: `autoscaler adopt` takes it in, or end it yourself"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stray:
    """One machine that should not be there."""

    provider: str
    provider_id: str
    label: str
    pool: str
    """Empty where the label names none."""
    status: str
    gpu: str
    region: str
    usd_per_hour: float
    """What it costs at this moment."""
    why: str
    """What is wrong, and what mends it where a release does not."""
    to_release: bool
    """An ordinary release mends it; otherwise it goes already, or is a person's to decide."""

    @property
    def name(self) -> str:
        """As orders name it: `PROVIDER/ID`."""
        return f"{self.provider}/{self.provider_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a look at all providers found."""

    strays: Sequence[Stray]
    unlisted: Mapping[str, str]
    """Providers that could not be listed, and why: what strays there is not known."""
    machines: int
    """Those that carry the fleet's label."""


def find(
    listings: Mapping[str, Listing | Unknown],
    records: Collection[Instance],
    *,
    fleet: str,
    pools: Collection[str],
    led: Collection[str],
    now: float,
) -> Found:
    """Hold listings against records that were read after them: then no rent lies in between.

    `pools` are those of the configuration. Those in `led` are led by daemons with another file, if not with this one:
    what is not configured here is theirs to judge.
    """
    strays: list[Stray] = []
    unlisted, machines = dict[str, str](), 0
    for provider, listing in listings.items():
        if isinstance(listing, Unknown):
            unlisted[provider] = listing.reason
            continue
        known = {record.provider_id or record.id: record for record in records if record.provider == provider}
        for remote in listing.machines:
            pool, token = parse_label(remote.label, fleet) or ("", "")
            machines += bool(pool)
            record = known.get(remote.provider_id) or known.get(token)
            pool = record.pool if record else pool
            if record is None and resembles_label(remote.label, fleet):
                strays.append(_stray(provider, remote, "", _NEARLY_OURS, False))
            if not pool or (pool in led and pool not in pools):
                continue
            wrong = _of_record(record, pools, listing.asked_at, now) if record else ("no record names it", True)
            if wrong is not None:
                strays.append(_stray(provider, remote, pool, *wrong))
    return Found(strays=strays, unlisted=unlisted, machines=machines)


def _of_record(record: Instance, pools: Collection[str], asked_at: float, now: float) -> tuple[str, bool] | None:
    """What is wrong with a machine that a record names, and whether a release would mend it."""
    since = f"{record.phase} for {format_duration(max(0.0, now - record.phase_since))}"
    if record.phase is Phase.GONE:
        again = f"listed though its record says it is gone, {since}: the daemon releases it again"
        return (again, False) if asked_at > record.phase_since else None
    if record.alarmed and record.phase is Phase.RELEASING:
        return f"stuck: {since}, and asked for again and again; look in the provider's console", False
    if record.alarmed:
        ends = f"`autoscaler release {record.id} --lose-jobs` ends it, whatever runs on it"
        return f"stuck: {since}; {ends}", False
    if record.pool not in pools and record.phase is not Phase.RELEASING:
        return f"its pool {record.pool} is not configured, {since}", True
    return None


def _stray(provider: str, remote: Remote, pool: str, why: str, to_release: bool) -> Stray:
    return Stray(
        provider=provider,
        provider_id=remote.provider_id,
        label=remote.label,
        pool=pool,
        status=remote.status,
        gpu=remote.gpu,
        region=remote.region,
        usd_per_hour=remote.burn_usd_per_hour,
        why=why,
        to_release=to_release,
    )
