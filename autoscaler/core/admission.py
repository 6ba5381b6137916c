"""Who is let in: whether a tier takes new jobs, by how long one that comes now would wait.

A tier is refused once the wait exceeds its `refuse_above`, and taken again once the wait has stayed below 80 % of that
for half a minute, by time stamps. So a wait that stays where it is never changes the answer twice. Worked example: with
the strategy's 60 s, a tier whose wait rises to 61 s is refused; at 55 s it stays so; at 47 s it is taken again 30 s
later, unless the wait rises to 48 s before.

The wait is the expected one (`core/waits.py`), and no less than the next job in line has waited already: an estimate
may be wrong. In doubt a tier is open:

* the queue cannot be read;
* the daemon has led for less than a minute: its picture of the fleet may not be whole (what was refused before a
  restart stays refused);
* nothing waits and nothing is HOT or on its way: the job is what a machine would be started for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from autoscaler.core import reserve
from autoscaler.core.demand import Unknown
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Tier
from autoscaler.core.units import format_duration
from autoscaler.core.waits import expected_waits

LOW_SHARE = 0.8
"""Of `refuse_above`: below this the wait is low."""
CALM_S = 30.0
"""How long the wait must stay low before a tier is taken again."""
FRESH_S = 60.0
"""A daemon that has led for less refuses no tier that was not refused before."""
LONGEST_RETRY_S = 900
"""Nobody is told to come back later than that: the fleet may have grown by then."""
_RETRY_STEP_S = 5
_NOTICE_S = 60.0  # something is written at least this often, and what is published goes with it;
_NOTICES_LOST = 3.0  # after so many times that, the daemon is taken for dead
_NEWS_S = 10.0  # waits that change are published anew this often
_NEWS_SHARE = 0.1  # … if they change by more than this,
_NEWS_LEAST_S = 1.0  # and by more than that

Refused = Mapping[str, float | None]
"""The tiers that are refused: since when (epoch seconds) the wait of each is low; None while it is not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """Whether one tier of a pool takes new jobs."""

    pool: str
    tier: str
    expected_wait_s: float | None = None
    """What a job that comes now is expected to wait; infinite where no machine is HOT or on its way, None where it is
    unknown."""
    accept: bool = True
    why: str = ""
    """In words for people."""
    retry_after_s: int | None = None
    """Of a tier that is refused: when to try again."""
    message: str = ""
    """Of a tier that is refused: what to tell."""
    calm_since: float | None = None
    """Of a tier that is refused: since when (epoch seconds) the wait is low."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """What is published of all tiers, for whoever accepts jobs."""

    at: float
    """Epoch seconds."""
    valid_for_s: float
    """After that the daemon may be dead: who reads it then lets everybody in."""
    tiers: tuple[Admission, ...] = ()

    def misleads(self, latest: Notice) -> bool:
        """Whether it lets in who is refused by now, or refuses who is let in."""
        return _refused(self.tiers) != _refused(latest.tiers)

    def is_old(self, latest: Notice) -> bool:
        """Whether it is some time ago and waits have changed much since."""
        if 0.0 <= latest.at - self.at < _NEWS_S:
            return False
        told = {(each.pool, each.tier): each.expected_wait_s for each in self.tiers}
        return any(_is_news(told.get((each.pool, each.tier)), each.expected_wait_s) for each in latest.tiers)


def _refused(tiers: Iterable[Admission]) -> set[tuple[str, str]]:
    return {(each.pool, each.tier) for each in tiers if not each.accept}


def notice(tiers: Iterable[Admission], now: float, tick_s: float) -> Notice:
    """What is to be published in a tick."""
    return Notice(at=now, valid_for_s=_NOTICES_LOST * max(_NOTICE_S, tick_s), tiers=tuple(tiers))


NO_NOTICE = Notice(at=-math.inf, valid_for_s=0.0)


def _is_news(told: float | None, wait_s: float | None) -> bool:
    if told is None or wait_s is None or math.isinf(told) or math.isinf(wait_s):
        return told != wait_s
    return abs(wait_s - told) > max(_NEWS_LEAST_S, _NEWS_SHARE * told)


def admit(snapshot: PoolSnapshot, refused: Refused, now: float) -> tuple[Admission, ...]:
    """Whether each tier of a pool takes new jobs; `refused` is what `refused_by` gave on the last tick."""
    waits = _waits(snapshot, now)
    return tuple(_admit(snapshot, tier, waits.get(tier.name), refused, now) for tier in snapshot.pool.tiers)


def refused_by(tiers: Iterable[Admission]) -> dict[str, float | None]:
    """What must be remembered of one tick to the next."""
    return {each.tier: each.calm_since for each in tiers if not each.accept}


def _waits(snapshot: PoolSnapshot, now: float) -> dict[str, float]:
    """Seconds that a job which comes now will wait, by tier; nothing where the queue is unknown.

    A tier counts on no machine that is set apart for a more urgent one.
    """
    waits = _on_all(snapshot, now)
    tiers = [tier.name for tier in snapshot.pool.tiers]
    for place, tier in enumerate(snapshot.pool.tiers, start=1):
        if tier.reserve:
            fewer = _on_all(reserve.without(snapshot, tiers[:place]), now)
            waits |= {name: wait_s for name, wait_s in fewer.items() if name in tiers[place:]}
    return waits


def _on_all(snapshot: PoolSnapshot, now: float) -> dict[str, float]:
    if isinstance(snapshot.demand, Unknown):
        return {}
    expected = expected_waits(snapshot, snapshot.demand, now)
    return {tier.tier: max(expected[tier.tier], tier.oldest_wait_s or 0.0) for tier in snapshot.demand.tiers}


def _admit(snapshot: PoolSnapshot, tier: Tier, wait_s: float | None, refused: Refused, now: float) -> Admission:
    name, limit_s = tier.name, tier.refuse_above
    opened = Admission(pool=snapshot.pool.name, tier=name, expected_wait_s=wait_s, why=_would_wait(wait_s))
    if limit_s is None:
        return opened
    doubt = _doubt(snapshot, wait_s, was_refused=name in refused)
    if wait_s is None or doubt:
        return replace(opened, why=doubt)
    if wait_s <= limit_s and name not in refused:
        return opened
    low_s = limit_s * LOW_SHARE
    calm_since, calm_s = None, 0.0
    if wait_s < low_s:
        # Never later than now: a clock that was set back must not put the end of the refusal off.
        calm_since = min(now, refused.get(name) or now)
        calm_s = now - calm_since
    if calm_s >= CALM_S:
        return opened
    return replace(
        opened,
        accept=False,
        why=f"{opened.why}; open again {format_duration(CALM_S)} after that is below {format_duration(low_s)}",
        retry_after_s=_retry_after_s(max(0.0, wait_s - low_s) + CALM_S - calm_s),
        message=tier.refuse_message,
        calm_since=calm_since,
    )


def _doubt(snapshot: PoolSnapshot, wait_s: float | None, *, was_refused: bool) -> str:
    """Why a tier is open whatever its wait; empty where it is not."""
    if isinstance(snapshot.demand, Unknown):
        return f"open in doubt: the queue cannot be read ({snapshot.demand.reason})"
    if wait_s == math.inf and not snapshot.demand.waiting:
        return "nothing waits and no machine is HOT or on its way: the next job is what one is started for"
    if snapshot.running_for_s < FRESH_S and not was_refused:
        return f"open in doubt: the daemon took the lead {format_duration(snapshot.running_for_s)} ago"
    return ""


def _would_wait(wait_s: float | None) -> str:
    if wait_s is None:
        return "what a job would wait is unknown"
    if math.isinf(wait_s):
        return "no machine is HOT or on its way"
    return f"a job that comes now would wait {format_duration(wait_s)}"


def _retry_after_s(left_s: float) -> int:
    """Seconds until a tier may be open again, rounded up; work in hand brings a wait down by a second each second."""
    if left_s >= LONGEST_RETRY_S:
        return LONGEST_RETRY_S
    return max(1, math.ceil(left_s / _RETRY_STEP_S) * _RETRY_STEP_S)
