"""The figures of a simulation."""

from __future__ import annotations

import math

import pytest

from autoscaler.core.spec import Tier
from autoscaler.sim.books import Books, JobLog, PhaseRow
from autoscaler.sim.summary import Summary, summarize
from tests.support.build import NOW, pool


def a_log(*waits_s: float) -> JobLog:
    """Jobs of one tier that came at second 100 and were done ten seconds after their start; NaN for never."""
    log = JobLog(("pro",))
    log.machines.append("aa")
    for wait_s in waits_s:
        number = log.arrive(100.0, 0, 10.0)
        if not math.isnan(wait_s):
            log.start(number, 100.0 + wait_s, 0)
            log.finish(number, 110.0 + wait_s)
    return log


def summary(*waits_s: float, phases: tuple[PhaseRow, ...] = ()) -> Summary:
    images = pool(tiers=(Tier(name="pro", wait_target=30.0),))
    return summarize(
        Books(
            pools={"images": images},
            jobs={"images": a_log(*waits_s)},
            phases=list(phases),
            until_s=7200.0,
            epoch=NOW,
            interrupted=3,
            killed=2,
            failed_ticks=["a reason"],
        )
    )


def test_a_job_is_in_time_up_to_its_target_and_one_that_never_started_is_not() -> None:
    tier = summary(0.0, 30.0, 30.001, math.nan).tiers["images"]["pro"]
    assert (tier.jobs, tier.served, tier.attainment) == (4, 3, 0.5)


def test_waits_are_those_of_the_jobs_that_were_started_by_nearest_rank() -> None:
    tier = summary(*(float(n) for n in range(1, 101)), math.nan).tiers["images"]["pro"]
    assert (tier.wait_p50_s, tier.wait_p95_s, tier.wait_p99_s, tier.wait_max_s) == (50.0, 95.0, 99.0, 100.0)
    assert tier.wait_mean_s == 50.5


def test_a_tier_without_jobs_has_no_attainment_and_no_waits() -> None:
    tier = summary().tiers["images"]["pro"]
    assert (tier.attainment, tier.wait_mean_s, tier.wait_p50_s, tier.wait_max_s) == (None, None, None, None)
    assert summary().attainment == 1.0


def test_money_and_hours_are_summed_by_phase_and_placement() -> None:
    found = summary(
        phases=(
            PhaseRow("aa", "mock", "spot", "hot", 0.0, 1800.0, 0.4),
            PhaseRow("aa", "mock", "spot", "warm", 1800.0, 5400.0, 0.01),
            PhaseRow("bb", "mock", "dear", "hot", 0.0, 3600.0, 0.8),
        )
    )
    assert found.usd == pytest.approx(0.2 + 0.01 + 0.8)
    assert found.usd_by_phase == pytest.approx({"hot": 1.0, "warm": 0.01})
    assert found.usd_by_placement == pytest.approx({"dear": 0.8, "spot": 0.21})
    assert found.hours_by_phase == pytest.approx({"hot": 1.5, "warm": 1.0})


def test_what_went_wrong_is_counted_apart() -> None:
    found = summary(0.0, math.nan, math.nan)
    assert (found.interrupted_jobs, found.killed_jobs, found.unserved_jobs, found.failed_ticks) == (3, 2, 2, 1)
