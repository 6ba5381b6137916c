"""What several policies want of the tiers together, which is what money gives up in order."""

from __future__ import annotations

import pytest

from autoscaler.core.decision import Decision
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Tier
from policies import combine
from policies.base import Policy, State
from tests.support.build import NOW, pool, snapshot

TIERS = tuple(Tier(name=name) for name in ("enterprise", "pro", "free"))


def proposing(decision: Decision) -> Policy:
    """A policy that always proposes the same."""

    def decide(_snapshot: PoolSnapshot, state: State, _now: float, _settings: object) -> tuple[Decision, State]:
        return decision, state

    return Policy(settings=object, decide=decide, window_s=lambda _settings: 0.0, search={})


def together(*proposals: Decision, tiers: tuple[Tier, ...] = TIERS) -> Decision:
    entries = [(f"policy-{number}", proposing(decision), None) for number, decision in enumerate(proposals)]
    return combine.decide(entries, snapshot(pool=pool(tiers=tiers)), {}, NOW)[0]


def wanting(hot: int, *needs: int, spare: int = 0) -> Decision:
    names = [tier.name for tier in TIERS]
    return Decision(hot=hot, warm=0, spare=spare, needs=tuple(zip(names, needs, strict=True)) if needs else ())


@pytest.mark.parametrize(
    ("proposals", "needs"),
    [
        ((wanting(4, 1, 2, 4),), (1, 2, 4)),
        ((wanting(4, 1, 2, 4), wanting(3, 2, 2, 3)), (2, 2, 4)),
        ((wanting(4, 1, 2, 4), wanting(3)), (3, 3, 4)),  # who does not tell needs all for the most urgent tier
        ((wanting(3),), (3, 3, 3)),
        ((wanting(4, 1, 2, 4), wanting(0, spare=2)), (1, 2, 4)),  # what is spare is needed by no tier
    ],
)
def test_each_tier_needs_the_most_that_any_policy_says(proposals: tuple[Decision, ...], needs: tuple[int, ...]) -> None:
    decision = together(*proposals)

    assert decision.needs == tuple(zip(("enterprise", "pro", "free"), needs, strict=True))
    assert decision.hot == max(needs) + max(proposal.spare for proposal in proposals)


def test_reserved_machines_are_needed_by_the_most_urgent() -> None:
    reserving = (Tier(name="enterprise", reserve=2), *TIERS[1:])

    assert together(wanting(4, 1, 2, 4), tiers=reserving).needs == (("enterprise", 3), ("pro", 4), ("free", 6))
