"""What the money allows: caps per hour, day and month, of a pool and of the whole fleet.

What the floor of `hot` and the disks of stopped machines will cost to the end of the period is set aside first. Of the
rest, each machine above the floor must be affordable at the highest price it may have: for one more hour to be kept,
which is time enough to drain, and for two to be started, so that none is drained as it comes up. Worked example: 30 USD
a day, 18 spent, 8 h left, floor of one at 0.80: 30 - 18 - 6.40 = 5.60 USD are free, so that seven machines at 0.80 may
stay above the floor, but only three be there if they are still to be started. A cap per hour is the same with a period
of one hour of which nothing is spent: the prices of all that bills at the same time stay below it.

Near a cap this is given up, in this order and never below the floor:

1. above `warn`, buffers: machines that no tier needs, and standbys that would have to be made first;
2. between `warn` and `stop`, the tiers' machines, the least urgent tier's first: of k tiers the n-th is given up at n/k
   of the way back from `stop` to `warn`. With 20 and 30 USD and the tiers pro and free: free above 25, pro at 30.

What can be paid to the end of the period is not given up. Of a cap on the whole fleet, pools that are listed first are
served first: what earlier ones have, or start in the same tick, is set aside; later ones keep what they have as long as
no earlier one needs it to keep its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from autoscaler.core.decision import Decision
from autoscaler.core.lifecycle import Phase
from autoscaler.core.money import Burn, FleetMoney, burn, prices
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap

_KEEP_H = 1.0
_START_H = 2.0
_DUST_USD = 1e-9  # sums of prices are not exact
_HOUR = "an hour"


def budget(decision: Decision, snapshot: PoolSnapshot) -> Decision:
    """Never more machines above the floor than each cap allows."""
    claim = _claim(snapshot)
    for account in _accounts(snapshot, claim.burn):
        decision = _within(_warned(decision, account), snapshot, account, claim)
    return decision


@dataclass(frozen=True, kw_only=True, slots=True)
class _Claim:
    """What a pool's machines may cost."""

    floor: int
    up: int
    totals: Sequence[float]
    """USD per hour of so many machines; one more than the limits allow is the last."""
    burn: Burn


@dataclass(frozen=True, kw_only=True, slots=True)
class _Account:
    """One cap, and what others than this pool's machines take of it."""

    cap: Cap
    whole_fleet: bool
    period: str
    so_far_usd: float
    """What the period has cost; an hour: what all that bills now costs."""
    spent_usd: float
    """Of that, what is gone; an hour is always to come."""
    left_h: float
    keep_h: float
    """A machine is kept while it can be paid for so long: to the period's end at most."""
    start_h: float
    """One is started if it can be paid for so long, past the period's end, too: the next may have no money for it."""
    forecast_usd: float | None
    kept_usd: float
    """Set aside before a machine is kept."""
    start_usd: float
    """Set aside before one is started: machines on their way out as well, and what later pools have."""


def _claim(snapshot: PoolSnapshot) -> _Claim:
    pool, bounds = snapshot.pool, snapshot.pool.limits.hot
    count = max(bounds.high, snapshot.up) + 1
    totals = list(accumulate(prices(pool, snapshot.instances, (), count), initial=0.0))
    return _Claim(floor=bounds.low, up=snapshot.up, totals=totals, burn=burn(pool, snapshot.instances))


def _accounts(snapshot: PoolSnapshot, own: Burn) -> Iterator[_Account]:
    """All caps there are, the pool's before the fleet's."""
    alone = FleetMoney(
        spent_today_usd=snapshot.spent_today_usd,
        spent_month_usd=snapshot.spent_month_usd,
        forecast_usd=snapshot.forecast_usd,
    )
    for limits, money in ((snapshot.pool.limits, alone), (snapshot.fleet.limits, snapshot.fleet)):
        every = own + money.ahead + money.behind
        day_h, month_h = snapshot.day_left_s / 3600.0, snapshot.month_left_s / 3600.0
        for cap, period, so_far_usd, spent_usd, left_h in (
            (limits.usd_per_hour, _HOUR, every.usd_per_hour, 0.0, 1.0),
            (limits.usd_per_day, "spent today", money.spent_today_usd, money.spent_today_usd, day_h),
            (limits.usd_per_month, "spent this month", money.spent_month_usd, money.spent_month_usd, month_h),
        ):
            if cap is None:
                continue
            keep_h = min(_KEEP_H, left_h)
            kept_usd = every.lasting * left_h + money.ahead.passing * keep_h
            yield _Account(
                cap=cap,
                whole_fleet=money is snapshot.fleet,
                period=period,
                so_far_usd=so_far_usd,
                spent_usd=spent_usd,
                left_h=left_h,
                keep_h=keep_h,
                start_h=keep_h if period == _HOUR else _START_H,
                forecast_usd=money.forecast_usd,
                kept_usd=kept_usd,
                start_usd=kept_usd + (every.leaving + money.behind.passing) * keep_h,
            )


