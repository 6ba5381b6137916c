"""How a trace becomes jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from autoscaler.cli.options import packaged
from autoscaler.core.errors import SettingsError
from autoscaler.core.units import DurationRange
from autoscaler.rehearsal import scenario_of
from autoscaler.runtime.entropy import seeded
from autoscaler.sim.traces import TraceJob
from autoscaler.sim.workload import Job, Workload, make_jobs

TIERS = ("pro", "free")


def line(t_s: float = 1.0, **changes: Any) -> TraceJob:
    return TraceJob(t_s, None, 10.0, None)._replace(**changes)


def made(trace: Iterable[TraceJob], seed: int = 1, **settings: Any) -> list[Job]:
    return list(make_jobs(trace, Workload(**settings), TIERS, seeded(seed), pool="images", name="jobs.csv"))


def test_a_job_is_what_its_line_says_to_the_millisecond() -> None:
    assert made([line(1.23456, tier="free", service_s=2.5, model="m")]) == [Job(1.235, 1, 2.5, "m")]


def test_tiers_are_drawn_by_their_shares_where_the_trace_names_none() -> None:
    drawn = Counter(job.tier for job in made([line()] * 4000, tiers={"pro": 1.0, "free": 3.0}))
    assert drawn[0] / 4000 == pytest.approx(0.25, abs=0.03), "four standard deviations"


def test_a_tier_without_a_share_gets_no_jobs_and_without_shares_all_get_as_many() -> None:
    assert {job.tier for job in made([line()] * 100, tiers={"free": 1.0})} == {1}
    assert Counter(job.tier for job in made([line()] * 4000))[0] / 4000 == pytest.approx(0.5, abs=0.035)


def test_service_times_are_drawn_where_the_trace_tells_none() -> None:
    drawn = [job.service_s for job in made([line(service_s=None)] * 2000, service=DurationRange(20.0, 60.0))]
    assert 20.0 <= min(drawn) < max(drawn) <= 60.0
    assert sum(drawn) / 2000 == pytest.approx(40.0, abs=1.1), "four standard deviations"


def test_the_same_generator_gives_the_same_jobs_and_another_others() -> None:
    trace = [line(float(n), service_s=None) for n in range(50)]
    service = DurationRange(20.0, 60.0)
    assert made(trace, service=service) == made(trace, service=service)
    assert made(trace, service=service) != made(trace, seed=2, service=service)


def test_a_trace_without_service_times_says_what_to_add_and_where() -> None:
    with pytest.raises(
        SettingsError, match=r"jobs\.csv: job 2 has no service time; add .*pools\.images\.workload\.service"
    ):
        made([line(), line(service_s=None)])


def test_times_of_another_clock_are_not_taken_for_seconds_since_the_start() -> None:
    with pytest.raises(SettingsError, match=r"jobs\.csv: job 1 comes after 54 years; expected in t_s the seconds"):
        made([line(1_700_000_000.0)])


def test_tiers_that_the_pool_has_not_are_counted_and_named_at_the_end() -> None:
    trace = [line(tier=tier) for tier in ("pro", "gold", "gold", "tin", "free")]
    with pytest.raises(SettingsError, match=r'"gold" \(2 jobs\), "tin" \(1 job\).* pool images; expected pro, free'):
        made(trace)


def test_shares_of_tiers_that_the_pool_has_not_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"pools\.images\.workload\.tiers.*gold.*expected.*pro, free"):
        made([line()], tiers={"gold": 1.0})


def test_the_example_trace_fits_the_configuration_that_is_used_without_a_file() -> None:
    config = packaged("default")
    example = Path(__file__).parents[2] / "deploy" / "example-trace.csv"

    [each] = scenario_of(config, [str(example)], market=None, seed=1).pools

    assert {job.tier for job in each.jobs(seed=1)} == set(range(len(each.pool.tiers)))
