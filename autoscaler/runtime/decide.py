"""From a snapshot to commands: policies, then guards, then the plan. `run`, `plan` and `simulate` all decide here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoscaler.core.decision import Command, Decision
from autoscaler.core.guards import guard
from autoscaler.core.plan import plan
from autoscaler.core.snapshot import PoolSnapshot
from policies import combine
from policies.base import State


def decide(
    policies: Sequence[combine.Entry], snapshot: PoolSnapshot, states: Mapping[str, State], now: float
) -> tuple[Decision, tuple[Command, ...], dict[str, State]]:
    """What is wanted of a pool, what is to be done for it, and the policies' new states by name."""
    proposal, states = combine.decide(policies, snapshot, states, now)
    decision = guard(proposal, snapshot, combine.window_s(policies), now)
    commands, decision = plan(snapshot, decision, now)
    return decision, commands, states
