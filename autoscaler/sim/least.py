"""The lower bounds of a simulation: what its jobs could have cost at least in its own world."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from autoscaler.core.spec import Pool
from autoscaler.sim.books import Books
from autoscaler.sim.bounds import (
    DayBound,
    Jobs,
    Promise,
    Terms,
    price_days,
    pure_work_usd,
    solve_day,
    zero_wait_usd,
)
from autoscaler.sim.scenario import PoolScenario, Scenario
from providers.mock import MockProvider, disk_usd_per_hour, least_usd_per_hour


def terms_of(scenario: Scenario, pool: Pool) -> Terms | None:
    """The best terms that a pool's world ever offers; None where it offers nothing at all.

    Each is the best of all placements by itself: the shortest set-up, the shortest resume, the lowest price.
    """
    offered = []
    for placement in pool.placements:
        settings = scenario.providers[placement.provider]
        price = least_usd_per_hour(settings, scenario.market, placement, pool.machine)
        if price is not None:
            offered.append((settings, price))
    if not offered:
        return None
    return Terms(
        slots=pool.machine.slots,
        setup_s=min(settings.setup.low for settings, _ in offered),
        resume_s=min(settings.resume.low for settings, _ in offered),
        usd_per_hour=min(price for _, price in offered),
        disk_usd_per_hour=min(disk_usd_per_hour(settings, pool.machine.disk_gb) for settings, _ in offered),
        can_stop=MockProvider.capabilities.can_stop,
        hot=pool.limits.hot,
        warm=pool.limits.warm,
    )


def closed_forms(scenario: Scenario, books: Books) -> Mapping[str, float]:
    """The bounds that need no solver, in USD, all pools together."""
    pure = zero_wait = 0.0
    for name, pool in books.pools.items():
        terms = terms_of(scenario, pool)
        if terms is not None:
            log = books.jobs[name]
            jobs = Jobs(arrived_s=log.arrived_s, service_s=log.service_s, tier=log.tier)
            pure += pure_work_usd(jobs, terms)
            zero_wait += zero_wait_usd(jobs, terms, horizon_s=books.until_s)
    return {"pure_work_usd": pure, "zero_wait_usd": zero_wait}


@dataclass(frozen=True, kw_only=True, slots=True)
class Least:
    """The least that anyone could have paid."""

    usd: float
    """Infinite when nobody could have served so well."""
    gap: float
    """By which share it might be higher, had the search gone on."""


def least_cost(
    scenario: Scenario,
    *,
    attainment: float,
    horizon_s: float,
    processes: int,
    done: Callable[[float], None],
    standing: Mapping[str, int] | None = None,
) -> Least:
    """What it costs at least to start this share of each tier's jobs in time, known all jobs beforehand.

    All jobs are served and the floors of HOT kept until `horizon_s`. `standing` is how many machines each pool had at
    the beginning; none when absent. `done` is told how much of 1 is done.

    Raises:
        SettingsError: numpy and scipy are not installed, or a trace is faulty.
    """
    plans, saved_usd = [], 0.0
    for place, each in enumerate(scenario.pools):
        terms, jobs = terms_of(scenario, each.pool), _jobs(each, scenario.seed + place)
        if terms is None and len(jobs):
            return Least(usd=math.inf, gap=0.0)
        if terms is not None:
            promises = [Promise(wait_target_s=t.wait_target, late_share=1.0 - attainment) for t in each.pool.tiers]
            plans.append(price_days(jobs, terms, promises, horizon_s=horizon_s))
            saved_usd += (standing or {}).get(each.pool.name, 0) * terms.setup_usd
    days = [day for plan in plans for day in plan.days]
    solved: list[DayBound] = []
    with ProcessPoolExecutor(max_workers=processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for bound in pool.map(solve_day, days):
            solved.append(bound)
            done(len(solved) / len(days))
    left = iter(solved)
    bounds = [plan.total([next(left) for _ in plan.days]) for plan in plans]
    usd = math.fsum(bound.usd for bound in bounds) - saved_usd
    most_usd = math.fsum(bound.usd / (1.0 - bound.gap) for bound in bounds) - saved_usd
    return Least(usd=usd, gap=1.0 - usd / most_usd if usd < most_usd else 0.0)


def _jobs(each: PoolScenario, seed: int) -> Jobs:
    jobs = list(each.jobs(seed))
    return Jobs(
        arrived_s=[job.arrived_s for job in jobs],
        service_s=[job.service_s for job in jobs],
        tier=[job.tier for job in jobs],
    )
