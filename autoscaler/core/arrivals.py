"""How many jobs came and how many were started, from the depths of a queue and from the workers' own counts.

Jobs do not vanish: what arrived in a tier is the change of its depth plus the jobs started from it. A worker counts a
job up to one heartbeat after it took it. So where a depth fell, the starts are known before they are counted, and the
next counts are taken for theirs; a job that came and went between two ticks is known when it is counted. Arrivals are
never claimed before they happened, and never more of them are missing than jobs were taken since the last heartbeats.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from autoscaler.core.demand import Demand, Unknown
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.samples import TierSample

Counts = Mapping[str, int]
"""Jobs that a worker has taken since it began, by tier."""

RUNNING = frozenset({Phase.HOT, Phase.DRAINING})
"""Phases in which a machine's workers may have jobs in hand."""

_LATE_S = 60.0
"""A worker that says nothing for longer does not count."""


class Arrivals:
    """Follows one pool's queue."""

    def __init__(self, longest_s: float) -> None:
        """What happened between two readings is a gap where they lie further apart than `longest_s`."""
        self._longest_s = longest_s
        self._read_at = float("-inf")
        self._depths: list[int] = []
        self._counters = _Counters(self._read_at)
        self._uncounted: dict[str, deque[float]] = {}
        """When jobs were seen to leave a tier that no worker has counted yet."""
        self.demand: Demand | None = None
        """The last good reading."""
        self.begin(())

    def begin(self, instances: Sequence[Instance]) -> None:
        """Begin a new minute."""
        self.seen_s = 0.0
        self.counted = True
        self._arrived: dict[str, int] = defaultdict(int)
        self._started: dict[str, int] = defaultdict(int)
        self._counters.forget_all_but(instances)

    def read(
        self, demand: Demand | Unknown, instances: Sequence[Instance], taken: Mapping[str, Counts | None], now: float
    ) -> None:
        """Take one reading. One that failed, or that gives no more than a lower bound, is made up for by the next."""
        if isinstance(demand, Unknown):
            return
        depths = []
        for tier in demand.tiers:
            if tier.waiting_is_lower_bound:
                return
            depths.append(tier.waiting)
        elapsed_s = now - self._read_at
        if elapsed_s > self._longest_s:
            self._counters = _Counters(now)
            self._counters.take(instances, taken, now)
            self._uncounted.clear()
        else:
            self.seen_s += elapsed_s
            starts, who = self._counters.take(instances, taken, now)
            if who.do_not:
                self.counted = False
            if starts or self._uncounted or depths != self._depths:
                for tier, before in zip(demand.tiers, self._depths, strict=True):
                    self._balance(tier.tier, tier.waiting - before, starts.pop(tier.tier, 0), now)
                if starts:  # of tiers that are none of this pool's
                    self.counted = False
                self._give_up(now if who.do else float("inf"))
        self._read_at, self._depths, self.demand = now, depths, demand

    def _balance(self, tier: str, deeper: int, counted: int, now: float) -> None:
        """Book what one tick brought to a tier."""
        uncounted = self._uncounted.pop(tier, deque())
        while uncounted and counted:
            uncounted.popleft()
            counted -= 1
        arrived = deeper + counted
        self._arrived[tier] += max(0, arrived)
        self._started[tier] += counted - min(0, arrived)
        uncounted.extend([now] * -arrived)
        if uncounted:
            self._uncounted[tier] = uncounted

    def _give_up(self, now: float) -> None:
        """Wait no longer for counts that are too late: the jobs left, and no worker of ours has taken them."""
        for tier, uncounted in [*self._uncounted.items()]:
            while uncounted and now - uncounted[0] > _LATE_S:
                uncounted.popleft()
                self.counted = False
            if not uncounted:
                del self._uncounted[tier]

    def tiers(self) -> dict[str, TierSample]:
        """What this minute brought; nothing where the queue was not seen."""
        if self.demand is None or not self.seen_s:
            return {}
        return {
            tier.tier: TierSample(
                self._arrived[tier.tier],
                self._started[tier.tier],
                tier.waiting,
                None if tier.oldest_wait_s is None else round(tier.oldest_wait_s, 1),
            )
            for tier in self.demand.tiers
        }


class _Who(NamedTuple):
    """Which of a pool's workers count."""

    do: bool
    """Some do, or may when they are first heard."""
    do_not: bool
    """Some do not."""


class _Counters:
    """The workers' counts as they were last heard.

    A count that falls is that of a new worker. So is the first one of a machine that was ordered since we listen; that
    of any other may be of any age, and only what is added to it counts.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._heard: dict[str, Counts] = {}

    def take(
        self, instances: Sequence[Instance], taken: Mapping[str, Counts | None], now: float
    ) -> tuple[dict[str, int], _Who]:
        """The jobs started since the last time, by tier, as far as workers count."""
        starts: dict[str, int] = {}
        do = do_not = False
        for instance in instances:
            counts = taken.get(instance.id)
            if counts is None:
                if instance.phase in RUNNING:
                    new = instance.id not in taken and now - instance.phase_since <= _LATE_S
                    do, do_not = do or new, do_not or not new
                continue
            do = True
            before = self._heard.get(instance.id)
            if counts != before:
                self._heard[instance.id] = counts
                for tier, count in _added(before, counts, fresh=instance.ordered_at >= self._since).items():
                    starts[tier] = starts.get(tier, 0) + count
        return starts, _Who(do, do_not)

    def forget_all_but(self, instances: Sequence[Instance]) -> None:
        """Forget the machines that are gone."""
        if len(self._heard) > len(instances):
            known = {instance.id for instance in instances}
            self._heard = {name: counts for name, counts in self._heard.items() if name in known}


def _added(before: Counts | None, counts: Counts, *, fresh: bool) -> Counts:
    if before is None:
        return counts if fresh else {}
    if any(counts.get(tier, 0) < count for tier, count in before.items()):
        return counts
    return {tier: count - before.get(tier, 0) for tier, count in counts.items() if count > before.get(tier, 0)}
