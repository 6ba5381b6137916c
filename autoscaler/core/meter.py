"""The meter makes samples of ticks.

A tick on which nothing has changed costs it a few comparisons. All that it must know from before is the last tick: a
daemon that starts, or looks again after a long time, begins anew, and what happened in between is a gap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from autoscaler.core.arrivals import RUNNING, Arrivals, Counts
from autoscaler.core.demand import Unknown
from autoscaler.core.ledger import DAY_S
from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import SAMPLE_S, PoolSample, Sample
from autoscaler.core.snapshot import PoolSnapshot

_LONGEST_S = 120.0
"""What happened within a longer time than this cannot be told apart by the minute, …"""
_LONGEST_TICKS = 3.0
"""… unless ticks are that slow."""


class Meter:
    """Measures all pools of a fleet."""

    def __init__(self, tick_s: float) -> None:
        self._longest_s = max(_LONGEST_S, _LONGEST_TICKS * tick_s)
        self._pools: dict[str, _PoolMeter] = {}
        self._began = self._last = float("-inf")

    def tick(self, snapshots: Iterable[PoolSnapshot], taken: Mapping[str, Counts | None], now: float) -> Sample | None:
        """Take one tick; gives a sample when a minute is over, or is cut short by a gap.

        `taken` has the workers' counts by instance: None for one that beats and does not count.
        """
        sample = None
        if 0.0 <= now - self._last <= self._longest_s:
            for each in snapshots:
                self._pools[each.pool.name].tick(each, taken, now)
            self._last = now
            if now // SAMPLE_S != self._began // SAMPLE_S:
                sample = self._close()
        else:
            sample = self._close()
            self._pools = {each.pool.name: _PoolMeter(each, taken, now, self._longest_s) for each in snapshots}
            self._began = self._last = now
        return sample

    def _close(self) -> Sample | None:
        began, self._began = self._began, self._last
        if self._last <= began:
            return None
        pools = {name: meter.close() for name, meter in self._pools.items()}
        return Sample(at=round(began, 3), until=round(self._last, 3), pools=pools)


class _PoolMeter:
    """Queue, machines, work and money of one pool. From one tick to the next, all is as the first of them found it."""

    def __init__(
        self, snapshot: PoolSnapshot, taken: Mapping[str, Counts | None], now: float, longest_s: float
    ) -> None:
        self._arrivals = Arrivals(longest_s)
        self._last = now
        self._snapshot = snapshot
        self._begin()
        self._look(snapshot, taken, now)

    def _begin(self) -> None:
        self._busy_s: float | None = 0.0
        self._machine_s: dict[Phase, float] = {}
        self._same_s = 0.0
        """For how long the machines have been as they are, and are not counted yet."""
        self._usd = 0.0

    def _look(self, snapshot: PoolSnapshot, taken: Mapping[str, Counts | None], now: float) -> None:
        self._snapshot = snapshot
        self._busy = _busy(snapshot)
        self._arrivals.read(snapshot.demand, snapshot.instances, taken, now)

    def tick(self, snapshot: PoolSnapshot, taken: Mapping[str, Counts | None], now: float) -> None:
        """Book the time since the last tick, and look again."""
        elapsed_s = now - self._last
        self._last = now
        self._same_s += elapsed_s
        self._busy_s = None if self._busy is None or self._busy_s is None else self._busy_s + self._busy * elapsed_s
        self._usd += _spent(self._snapshot, snapshot, elapsed_s)
        if snapshot.instances != self._snapshot.instances:
            self._count_machines()
        self._look(snapshot, taken, now)

    def _count_machines(self) -> None:
        for phase, machines in Counter([each.phase for each in self._snapshot.instances]).items():
            self._machine_s[phase] = self._machine_s.get(phase, 0.0) + machines * self._same_s
        self._same_s = 0.0

    def close(self) -> PoolSample:
        """What was measured since the last time."""
        self._count_machines()
        snapshot, arrivals = self._snapshot, self._arrivals
        in_flight = None if isinstance(snapshot.demand, Unknown) else snapshot.demand.in_flight
        sample = PoolSample(
            tiers=arrivals.tiers(),
            seen_s=round(arrivals.seen_s, 3),
            counted=arrivals.counted,
            in_flight=self._busy if in_flight is None else in_flight,
            busy_s=None if self._busy_s is None else round(self._busy_s, 3),
            machine_s={phase: round(seconds, 3) for phase, seconds in self._machine_s.items()},
            usd=round(self._usd, 8),
            offered_usd_per_hour=_cheapest(snapshot),
        )
        arrivals.begin(snapshot.instances)
        self._begin()
        return sample


def _busy(snapshot: PoolSnapshot) -> int | None:
    """Slots at work: as all machines that may have any say, else as the queue says."""
    told, busy = snapshot.busy, 0
    for each in snapshot.instances:
        if each.phase in RUNNING:
            if each.id not in told:
                return None if isinstance(snapshot.demand, Unknown) else snapshot.demand.in_flight
            busy += told[each.id]
    return busy


def _spent(before: PoolSnapshot, snapshot: PoolSnapshot, elapsed_s: float) -> float:
    """What was booked between two ticks.

    At midnight the day's books begin anew. A tick's time is booked at one price, so its cost before midnight follows
    from its cost after it.
    """
    if snapshot.spent_today_usd >= before.spent_today_usd:
        return snapshot.spent_today_usd - before.spent_today_usd
    return snapshot.spent_today_usd * elapsed_s / (DAY_S - snapshot.day_left_s)


def _cheapest(snapshot: PoolSnapshot) -> float | None:
    caps = {placement.label: placement.max_usd_per_hour for placement in snapshot.pool.placements}
    prices = [
        offer.usd_per_hour
        for label, offers in snapshot.offers.items()
        if not isinstance(offers, Unknown)
        for offer in offers
        if offer.usd_per_hour <= caps.get(label, 0.0)
    ]
    return min(prices, default=None)
