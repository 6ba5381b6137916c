"""What a comparison is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from autoscaler.sim.summary import Summary


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One point of a comparison: a policy or a peer at one setting, or the least that any of them could cost."""

    kind: Literal["policy", "peer", "bound"]
    name: str
    """Short; trials of one name are joined in the order in which they are given."""
    title: str
    setting: str = ""
    """Of the setting that is tried over a grid: `list_length=5`."""
    usd: float
    """Of a bound: nobody who serves every tier at least as well can do it for less."""
    attainment: float
    """Share of all jobs that started in time, 0 to 1."""
    attainment_by_tier: Mapping[str, float | None]
    """None for a tier without jobs."""
    p95_s_by_tier: Mapping[str, float | None] = field(default_factory=dict)
    """The wait that 95 % of a tier's jobs did not exceed."""
    simulated_s: float = 0.0
    launches: int = 0
    killed: int = 0
    """Jobs cut off by the controller's own orders."""
    unserved: int = 0

    @property
    def worst_attainment(self) -> float:
        """That of the tier that is served worst; 1 without jobs."""
        return min((share for share in self.attainment_by_tier.values() if share is not None), default=1.0)


def trial_of(summary: Summary, *, kind: Literal["policy", "peer"], name: str, title: str, setting: str = "") -> Trial:
    """A simulation as a trial."""
    several = len(summary.tiers) > 1
    tiers = {
        f"{pool} / {tier}" if several else tier: figures
        for pool, tiers in summary.tiers.items()
        for tier, figures in tiers.items()
    }
    return Trial(
        kind=kind,
        name=name,
        title=title,
        setting=setting,
        usd=summary.usd,
        attainment=summary.attainment,
        attainment_by_tier={name: tier.attainment for name, tier in tiers.items()},
        p95_s_by_tier={name: tier.wait_p95_s for name, tier in tiers.items()},
        simulated_s=summary.simulated_s,
        launches=summary.launches,
        killed=summary.killed_jobs,
        unserved=summary.unserved_jobs,
    )


def frontier(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points of cost and attainment that no other beats in both, cheapest first."""
    best: list[int] = []
    for place in sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1])):
        if not best or points[place][1] > points[best[-1]][1]:
            best.append(place)
    return best


def times_bound(trial: Trial, bounds: Sequence[Trial]) -> float | None:
    """Cost as a multiple of the highest bound on serving every tier no better than this; None where none is known."""
    below = [bound.usd for bound in bounds if _serves(trial, bound.attainment_by_tier)]
    return trial.usd / max(below) if below and max(below) > 0 else None


def _serves(trial: Trial, shares: Mapping[str, float | None]) -> bool:
    own = trial.attainment_by_tier
    return all(share is None or (own.get(tier) or 0.0) >= share for tier, share in shares.items())
