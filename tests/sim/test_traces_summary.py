"""What is said of a trace, against the same figures worked out the long way."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.sim.traces import TraceJob, read_trace
from autoscaler.sim.traces.summary import SERVICE_ACCURACY, Summary, summarize
from tests.support.traces import real_trace

times = st.lists(st.floats(0, 1e6), min_size=1, max_size=60).map(sorted)
service_times = st.lists(st.just(0.0) | st.floats(1e-3, 1e5), min_size=1, max_size=60)


def summary_of(*jobs: TraceJob) -> Summary:
    summary = summarize(jobs)
    assert summary is not None
    return summary


def at(*moments: float) -> list[TraceJob]:
    return [TraceJob(t_s, None, None, None) for t_s in moments]


def test_no_jobs_have_no_summary() -> None:
    assert summarize([]) is None


@given(times)
def test_the_busiest_minute_and_the_dispersion_are_those_of_the_counts(moments: list[float]) -> None:
    summary = summary_of(*at(*moments))
    counted = Counter(int(t_s // 60) for t_s in moments)
    counts = [counted[minute] for minute in range(int(moments[0] // 60), int(moments[-1] // 60) + 1)]
    assert summary.busiest_minute.value == max(counts)
    assert counted[int(summary.busiest_minute.at_s // 60)] == max(counts)
    assert summary.dispersion == pytest.approx(statistics.pvariance(counts) / statistics.mean(counts))


def test_the_dispersion_of_a_poisson_process_is_one_and_that_of_a_clock_zero() -> None:
    rng = random.Random(1)
    moments, t_s = [], 0.0
    while t_s < 86400 * 10:
        t_s += rng.expovariate(1 / 6)
        moments.append(t_s)
    assert summary_of(*at(*moments)).dispersion == pytest.approx(1.0, abs=0.05)
    assert summary_of(*at(*(float(t_s) for t_s in range(0, 86400, 6)))).dispersion == 0.0


@given(service_times)
def test_quantiles_are_those_by_nearest_rank_to_half_a_per_cent(service_s: list[float]) -> None:
    service = summary_of(*(TraceJob(0.0, None, each, None) for each in service_s)).service
    assert service is not None
    ranked = sorted(service_s)
    for fraction, found in ((0.5, service.p50), (0.95, service.p95), (0.99, service.p99)):
        exact = ranked[math.ceil(fraction * len(ranked)) - 1]
        assert found == pytest.approx(exact, rel=SERVICE_ACCURACY * 1.001, abs=0.0)
    assert service.mean == pytest.approx(statistics.mean(service_s))


def test_the_load_is_the_work_that_arrives_over_the_time_it_arrives_in() -> None:
    summary = summary_of(
        TraceJob(0.0, None, 1800.0, None), TraceJob(4000.0, None, 3600.0, None), TraceJob(7200.0, None, None, None)
    )
    assert summary.service is not None
    assert summary.service.jobs == 2
    assert summary.service.load == pytest.approx(5400 / 7200)
    assert (summary.service.busiest_hour.at_s, summary.service.busiest_hour.value) == (3600.0, 1.0)


def test_tiers_are_counted_the_most_frequent_first() -> None:
    tiers = summary_of(*(TraceJob(0.0, tier, None, None) for tier in ("free", "pro", "free", None))).tiers
    assert tiers is not None
    assert list(tiers.jobs.items()) == [("free", 2), ("pro", 1)]


def test_changes_of_model_are_counted_from_job_to_job() -> None:
    models = summary_of(*(TraceJob(0.0, None, None, model) for model in "aabba")).models
    assert models is not None
    assert models.changes == 2 / 4


def test_of_endless_names_only_the_first_ten_thousand_are_kept() -> None:
    tiers = summary_of(*(TraceJob(0.0, str(number), None, None) for number in range(12_000))).tiers
    assert tiers is not None
    assert (len(tiers.jobs), tiers.unlisted) == (10_000, 2_000)


@given(times)
def test_bars_hold_every_job_in_its_span(moments: list[float]) -> None:
    bars = summary_of(*at(*moments)).bars
    assert len(bars.jobs) <= 1024
    counted = Counter(int((t_s - bars.from_s) / bars.width_s) for t_s in moments)
    assert list(bars.jobs) == [counted[bar] for bar in range(len(bars.jobs))]
    assert sum(bars.jobs) == len(moments)


def test_a_real_trace_of_images() -> None:
    summary = summarize(read_trace(real_trace("gentd26_early.csv.gz")))
    assert summary is not None
    assert summary.service is not None
    assert summary.models is not None
    assert summary.jobs == 11_857
    assert summary.service.p50 == pytest.approx(22, rel=SERVICE_ACCURACY)
    assert summary.models.changes == pytest.approx(0.766, abs=0.001)
    assert summary.service.load == pytest.approx(0.291, abs=0.001)
