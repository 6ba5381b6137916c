"""One day as a mixed-integer programme.

Each step is a relaxation: whatever an autoscaler does has its place in the programme at no higher cost.

Time
    - The day is cut at multiples of the bucket next to which work comes or falls due. Conditions hold at the cuts;
      within the segment between two cuts anything goes.

Machines
    - HOT machines are whole at each cut. Those that come or go within a segment are paid for any part of it.
    - WARM machines, and how many come and go, need not be whole.
    - Set-ups and resumes are charged as sums of their least length; what takes longer counts as HOT time, from earlier.
    - They take no time: a machine that is resumed is paid as WARM until it is HOT, and the sum adds the rest.
    - The ceilings count HOT and WARM machines alone, and not those on their way.
    - Stopping and releasing take no time and cost nothing.

Jobs
    - Work is a fluid: jobs may be split, interrupted and moved, `slots` at a time on each machine.
    - At each cut, a job in time is done at least as far as if it had started as late as its target allows, and at most
      as far as if it had started at once.
    - There is a HOT machine at some moment at which it may start.
    - A job may be late in part.
    - When a late job is served is left open, and so is what of a job reaches past the day's end; as work, it must be
      done on one day or another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoscaler.sim.bounds.day import Day
from autoscaler.sim.bounds.linear import Draft, Floats, Places
from autoscaler.sim.bounds.terms import HOUR_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Ties:
    """The columns by which a day is tied to others."""

    late: tuple[Places, ...]
    """How much of each job is late, by tier."""
    left_over: Places
    """Seconds of one slot's work that other days must do, or, if negative, that are done for them."""
    hot: Places
    """HOT machines at the start and at the end."""
    warm: Places
    """WARM machines at the start and at the end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fleet:
    """The columns of the machines that the jobs need to know of."""

    hot: Places
    """HOT machines at each cut."""
    warm: Places
    """WARM machines at each cut."""
    paid_s: Places
    """Seconds of HOT machines in each segment."""
    setups: Places
    """Machines that become HOT by a set-up in each segment."""
    resumes: Places
    """Machines that become HOT by a resume in each segment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Work:
    """The day's jobs as arrays, in the order in which they come."""

    arrived: Floats
    due: Floats
    """When each must start at the latest to be in time."""
    service: Floats
    tier: Places
    late: Places
    """The column that says how much of each job is late."""


def draft_day(draft: Draft, day: Day) -> Ties:
    """Draft a day's programme, shared things at no price."""
    arrived, tier = np.asarray(day.jobs.arrived_s, dtype=np.float64), np.asarray(day.jobs.tier, dtype=np.intp)
    due = arrived + np.asarray(day.targets_s, dtype=np.float64)[tier]
    service, late = np.asarray(day.jobs.service_s, dtype=np.float64), draft.columns(len(arrived), high=1.0)
    work = _Work(arrived=arrived, due=due, service=service, tier=tier, late=late)
    cuts = _cuts(day, work)
    fleet = _draft_fleet(draft, day, cuts)
    _draft_service(draft, day, cuts, work, fleet)
    if day.terms.hot.low == 0:  # else it holds anyway
        _draft_starts(draft, cuts, work, fleet)
    left_over = draft.columns(1, low=-np.inf, high=0.0 if day.alone else np.inf)
    all_work = draft.rows(1, low=service.sum())
    draft.put(all_work, fleet.paid_s, day.terms.slots)
    draft.put(all_work, left_over, 1.0)
    by_tier = tuple(late[tier == place] for place in range(len(day.targets_s)))
    for columns, most in zip(by_tier, day.late_most, strict=True):
        draft.put(draft.rows(1, high=most), columns, 1.0)
    return Ties(late=by_tier, left_over=left_over, hot=fleet.hot[[0, -1]], warm=fleet.warm[[0, -1]])


def charge_prices(draft: Draft, ties: Ties, day: Day) -> None:
    """Let a drafted day pay for what it shares."""
    for columns, usd in zip(ties.late, day.prices.late, strict=True):
        draft.charge(columns, usd)
    draft.charge(ties.left_over, day.prices.left_over)
    for at in (0, 1):
        draft.charge(ties.hot[at : at + 1], day.prices.hot[at])
        draft.charge(ties.warm[at : at + 1], day.prices.warm[at])


