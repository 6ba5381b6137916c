"""How several policies become one decision: the safest wins.

Each policy proposes on its own. The pool gets the most machines that any of them wants, HOT and WARM, so adding a
policy can only make service safer; reasons are kept in the order of the policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoscaler.core.decision import Decision
from autoscaler.core.snapshot import PoolSnapshot
from policies.base import Policy, State

Entry = tuple[str, Policy, Any]
"""A policy's name, the policy and its settings."""


def decide(
    entries: Sequence[Entry], snapshot: PoolSnapshot, states: Mapping[str, State], now: float
) -> tuple[Decision, dict[str, State]]:
    """The decision of all policies of a pool together, and their new states by name."""
    decisions: list[Decision] = []
    fresh: dict[str, State] = {}
    for name, policy, settings in entries:
        decision, fresh[name] = policy.decide(snapshot, states.get(name, {}), now, settings)
        decisions.append(decision)
    if len(decisions) == 1:
        return decisions[0], fresh
    return (
        Decision(
            hot=max(d.hot for d in decisions),
            warm=max(d.warm for d in decisions),
            why=tuple(reason for d in decisions for reason in d.why),
            why_not=tuple(reason for d in decisions for reason in d.why_not),
            hold_down=any(d.hold_down for d in decisions),
            hold_up=all(d.hold_up for d in decisions),
        ),
        fresh,
    )


def window_s(entries: Sequence[Entry]) -> float:
    """How much history the policies need before fewer machines may be wanted."""
    return max(policy.window_s(settings) for _, policy, settings in entries)
