"""How several policies become one decision: the safest wins.

Each policy proposes on its own. In this order:

1. `hot`: the most machines that any policy needs, plus the most that any wants to spare on top;
2. `keep`: at least as many of the running ones as the most careful policy would keep;
3. `ceiling`: never more than the strictest policy allows;
4. `warm` and `standby`: the most that any policy wants;
5. `needs`: for each tier the most that any policy needs up to it.

No policy sees the machines that are set apart for a tier: they come on top, up to the ceiling (`core/reserve.py`).

So adding a policy can only make service safer, save for a ceiling, which is a person's word. Reasons are kept in the
order of the policies; where they disagree, one more says whose number stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from autoscaler.core import reserve
from autoscaler.core.decision import NO_CEILING, Decision, Reason
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Pool
from policies.base import Policy, State

Entry = tuple[str, Policy, Any]
"""A policy's name, the policy and its settings."""


def decide(
    entries: Sequence[Entry], snapshot: PoolSnapshot, states: Mapping[str, State], now: float
) -> tuple[Decision, dict[str, State]]:
    """The decision of all policies of a pool together, and their new states by name."""
    usable = reserve.left_over(snapshot)
    decisions: list[Decision] = []
    fresh: dict[str, State] = {}
    for name, policy, settings in entries:
        decision, fresh[name] = policy.decide(usable, states.get(name, {}), now, settings)
        decisions.append(decision)
    together = replace(_together([name for name, _, _ in entries], decisions), needs=_needs(decisions, snapshot.pool))
    return reserve.on_top(together, snapshot.pool), fresh


def _together(names: Sequence[str], decisions: Sequence[Decision]) -> Decision:
    spare, keep = max(d.spare for d in decisions), max(d.keep for d in decisions)
    hot = max(max(d.hot for d in decisions) + spare, keep)
    ceiling = min(d.ceiling for d in decisions)
    together = Decision(
        hot=min(hot, ceiling),
        warm=max(max(d.warm, d.standby) for d in decisions),
        standby=max(d.standby for d in decisions),
        ceiling=ceiling,
        why=tuple(reason for d in decisions for reason in d.why),
        why_not=tuple(reason for d in decisions for reason in d.why_not),
        hold_down=any(d.hold_down for d in decisions),
        hold_up=all(d.hold_up for d in decisions),
    )
    wishes = [f"{name} {_wish(decision)}" for name, decision in zip(names, decisions, strict=True) if _wish(decision)]
    if len(wishes) < 2:
        return together
    return replace(together, why=(*together.why, Reason("combine", f"{', '.join(wishes)}: {together.hot} HOT")))


def _needs(decisions: Sequence[Decision], pool: Pool) -> tuple[tuple[str, int], ...]:
    """A policy that does not tell its tiers' needs needs all its machines for the most urgent one."""
    told = [(dict(decision.needs), decision.hot) for decision in decisions]
    return tuple((tier.name, max(needs.get(tier.name, hot) for needs, hot in told)) for tier in pool.tiers)


def _wish(decision: Decision) -> str:
    """What a policy asks for, in short; nothing where it leaves the running machines to others."""
    parts = [f"needs {decision.hot}"] if decision.hot else []
    parts += [f"spares {decision.spare}"] if decision.spare else []
    parts += [f"keeps {decision.keep}"] if decision.keep else []
    parts += [f"allows {decision.ceiling}"] if decision.ceiling < NO_CEILING else []
    return " and ".join(parts)


def window_s(entries: Sequence[Entry]) -> float:
    """How much history the policies need before fewer machines may be wanted."""
    return max(policy.window_s(settings) for _, policy, settings in entries)