def _cuts(day: Day, work: _Work) -> Floats:
    """The multiples of the bucket next to which work may come or fall due, or a floor begins."""
    count = max(1, math.ceil((day.end_s - day.start_s) / day.bucket_s))
    busy = np.zeros(count + 1)
    hot_from_s, all_from_s = _floors_from_s(day)
    since = np.concatenate([work.arrived, work.due, [hot_from_s, all_from_s]])
    until = since + np.concatenate([work.service, work.service, [0.0, 0.0]])
    np.add.at(busy, _bucket(since, day, count), 1)
    np.add.at(busy, np.minimum(_bucket(until, day, count) + 1, count), -1)
    is_busy = np.cumsum(busy[:-1]) > 0
    is_cut = np.concatenate([[True], is_busy[:-1] | is_busy[1:], [True]])
    cuts: Floats = np.minimum(day.start_s + day.bucket_s * np.flatnonzero(is_cut), day.end_s)
    return cuts


def _bucket(moments: Floats, day: Day, count: int) -> Places:
    buckets: Places = np.clip((moments - day.start_s) // day.bucket_s, 0, count - 1).astype(np.intp)
    return buckets


def _floors_from_s(day: Day) -> tuple[float, float]:
    """When at the latest the floor of HOT holds, and when that of all machines: a standby is set up after another."""
    one_s = day.terms.setup_s + day.bucket_s
    return one_s, one_s * (1 + day.terms.warm.low)


def _draft_fleet(draft: Draft, day: Day, cuts: Floats) -> _Fleet:
    terms, lasts_s = day.terms, np.diff(cuts)
    count = len(lasts_s)
    keep = terms.warm.high if terms.can_stop else 0
    hot_from_s, all_from_s = _floors_from_s(day)
    least_hot = terms.hot.low * (cuts >= hot_from_s)
    least = min(terms.hot.high, terms.hot.low + min(terms.warm.low, keep)) * (cuts >= all_from_s)
    at_first = day.start_s > 0 or cuts > 0  # whether there may be a machine at a cut: the horizon begins without any

    hot = draft.columns(len(cuts), low=least_hot, high=terms.hot.high * at_first, whole=True)
    warm = draft.columns(len(cuts), high=keep * at_first)
    paid_s = draft.columns(
        count, usd=terms.usd_per_hour / HOUR_S, low=lasts_s * least_hot[:-1], high=lasts_s * terms.hot.high
    )
    kept_s = draft.columns(count, usd=terms.disk_usd_per_hour / HOUR_S)
    setups, resumes = draft.columns(count, usd=terms.setup_usd), draft.columns(count, usd=terms.resume_usd)
    stops, releases, drops = (
        draft.columns(count, high=np.inf if keep else 0.0),
        draft.columns(count),
        draft.columns(count),
    )

    _flow(draft, hot, comes=(setups, resumes), goes=(stops, releases))
    _flow(draft, warm, comes=(stops,), goes=(resumes, drops))
    at_cuts = draft.rows(len(cuts), low=least)
    draft.put(at_cuts, hot, 1.0)
    draft.put(at_cuts, warm, 1.0)

    stay = draft.rows(count, low=0.0)  # what neither stops nor is released is paid for the whole segment
    draft.put(stay, paid_s, 1.0)
    draft.put(stay, hot[:-1], -lasts_s)
    for going in (stops, releases):
        draft.put(stay, going, lasts_s)
    come = draft.rows(count, high=0.0)  # nothing is HOT that was not, and did not come
    draft.put(come, paid_s, 1.0)
    for there in (hot[:-1], setups, resumes):
        draft.put(come, there, -lasts_s)
    for used in (paid_s, resumes):  # only what is owned can be HOT, and one resume of each in a segment is enough
        owned = draft.rows(count, high=0.0)
        draft.put(owned, used, 1.0 / lasts_s if used is paid_s else 1.0)
        for there in (hot[:-1], warm[:-1], setups):
            draft.put(owned, there, -1.0)
    own = draft.rows(count, low=0.0)  # what is not given back is paid as HOT or as WARM
    draft.put(own, paid_s, 1.0)
    draft.put(own, kept_s, 1.0)
    for there in (hot[:-1], warm[:-1]):
        draft.put(own, there, -lasts_s)
    for going in (releases, drops):
        draft.put(own, going, lasts_s)
    floor = draft.rows(count, low=lasts_s * least[:-1])
    draft.put(floor, paid_s, 1.0)
    draft.put(floor, kept_s, 1.0)
    return _Fleet(hot=hot, warm=warm, paid_s=paid_s, setups=setups, resumes=resumes)


def _flow(draft: Draft, stock: Places, *, comes: tuple[Places, ...], goes: tuple[Places, ...]) -> None:
    """What is there at the next cut was there at the last one, or came, and did not go."""
    rows = draft.rows(len(stock) - 1, low=0.0, high=0.0)
    draft.put(rows, stock[1:], 1.0)
    draft.put(rows, stock[:-1], -1.0)
    for columns in comes:
        draft.put(rows, columns, -1.0)
    for columns in goes:
        draft.put(rows, columns, 1.0)


def _draft_service(draft: Draft, day: Day, cuts: Floats, work: _Work, fleet: _Fleet) -> None:
    """No tier's jobs in time are served before they come or after they are due, and all share the slots.

    The unknown is `ahead`: by how much a tier's jobs in time are served beyond what is due, at each cut.
    """
    first = np.searchsorted(cuts, work.arrived, "right") - 1
    last = np.searchsorted(cuts, np.minimum(work.due + work.service, day.end_s), "left")
    spans = last - first + 1
    job = np.repeat(np.arange(len(spans)), spans)  # with `cut`, one entry for each cut at which a job matters
    cut = np.arange(len(job)) - np.repeat(np.cumsum(spans) - spans - first, spans)
    due_s = np.clip(cuts[cut] - work.due[job], 0.0, work.service[job])
    open_s = np.clip(cuts[cut] - work.arrived[job], 0.0, work.service[job]) - due_s
    falls_due_s = np.where(cut > first[job], np.diff(due_s, prepend=0.0), 0.0)

    def sums(values: Floats, chosen: NDArray[np.bool_]) -> Floats:
        return np.bincount(cut[chosen], values[chosen], minlength=len(cuts)).astype(np.float64)

    capacity = draft.rows(len(cuts) - 1, high=-sums(falls_due_s, cut >= 0)[1:])
    draft.put(capacity, fleet.paid_s, -day.terms.slots)
    for place in range(len(day.targets_s)):
        own = work.tier[job] == place
        waits, falls = own & (open_s > 0), own & (falls_due_s > 0)
        ahead = draft.columns(len(cuts))
        open_rows = draft.rows(len(cuts), high=sums(open_s, waits))
        draft.put(open_rows, ahead, 1.0)
        draft.put(open_rows[cut[waits]], work.late[job[waits]], open_s[waits])
        served = draft.rows(len(cuts) - 1, low=-sums(falls_due_s, falls)[1:])
        for rows in (served, capacity):
            draft.put(rows, ahead[1:], 1.0)
            draft.put(rows, ahead[:-1], -1.0)
            draft.put(rows[cut[falls] - 1], work.late[job[falls]], -falls_due_s[falls])


def _draft_starts(draft: Draft, cuts: Floats, work: _Work, fleet: _Fleet) -> None:
    """Each job in time that must start on this day finds a machine that is HOT, or comes while it may start."""
    [job] = np.nonzero(work.due < cuts[-1])
    first = np.searchsorted(cuts, work.arrived[job], "right") - 1
    spans = np.searchsorted(cuts, work.due[job], "right") - first
    segment = np.arange(spans.sum()) - np.repeat(np.cumsum(spans) - spans - first, spans)
    hot, owned = draft.rows(len(job), low=1.0), draft.rows(len(job), low=1.0)
    for rows in (hot, owned):
        draft.put(rows, work.late[job], 1.0)
        draft.put(rows, fleet.hot[first], 1.0)
        draft.put(np.repeat(rows, spans), fleet.setups[segment], 1.0)
    draft.put(np.repeat(hot, spans), fleet.resumes[segment], 1.0)
    draft.put(owned, fleet.warm[first], 1.0)