def _warned(decision: Decision, account: _Account) -> Decision:
    cap = account.cap
    if account.so_far_usd < cap.warn:
        return decision
    text = f"{account.so_far_usd:.2f} USD {account.period}, warning at {cap.warn:g}, stop at {cap.stop:g}"
    if account.forecast_usd is not None:
        text += f"; at the pace of the last 7 days the month will have cost {account.forecast_usd:.2f}"
    return decision.because("budget.warn", _of(account) + text)


def _of(account: _Account) -> str:
    return "the whole fleet: " if account.whole_fleet else ""


def _within(decision: Decision, snapshot: PoolSnapshot, account: _Account, claim: _Claim) -> Decision:
    """The decision within one cap."""
    classes = _classes(decision, account.cap)
    to_the_end = _affordable(account, claim, account.cap.stop, least_h=account.left_h)
    granted = claim.floor
    for _, wanted, limit_usd in classes:
        granted = max(granted, min(wanted, max(to_the_end, _affordable(account, claim, limit_usd))))
    decision = replace(decision, ceiling=min(decision.ceiling, _affordable(account, claim, account.cap.stop)))
    if decision.hot > granted:
        text = f"{_state(account, claim)}: {granted} of {decision.hot} machines are affordable"
        given_up = _given_up(classes, granted)
        if given_up:
            text += f"; given up: {', '.join(given_up)}"
        decision = decision.because("budget.stop", text, hot=granted)
    comfort = max(to_the_end, _affordable(account, claim, account.cap.warn))
    return decision if comfort > decision.hot else _without_standby(decision, snapshot, account, claim)


def _classes(decision: Decision, cap: Cap) -> list[tuple[str, int, float]]:
    """What machines are wanted for, most urgent first: name, machines up to here, and the USD above which it ends.

    Of a decision that does not tell its tiers' needs all is as urgent as it gets.
    """
    needs = decision.needs or (("", decision.hot),)
    step_usd = (cap.stop - cap.warn) / len(needs)
    classes = [
        (tier, min(count, decision.hot), cap.stop - place * step_usd) for place, (tier, count) in enumerate(needs)
    ]
    return [*classes, ("buffers", decision.hot, cap.warn)] if classes[-1][1] < decision.hot else classes


def _given_up(classes: Sequence[tuple[str, int, float]], granted: int) -> list[str]:
    """Those that lose machines of their own before the cap's end, the first to be given up first."""
    return [
        f"{name} (above {usd:.4g})"
        for (_, before, _), (name, wanted, usd) in reversed(list(pairwise(classes)))
        if wanted > max(before, granted)
    ]


def _affordable(account: _Account, claim: _Claim, limit_usd: float, *, least_h: float = 0.0) -> int:
    """Machines that so much money allows: those that are up as far as it keeps them, more as far as it starts them."""
    left_usd = limit_usd - account.spent_usd
    kept = _count(claim, left_usd - account.kept_usd, max(least_h, account.keep_h))
    started = _count(claim, left_usd - account.start_usd, max(least_h, account.start_h))
    return max(started, min(kept, claim.up))


def _count(claim: _Claim, free_usd: float, hours: float) -> int:
    """The most machines of which those above the floor can be paid for that long."""
    floor_total = claim.totals[claim.floor]
    dear = bisect_right(
        claim.totals, free_usd + _DUST_USD, lo=claim.floor, key=lambda total: (total - floor_total) * hours
    )
    return max(claim.floor, dear - 1)


def _state(account: _Account, claim: _Claim) -> str:
    """How an account stands, in words."""
    cap = account.cap
    if account.period == _HOUR:
        text = f"{cap.stop:g} USD an hour allowed"
    else:
        text = f"{account.so_far_usd:.2f} of {cap.stop:g} USD {account.period}"
    floor_usd = claim.totals[claim.floor] * account.left_h
    parts = [f"{floor_usd:.2f} set aside for the floor of {claim.floor}"] if claim.floor else []
    rest_usd = account.start_usd - floor_usd
    if rest_usd >= 0.005:
        others = "other pools, disks" if account.whole_fleet else "disks"
        parts.append(f"{rest_usd:.2f} for {others} and machines on their way out")
    return ", ".join([_of(account) + text, *parts])


def _without_standby(decision: Decision, snapshot: PoolSnapshot, account: _Account, claim: _Claim) -> Decision:
    """The decision without any standby that would have to be made, save for the least that limits ask for."""
    least = snapshot.pool.limits.warm.low
    if decision.standby <= least:
        return decision
    if len(snapshot.in_phase(Phase.WARM, Phase.STOPPING, Phase.DRAINING)) < decision.standby:
        text = f"{_state(account, claim)}: no standby is made above {account.cap.warn:g}"
        decision = decision.but_not("budget.standby", text)
    return replace(decision, standby=least)
