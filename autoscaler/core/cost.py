"""What is read out of the books: what pools, tiers and classes of jobs have cost.

What was booked is exact: lines by placement, tier and purpose. What a tier or a class has cost is an estimate wherever
machines serve several of them:

* A machine that is set apart for a tier is paid by that tier, whatever it does.
* All else of a pool is shared out over its tiers. Let w be a tier's share of the slot-seconds that all jobs used, S
  what all serving cost, and R what serving on the tier's own machines cost. Then the tier used max(0, w · S - R) of
  the shared machines, and pays that share of everything shared: of idle machines, boots and disks, too.
* A class of jobs pays for its share of the slot-seconds, of the pool's whole cost.

Worked example: 10 USD of a pool. `pro` has a machine of its own for 4 (3 serving, 1 idle), and 6 are shared (5
serving, 1 boots). `pro` used 60 % of the slot-seconds, `free` 40 %. Serving cost 8: `pro` used 0.6 · 8 - 3 = 1.8 of
what is shared, `free` 3.2. So `pro` pays 4 + 6 · 1.8 / 5 = 6.16, and `free` 6 · 3.2 / 5 = 3.84.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autoscaler.core.ledger import Books, Spent, Wasted, Work, added_up
from autoscaler.core.purposes import Purpose
from autoscaler.core.waste import Waste

NOT_ITEMISED = "not_itemised"
"""What an older version booked, that knew of no purposes."""
_ROUNDING_USD = 1e-6


class Row(NamedTuple):
    """What one thing cost on one day."""

    day: int
    """Days since the epoch."""
    pool: str
    placement: str
    """Empty, like the provider, where it was not itemised."""
    provider: str
    tier: str
    """Empty: machines that serve all tiers."""
    purpose: str
    usd: float


@dataclass(frozen=True, kw_only=True, slots=True)
class JobsCost:
    """What a tier or a class of jobs has cost, by estimate."""

    name: str
    usd: float
    work: Work

    @property
    def usd_per_job(self) -> float | None:
        """Cost per job; None where none is known."""
        return self.usd / self.work.jobs if self.work.jobs else None


@dataclass(frozen=True, kw_only=True, slots=True)
class TierCost(JobsCost):
    """What a tier has cost: machines of its own, and its part of the others."""

    own_usd: float
    """Machines set apart for it; this much is exact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolCost:
    """What a pool has cost over some days."""

    pool: str
    rows: Sequence[Row]
    tiers: Sequence[TierCost]
    nobodys_usd: float
    """Shared machines, where no job is known that used them."""
    classes: Sequence[JobsCost]
    wasted: Mapping[Waste, Wasted]

    @property
    def usd(self) -> float:
        """All of it."""
        return sum(row.usd for row in self.rows)

    @property
    def purposes(self) -> dict[str, float]:
        """USD by purpose."""
        return by_purpose(self.rows)


def rows(books: Books, days: Container[int], pool: str | None = None) -> Iterator[Row]:
    """The books of some days line by line, in order; they add up to what was booked."""
    for day in sorted(day for day in books if day in days):
        pages = books[day].pools
        for name in sorted(pages) if pool is None else [pool]:
            if name in pages:
                yield from _rows(day, name, pages[name])


def _rows(day: int, pool: str, spent: Spent) -> Iterator[Row]:
    for line, usd in sorted(spent.lines.items()):
        if usd:
            yield Row(day, pool, line.placement, line.provider, line.tier, line.purpose.value, usd)
    rest = not_itemised(spent)
    if rest:
        yield Row(day, pool, "", "", "", NOT_ITEMISED, rest)


def not_itemised(spent: Spent) -> float:
    """What was booked on a page and is in none of its lines, in USD."""
    rest = spent.usd - sum(spent.lines.values())
    return rest if rest > _ROUNDING_USD else 0.0


def by_purpose(found: Iterable[Row]) -> dict[str, float]:
    """USD by purpose, in the order in which machines live."""
    usd: dict[str, float] = {}
    for row in found:
        usd[row.purpose] = usd.get(row.purpose, 0.0) + row.usd
    return {purpose: usd[purpose] for purpose in (*Purpose, NOT_ITEMISED) if purpose in usd}


def pool_cost(books: Books, days: Container[int], pool: str, tiers: Sequence[str] = ()) -> PoolCost:
    """What a pool has cost over some days; `tiers` has its tiers' names, most urgent first."""
    span = sorted(day for day in books if day in days)
    pages = [books[day].pools[pool] for day in span if pool in books[day].pools]
    found = [*rows(books, span, pool)]
    work = added_up(page.tiers for page in pages)
    names = [*dict.fromkeys((*tiers, *work, *(row.tier for row in found if row.tier)))]
    own = {name: sum(row.usd for row in found if row.tier == name) for name in names}
    shared = _shared_out(found, {name: work.get(name, Work()).work_s for name in names})
    return PoolCost(
        pool=pool,
        rows=found,
        tiers=[
            TierCost(name=name, usd=own[name] + shared.get(name, 0.0), work=work.get(name, Work()), own_usd=own[name])
            for name in names
        ],
        nobodys_usd=0.0 if shared else sum(row.usd for row in found if not row.tier),
        classes=_classes(added_up(page.classes for page in pages), work, sum(row.usd for row in found)),
        wasted=added_up(page.wasted for page in pages),
    )


def _shared_out(found: Sequence[Row], work_s: Mapping[str, float]) -> dict[str, float]:
    """What each tier pays of the machines that serve all; nothing where no work is known."""
    all_s = sum(work_s.values())
    if not all_s:
        return {}
    serving = [row for row in found if row.purpose == Purpose.SERVING]
    serving_usd = sum(row.usd for row in serving)
    used = {
        name: max(0.0, seconds / all_s * serving_usd - sum(row.usd for row in serving if row.tier == name))
        for name, seconds in work_s.items()
    }
    if not sum(used.values()):
        used = dict(work_s)  # only machines of their own served; what is shared stood by for all
    shared_usd = sum(row.usd for row in found if not row.tier)
    return {name: shared_usd * (part / sum(used.values())) for name, part in used.items()}


def _classes(classes: Mapping[str, Work], tiers: Mapping[str, Work], usd: float) -> list[JobsCost]:
    """What each class pays of a pool. Where workers told of all jobs by tier, too, those of no class pay theirs."""
    told_s = sum(work.work_s for work in classes.values())
    if all(work.told == work.jobs for work in tiers.values()):
        told_s = max(told_s, sum(work.work_s for work in tiers.values()))
    costs = [
        JobsCost(name=name, usd=usd * (work.work_s / told_s) if told_s else 0.0, work=work)
        for name, work in classes.items()
    ]
    return sorted(costs, key=lambda cost: (-cost.usd, cost.name))
