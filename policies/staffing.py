"""How many slots keep a wait target: Erlang's delay formula, by tier under priority.

With ``R`` slots' worth of work arriving and ``n`` slots (M/M/n), a job waits with the probability C(n, R); see Erlang
(1917). A job of tier *i* that does wait sees the load of its own and more urgent tiers only, σ_i = R_1..i ÷ n, and
its mean wait is S ÷ (n (1 - σ_{i-1}) (1 - σ_i)) (Cobham, 1954; Kella and Yechiali, 1985). The tail is taken for
exponential with that mean: P(W_i > t) ≈ C(n, R) · exp(-t n (1 - σ_{i-1}) (1 - σ_i) ÷ S), exact for a single tier.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_MOST_SLOTS = 100_000


def erlang_c(slots: int, load: float) -> float:
    """Probability that a job has to wait, with that many slots and that many slots' worth of work arriving.

    By the recursion of Erlang's loss formula, B(n) = R B(n-1) ÷ (n + R B(n-1)), and C = B ÷ (1 - (R ÷ n) (1 - B)).
    """
    if load <= 0.0:
        return 0.0
    if load >= slots:
        return 1.0
    blocked = 1.0
    for number in range(1, slots + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1.0 - load / slots * (1.0 - blocked))


@dataclass(frozen=True, slots=True)
class Class:
    """One tier's steady load and promise."""

    load: float
    """Slots' worth of work arriving."""
    service_s: float
    target_s: float


def late_share(tiers: Sequence[Class], place: int, slots: int) -> float:
    """Share of a tier's jobs that wait longer than its target; tiers are most urgent first."""
    total = sum(tier.load for tier in tiers)
    above = sum(tier.load for tier in tiers[:place]) / slots
    own = above + tiers[place].load / slots
    if own >= 1.0:
        return 1.0
    tier = tiers[place]
    return erlang_c(slots, total) * math.exp(-tier.target_s * slots * (1.0 - above) * (1.0 - own) / tier.service_s)


def slots_for(tiers: Sequence[Class], place: int, tolerated: float) -> int:
    """The fewest slots with which at most the tolerated share of a tier's jobs is late."""
    own = sum(tier.load for tier in tiers[: place + 1])
    slots = max(1, math.ceil(own))
    while late_share(tiers, place, slots) > tolerated and slots < _MOST_SLOTS:
        slots += 1
    return slots
