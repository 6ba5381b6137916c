"""The bounds that are formulas."""

from __future__ import annotations

import math
from collections.abc import Iterator

from autoscaler.sim.bounds.terms import HOUR_S, Jobs, Terms

_END, _MOMENT, _MOMENT_OVER, _START = range(4)
"""The order of what happens at the same time: a job may take the slot that another one leaves, and those that take no
time at all share one."""


def pure_work_usd(jobs: Jobs, terms: Terms) -> float:
    """What the work alone costs: USD for machines that come at once, go at once and never have an idle slot."""
    return math.fsum(jobs.service_s) / terms.slots * terms.usd_per_hour / HOUR_S


def zero_wait_usd(jobs: Jobs, terms: Terms, *, horizon_s: float) -> float:
    """What it costs at least, in USD, if no job waits and all machines are gone after `horizon_s`.

    The fleet falls apart into levels (Lu and Chen, arXiv 1112.0442): with jobs routed to the machine that was busy
    last, the k-th is used exactly while there is work for k machines, and each of its idle gaps is bridged in the
    cheapest way, independently of all others. Level k also pays for its first set-up. The floor of HOT counts as work
    from the end of a first set-up on.

    The optimum with one slot; with more, the jobs in progress count as if they moved together at any time, so then it
    is a lower bound. The ceilings of HOT and WARM and the floor of WARM are left out.
    """
    paid_s, bridges_usd = 0.0, 0.0
    idle_since: list[float] = []
    needed, since = 0, 0.0
    for at, next_needed in _needed(jobs, terms, horizon_s):
        paid_s += needed * (at - since)
        for level in range(needed, next_needed):
            if level < len(idle_since):
                bridges_usd += _bridge_usd(at - idle_since[level], terms)
            else:
                idle_since.append(at)
                bridges_usd += terms.setup_usd
        for level in range(next_needed, needed):
            idle_since[level] = at
        needed, since = next_needed, at
    return paid_s * terms.usd_per_hour / HOUR_S + bridges_usd


def _needed(jobs: Jobs, terms: Terms, horizon_s: float) -> Iterator[tuple[float, int]]:
    """When how many machines are needed from then on, in order of time; none any more at the horizon."""
    floor_from_s = min(terms.setup_s, horizon_s)
    changes = {(floor_from_s, _START, 0, 0)}
    for number, (arrived_s, service_s) in enumerate(zip(jobs.arrived_s, jobs.service_s, strict=True)):
        end_s = min(arrived_s + service_s, horizon_s)
        if end_s > arrived_s:
            changes |= {(arrived_s, _START, number, 1), (end_s, _END, number, -1)}
        else:
            changes |= {(arrived_s, _MOMENT, 0, 1), (arrived_s, _MOMENT_OVER, 0, -1)}
    busy = 0
    for at, _, _, change in sorted(changes):
        busy += change
        yield at, max(terms.hot.low if at >= floor_from_s else 0, math.ceil(busy / terms.slots))
    yield horizon_s, 0


def _bridge_usd(gap_s: float, terms: Terms) -> float:
    """The cheapest way over an idle gap: stay HOT, stop and resume, or release and set up again."""
    hot_usd = gap_s * terms.usd_per_hour / HOUR_S
    warm_usd = terms.resume_usd + gap_s * terms.disk_usd_per_hour / HOUR_S if terms.can_stop else math.inf
    return min(hot_usd, warm_usd, terms.setup_usd)


def regret(cost_usd: float, bound_usd: float) -> float:
    """How many times as much was paid as had to be; 1 if neither was anything."""
    if bound_usd == 0:
        return 1.0 if cost_usd == 0 else math.inf
    return cost_usd / bound_usd
