"""The meter makes samples of ticks.

A tick that shows nothing new costs it a few comparisons. All that it must know from before is the last tick: a
daemon that starts, or looks again after a long time, begins anew, and what happened in between is a gap.
"""

from __future__ import annotations

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
        self.begin_anew(tick_s)
        self._pools: dict[str, _PoolMeter] = {}
        self._taken: Mapping[str, Counts | None] = {}
        self._began = self._last = float("-inf")

    def begin_anew(self, tick_s: float) -> None:
        """From the next tick on other pools or queues are measured: what happens until then is a gap."""
        self._longest_s = max(_LONGEST_S, _LONGEST_TICKS * tick_s)
        self._interrupted = True

    def tick(self, snapshots: Iterable[PoolSnapshot], taken: Mapping[str, Counts | None], now: float) -> Sample | None:
        """Take one tick; gives a sample when a minute is over, or is cut short by a gap.

        `taken` has the workers' counts by instance: None for one that beats and does not count.
        """
        sample = None
        if 0.0 <= now - self._last <= self._longest_s and not self._interrupted:
            quiet = taken == self._taken
            for each in snapshots:
                self._pools[each.pool.name].look(each, taken, now, quiet=quiet)
            self._last = now
            if now // SAMPLE_S != self._began // SAMPLE_S:
                sample = self._close()
        else:
            sample = self._close()
            self._pools = {each.pool.name: _PoolMeter(each, taken, now, self._longest_s) for each in snapshots}
            self._began = self._last = now
            self._interrupted = False
        self._taken = taken
        return sample

    def _close(self) -> Sample | None:
        began, self._began = self._began, self._last
        if self._last <= began:
            return None
        pools = {name: meter.close() for name, meter in self._pools.items()}
        return Sample(at=round(began, 3), until=round(self._last, 3), pools=pools)


class _PoolMeter:
    """Queue, machines, work and money of one pool. From one tick to the next, all is as the first of them found it.

    Ticks that show nothing new are booked together, as one long one.
    """

    def __init__(
        self, snapshot: PoolSnapshot, taken: Mapping[str, Counts | None], now: float, longest_s: float
    ) -> None:
        self._arrivals = Arrivals(longest_s)
        self._booked = snapshot
        """What was seen at the end of the time that is booked."""
        self._booked_at = now
        self._latest = (snapshot, taken, now)
        self._busy: int | None = None
        self._begin()
        self._book()

    def _begin(self) -> None:
        self._busy_s: float | None = 0.0
        self._machine_s: dict[Phase, float] = {}
        self._usd = 0.0

    def look(self, snapshot: PoolSnapshot, taken: Mapping[str, Counts | None], now: float, *, quiet: bool) -> None:
        """Take one tick. It is quiet when no worker counted anything."""
        self._latest = (snapshot, taken, now)
        if not quiet or self._busy != _busy(snapshot) or not _alike(self._booked, snapshot):
            self._book()

    def _book(self) -> None:
        """Book the time up to the latest tick."""
        before, (snapshot, taken, now) = self._booked, self._latest
        elapsed_s = now - self._booked_at
        if elapsed_s:
            self._busy_s = None if self._busy is None or self._busy_s is None else self._busy_s + self._busy * elapsed_s
            self._usd += _spent(before, snapshot, elapsed_s)
            for machine in before.instances:
                self._machine_s[machine.phase] = self._machine_s.get(machine.phase, 0.0) + elapsed_s
        self._busy = _busy(snapshot)
        self._arrivals.read(snapshot.demand, snapshot.instances, taken, now)
        self._booked, self._booked_at = snapshot, now

    def close(self) -> PoolSample:
        """What was measured since the last time."""
        self._book()
        snapshot, arrivals = self._booked, self._arrivals
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


def _alike(before: PoolSnapshot, snapshot: PoolSnapshot) -> bool:
    """Whether two ticks saw the same machines and depths."""
    old, new = before.demand, snapshot.demand
    if isinstance(old, Unknown) or isinstance(new, Unknown):
        return False
    for earlier, later in zip(old.tiers, new.tiers, strict=True):
        if earlier.waiting != later.waiting:
            return False
    return before.instances == snapshot.instances


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
