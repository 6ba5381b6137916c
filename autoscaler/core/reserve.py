"""Reserved capacity: slots of a tier that are HOT beyond what lower tiers use.

Reserved slots come as whole machines. A machine set apart for a tier takes its jobs and more urgent ones, no others.
The policies size the pool as if those machines were not there, and they come on top. Worked example: one slot a
machine, `reserve: 2` for `enterprise`, and the policies need 3 machines for all jobs: 5 are HOT, and the two oldest
healthy ones are set apart.

The last HOT machine is never set apart: while machines are short, jobs wait by their urgency, but no tier waits for
ever.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Pool, Tier


def machines(tiers: Iterable[Tier], slots: int) -> int:
    """Machines with so many slots each that the reserved slots of these tiers take."""
    return sum(math.ceil(tier.reserve / slots) for tier in tiers)


def set_apart(pool: Pool, instances: Sequence[Instance]) -> list[Instance]:
    """The records of a pool whose tier changes, so that each tier has as many machines as it has reserved.

    The most urgent tier comes first. A healthy machine keeps its tier; else healthy ones that no tier has are taken
    first, of these the oldest.
    """
    hot = [machine for machine in instances if machine.phase is Phase.HOT]
    tiers: dict[str, str] = {}
    for tier in pool.tiers:
        count = min(machines([tier], pool.machine.slots), len(hot) - 1 - len(tiers))
        if count <= 0:
            continue
        ready = [machine for machine in hot if machine.id not in tiers]
        ready.sort(key=lambda m: (bool(m.ailment), m.tier != tier.name, m.tier is not None, m.created_at, m.id))
        tiers.update((machine.id, tier.name) for machine in ready[:count])
    return [replace(m, tier=tiers.get(m.id)) for m in instances if m.tier != tiers.get(m.id)]


def set_all_apart(pools: Iterable[Pool], instances: Iterable[Instance]) -> list[Instance]:
    """The HOT records of all pools whose tier changes."""
    hot: dict[str, list[Instance]] = {}
    for record in instances:
        if record.phase is Phase.HOT:
            hot.setdefault(record.pool, []).append(record)
    return [record for pool in pools for record in set_apart(pool, hot.get(pool.name, ()))]


def without(snapshot: PoolSnapshot, tiers: Collection[str]) -> PoolSnapshot:
    """A snapshot without the machines set apart for any of these tiers, and without the jobs at work on them."""
    apart = [machine for machine in snapshot.instances if machine.tier in tiers]
    if not apart:
        return snapshot
    demand = snapshot.demand
    if not isinstance(demand, Unknown) and demand.in_flight is not None:
        busy = sum(snapshot.busy.get(machine.id, 0) for machine in apart)
        demand = replace(demand, in_flight=max(0, demand.in_flight - busy))
    return replace(
        snapshot, demand=demand, instances=tuple(machine for machine in snapshot.instances if machine.tier not in tiers)
    )


def left_over(snapshot: PoolSnapshot) -> PoolSnapshot:
    """What the policies may count on: the snapshot without any machine that is set apart."""
    return without(snapshot, {tier.name for tier in snapshot.pool.tiers})


def on_top(decision: Decision, pool: Pool) -> Decision:
    """What the policies need, and the reserved machines on top of it, up to the ceiling."""
    more = machines(pool.tiers, pool.machine.slots)
    hot = min(decision.hot + more, decision.ceiling)
    if hot <= decision.hot:
        return decision
    slots = ", ".join(f"{tier.reserve} of {tier.name}" for tier in pool.tiers if tier.reserve)
    noun = "machine" if more == 1 else "machines"
    text = f"{decision.hot} needed, and {more} {noun} for reserved slots ({slots})"
    needs = tuple((tier, count + more) for tier, count in decision.needs)
    return decision.because("reserve", text, hot=hot, needs=needs)
