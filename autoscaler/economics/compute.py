"""All tables of a plan, and what becomes of its author's own figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autoscaler.economics import customers, fleet, jobs
from autoscaler.economics.claims import Claim, Verdict
from autoscaler.economics.interval import Interval
from autoscaler.economics.plan import BusinessPlan
from autoscaler.economics.tables import Table, Unit, figures_of

_TABLES: tuple[Callable[[BusinessPlan], Table], ...] = (
    fleet.machines,
    fleet.scenarios,
    fleet.loads,
    fleet.packing,
    customers.costs,
    customers.margins,
    customers.break_even,
    customers.scales,
    jobs.classes,
    jobs.volumes,
    jobs.base_rates,
    jobs.variants,
    jobs.quotes,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """An author's figure beside the computed one."""

    figure: str
    claim: Claim
    unit: Unit
    computed: Interval | None

    @property
    def verdict(self) -> Verdict:
        """Whether it follows."""
        return self.claim.verdict(self.computed)


def compute(plan: BusinessPlan) -> tuple[Table, ...]:
    """All tables that the plan says something for."""
    return tuple(table for make in _TABLES if (table := make(plan)).rows)


def judge(stated: Mapping[str, Claim], tables: tuple[Table, ...]) -> tuple[Judged, ...]:
    """Each of the author's figures, beside the one that was computed.

    Raises:
        KeyError: there is no figure of that name.
    """
    figures = figures_of(tables)
    return tuple(Judged(name, claim, *figures[name]) for name, claim in stated.items())
