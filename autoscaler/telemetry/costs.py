"""How the books grow from tick to tick, for a counter of money that Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from autoscaler.core.purposes import Line
from autoscaler.runtime.report import TickReport
from autoscaler.telemetry.gauges import UNCONFIGURED, pool_label

SHARED = "_shared"
"""The label of machines that serve all tiers; no tier can have that name."""
_DAYS = 2  # today, and yesterday, which grows for a moment after midnight


class CostLabels(NamedTuple):
    """The labels of one series: names from the configuration and members of enums."""

    pool: str
    placement: str
    tier: str
    purpose: str


class CostMeter:
    """Adds up what is booked while this daemon leads.

    A boot that is under way is counted when it has ended: until then nobody knows whether it failed. So no series
    ever falls, and what of the books is still to be decided is in none.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], dict[Line, float]] | None = None

    def growth(self, report: TickReport) -> Iterator[tuple[CostLabels, float]]:
        """USD by labels since the last call; nothing on the first of a lead."""
        if not report.leads:
            self._known = None
            return
        known, self._known = self._known, {}
        for day in sorted(report.books)[-_DAYS:]:
            for pool, spent in report.books[day].pools.items():
                lines = self._known[day, pool] = spent.decided()
                if known is None:
                    continue
                before = known.get((day, pool), {})
                for line, usd in lines.items():
                    if (more := usd - before.get(line, 0.0)) > 0.0:
                        yield _labels(report, pool, line), more


def _labels(report: TickReport, pool: str, line: Line) -> CostLabels:
    label = pool_label(report, pool)
    placed = {each.label for each in report.pools[pool].snapshot.pool.placements} if pool in report.pools else set()
    placement = line.placement if line.placement in placed else UNCONFIGURED
    tiers = {each.name for each in report.pools[pool].snapshot.pool.tiers} if pool in report.pools else set()
    tier = line.tier if line.tier in tiers else UNCONFIGURED if line.tier else SHARED
    return CostLabels(label, placement, tier, line.purpose.value)
