"""Machines that carry our label, or that an operator wants adopted, and that have no record become records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autoscaler.core.evidence import Evidence, with_facts
from autoscaler.core.instance import Instance, parse_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Remote, Status
from autoscaler.core.orders import OrderKind
from autoscaler.core.spec import Placement, Pool

_ADOPTED_AS: Mapping[Status, Phase] = {
    Status.STARTING: Phase.BOOTING,
    Status.RUNNING: Phase.BOOTING,
    Status.UNKNOWN: Phase.BOOTING,
    Status.STOPPED: Phase.WARM,
    Status.QUEUED: Phase.WARM,
    Status.FAILED: Phase.RELEASING,
    Status.OFFLINE: Phase.LOST,
}


def adopt(
    strays: Iterable[tuple[tuple[str, str], Remote]], instances: Mapping[str, Instance], evidence: Evidence
) -> list[Instance]:
    """Records for those of the strays that are ours: machines, by provider and id, that no record speaks of."""
    adopted: dict[str, Instance] = {}
    wanted = {
        order.subject: order for order in evidence.orders.of_kind(OrderKind.ADOPT) if order.pool in evidence.pools
    }
    for (provider, provider_id), remote in strays:
        ours = parse_label(remote.label, evidence.fleet)
        found = "found by its label, without a record"
        if order := wanted.get(f"{provider}/{provider_id}"):
            ours, found = (order.pool, f"{provider}-{provider_id}"), f"adopted, ordered {order.source(evidence.now)}"
        if ours is None:
            continue
        pool, token = ours
        if not evidence.unit.owns(pool):
            continue
        first = instances.get(token) or adopted.get(token)
        if first is not None and first.id in evidence.calling:
            continue  # its rent call is not answered yet: this is its machine, most likely
        phase, reason = _ADOPTED_AS[remote.status], found
        if first is not None:
            token = f"{token}-{provider_id}"
            phase, reason = Phase.RELEASING, f"a second machine for the token of {first.id}: releasing it"
        place = _placement(evidence.pools.get(pool), provider, remote)
        record = Instance(
            id=token,
            pool=pool,
            placement=place.label if place else "adopted",
            provider=provider,
            phase=phase,
            phase_since=evidence.now,
            created_at=evidence.now,
            booked_at=evidence.now,
            buy=remote.buy,
            slots=evidence.pools[pool].machine.slots if pool in evidence.pools else 1,
            usd_per_hour=remote.usd_per_hour or (place.max_usd_per_hour if place else 0.0),
            resumed=True,
            adopted=True,
            reason=reason,
        )
        adopted[token] = with_facts(record, remote, evidence.now)
    return list(adopted.values())


def _placement(pool: Pool | None, provider: str, remote: Remote) -> Placement | None:
    """The placement of a pool that fits an adopted machine best."""
    fitting = [p for p in pool.placements if p.provider == provider] if pool else []
    fitting.sort(key=lambda p: p.buy != remote.buy)
    return fitting[0] if fitting else None
