"""The summary of a day, told when it is over: what it cost, and how its jobs waited."""

from __future__ import annotations

from collections import Counter

from autoscaler.core.demand import Unknown
from autoscaler.core.ledger import Spent, day_name, day_of
from autoscaler.runtime.concerns import Severity
from autoscaler.runtime.report import TickReport
from autoscaler.telemetry.notify_news import Change, News


class Daily:
    """Follows a UTC day by its ticks. Money is that of the books; waits are those seen since this daemon leads."""

    def __init__(self) -> None:
        self._day: int | None = None
        self._spent: dict[str, Spent] = {}
        self._ticks: Counter[str] = Counter()
        self._within: Counter[str] = Counter()
        """Ticks in which no job of a tier had waited longer than its target, by tier."""

    def look(self, report: TickReport, now: float) -> list[News]:
        """The summary of the day that is over, at the first tick of the next one."""
        day = day_of(now)
        news = [self._summary(self._day, now)] if self._day is not None and day > self._day and self._spent else []
        if day != self._day:
            self._day, self._spent, self._ticks, self._within = day, {}, Counter(), Counter()
        self._spent = {name: pool.spent_today for name, pool in report.pools.items()}
        for name, pool in report.pools.items():
            demand = pool.snapshot.demand
            waits = {} if isinstance(demand, Unknown) else {each.tier: each.oldest_wait_s for each in demand.tiers}
            for tier in pool.snapshot.pool.tiers:
                if tier.name in waits:
                    self._ticks[f"{name}/{tier.name}"] += 1
                    self._within[f"{name}/{tier.name}"] += (waits[tier.name] or 0.0) <= tier.wait_target
        return news

    def _summary(self, day: int, now: float) -> News:
        usd = sum(spent.usd for spent in self._spent.values())
        pools = ", ".join(f"{name} {spent.usd:.2f}" for name, spent in self._spent.items())
        wasted = sum(part.usd for spent in self._spent.values() for part in spent.wasted.values())
        waits = ", ".join(f"{tier} {self._within[tier] / ticks:.1%}" for tier, ticks in self._ticks.items())
        text = f"{day_name(day)} cost {usd:.2f} USD ({pools}), {wasted:.2f} of it wasted"
        return News(
            change=Change.SUMMARY,
            severity=Severity.INFO,
            name="summary",
            text=f"{text}; no job waited longer than its target for this share of the time: {waits}" if waits else text,
            at=now,
            since=now,
        )
