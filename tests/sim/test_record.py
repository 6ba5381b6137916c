"""A trace made of samples: which jobs it holds, and what it says of those it cannot know."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.errors import SettingsError
from autoscaler.core.samples import PoolSample, Sample, TierSample
from autoscaler.sim.record import record
from tests.support.build import NOW

MINUTE = 60.0


def minutes(*parts: PoolSample) -> list[Sample]:
    return [
        Sample(at=NOW + MINUTE * n, until=NOW + MINUTE * (n + 1), pools={"images": part})
        for n, part in enumerate(parts)
    ]


def a_minute(pro: int = 0, free: int = 0, *, started: int | None = None, **changes: Any) -> PoolSample:
    """One with so many arrivals, as many starts unless told otherwise, and work of 30 s for each of these."""
    started = pro + free if started is None else started
    tiers = {"pro": TierSample(pro, started, 0, None), "free": TierSample(free, 0, 0, None)}
    values: dict[str, Any] = {"tiers": tiers, "seen_s": MINUTE, "counted": True, "busy_s": 30.0 * started}
    return PoolSample(**(values | changes))


def test_the_jobs_of_a_minute_are_spread_evenly_over_it_and_times_count_from_the_first_sample() -> None:
    trace = record(minutes(a_minute(), a_minute(pro=3, free=1)), "images")
    assert [(job.t_s, job.tier) for job in trace.jobs] == [(70.0, "pro"), (90.0, "pro"), (90.0, "free"), (110.0, "pro")]


def test_the_service_time_is_that_of_the_jobs_around() -> None:
    slow = a_minute(pro=10, busy_s=10 * 90.0)
    trace = record(minutes(*[a_minute(pro=10)] * 10, *[slow] * 10), "images")
    service = [job.service_s for job in trace.jobs]
    assert (service[0], service[-1]) == (30.0, 90.0)
    assert sum(filter(None, service)) == pytest.approx(100 * 30.0 + 100 * 90.0, rel=0.02)
    assert trace.service_s == pytest.approx(60.0, rel=0.02)


def test_a_long_job_is_worth_its_work_in_the_minutes_in_which_no_other_started() -> None:
    working = a_minute(busy_s=MINUTE)
    trace = record(minutes(a_minute(pro=1, busy_s=MINUTE), working, working, working), "images")
    assert [job.service_s for job in trace.jobs] == [4 * MINUTE]


@given(
    counted=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=50),
    busy_s=st.floats(0.0, 500.0),
)
def test_what_was_counted_is_in_the_trace_and_nothing_else(counted: list[tuple[int, int]], busy_s: float) -> None:
    parts = [a_minute(pro, free, busy_s=busy_s) for pro, free in counted]
    trace = record(minutes(*parts), "images")
    assert Counter(job.tier for job in trace.jobs) == +Counter(
        pro=sum(pro for pro, _ in counted), free=sum(free for _, free in counted)
    )
    assert trace.inferred == 0
    assert all(0.0 < job.t_s < MINUTE * len(counted) for job in trace.jobs)
    assert [job.t_s for job in trace.jobs] == sorted(job.t_s for job in trace.jobs)


def test_jobs_that_nobody_counted_follow_from_the_work_and_the_given_service_time() -> None:
    working = a_minute(counted=False, busy_s=80.0)
    trace = record(minutes(*[working] * 6), "images", 40.0)
    assert (len(trace.jobs), trace.inferred) == (12, 12)
    assert {job.service_s for job in trace.jobs} == {40.0}
    assert Counter(int(job.t_s // MINUTE) for job in trace.jobs) == dict.fromkeys(range(6), 2)


def test_work_in_parts_of_jobs_adds_up_to_jobs() -> None:
    trace = record(minutes(*[a_minute(counted=False, busy_s=MINUTE)] * 10), "images", 240.0)
    assert len(trace.jobs) == 2


def test_jobs_seen_waiting_are_not_counted_once_more_by_their_work() -> None:
    came = a_minute(pro=4, started=0, counted=False, busy_s=0.0, in_flight=0)
    worked = a_minute(started=4, counted=False, busy_s=160.0)
    trace = record(minutes(came, worked), "images", 40.0)
    assert (len(trace.jobs), trace.inferred) == (4, 0)


def test_a_deleted_queue_does_not_hide_the_jobs_that_come_later() -> None:
    deleted = a_minute(started=10_000, counted=False, busy_s=0.0, in_flight=0)
    trace = record(minutes(deleted, a_minute(counted=False, busy_s=120.0)), "images", 40.0)
    assert trace.inferred == 3


def test_inferred_jobs_have_the_tiers_of_known_ones() -> None:
    known, working = a_minute(pro=30, free=10), a_minute(counted=False, busy_s=1200.0)
    trace = record(minutes(known, working), "images")
    assert trace.inferred == 40
    assert Counter(job.tier for job in trace.jobs) == {"pro": 60, "free": 20}


def test_inferred_jobs_have_all_tiers_alike_where_nothing_is_known() -> None:
    trace = record(minutes(a_minute(counted=False, busy_s=400.0)), "images", 40.0)
    assert Counter(job.tier for job in trace.jobs) == {"pro": 5, "free": 5}


def test_without_counts_a_service_time_must_be_given() -> None:
    with pytest.raises(SettingsError, match="--service 40s"):
        record(minutes(a_minute(counted=False, busy_s=60.0)), "images")


def test_a_given_service_time_does_not_replace_a_measured_one() -> None:
    trace = record(minutes(a_minute(pro=5), a_minute(counted=False, busy_s=100.0)), "images", 50.0)
    assert [job.service_s for job in trace.jobs] == [30.0] * 5 + [50.0] * 2


def test_minutes_without_data_have_no_jobs_and_are_told() -> None:
    gap = PoolSample(machine_s={}, busy_s=None)
    blind = a_minute(pro=1, counted=False, busy_s=None)
    samples = minutes(a_minute(pro=2), gap, blind, a_minute(pro=2))
    trace = record([*samples[:3], Sample(at=NOW + 600.0, until=NOW + 660.0, pools=samples[3].pools)], "images")
    assert len(trace.jobs) == 5
    assert trace.jobs[-1].t_s == 645.0
    assert trace.blind_s == MINUTE
    assert trace.totals.gap_s == 660.0 - 3 * MINUTE


def test_a_quiet_time_makes_an_empty_trace() -> None:
    trace = record(minutes(a_minute(), a_minute()), "images")
    assert (trace.jobs, trace.inferred) == ((), 0)
