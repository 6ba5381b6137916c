"""Made-up traffic: repeatable, in bursts, shared between tiers."""

from __future__ import annotations

import statistics
from collections import Counter
from itertools import islice, takewhile

import pytest

from autoscaler.runtime.entropy import seeded
from autoscaler.sim.traffic import Arrival, Traffic, arrivals

TRAFFIC = Traffic(
    quiet_per_h=20.0, burst_per_h=600.0, period_s=3600.0, shares={"pro": 1.0, "free": 3.0}, service_s=40.0
)


def first(count: int, seed: int = 1) -> list[Arrival]:
    return list(islice(arrivals(TRAFFIC, seeded(seed)), count))


def test_the_same_seed_gives_the_same_jobs_and_another_seed_others() -> None:
    assert first(500) == first(500)
    assert first(500) != first(500, seed=2)


def test_jobs_come_in_order_of_time_and_take_some_time() -> None:
    jobs = first(2000)
    assert [job.t_s for job in jobs] == sorted(job.t_s for job in jobs)
    assert min(job.service_s for job in jobs) > 0.0


def test_the_rate_rises_from_quiet_to_the_burst_and_falls_back() -> None:
    assert TRAFFIC.per_h(0.0) == pytest.approx(20.0)
    assert TRAFFIC.per_h(1800.0) == pytest.approx(600.0)
    assert TRAFFIC.per_h(3600.0) == pytest.approx(20.0)


def test_jobs_arrive_at_the_rate_of_their_moment() -> None:
    hours = 40
    jobs = list(takewhile(lambda job: job.t_s < hours * 3600.0, arrivals(TRAFFIC, seeded(1))))
    by_minute = Counter(int(job.t_s // 600) % 6 for job in jobs)
    for tenth in range(6):
        expected = sum(TRAFFIC.per_h(tenth * 600.0 + second) for second in range(600)) / 3600.0 * hours
        assert by_minute[tenth] == pytest.approx(expected, rel=0.1, abs=3 * expected**0.5)


def test_tiers_have_their_shares_and_service_times_their_median() -> None:
    jobs = first(8000)
    assert sum(job.tier == "free" for job in jobs) / len(jobs) == pytest.approx(0.75, abs=0.02)
    assert statistics.median(job.service_s for job in jobs) == pytest.approx(40.0, rel=0.05)
