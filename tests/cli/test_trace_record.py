"""`autoscaler trace record` as a user calls it, on the history in a real Redis."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli import main
from tests.support.config import GOOD
from tests.support.history import HOUR, MINUTE, MORNING, keep, minutes
from tests.support.redis_server import free_port

TWO_POOLS = GOOD.replace("  images:", "  images: &pool").replace("providers:", "  texts: *pool\nproviders:")


@pytest.fixture
def config(tmp_path: Path, redis_url: str) -> Path:
    return written(tmp_path, redis_url)


def written(directory: Path, redis_url: str, text: str = GOOD) -> Path:
    path = directory / "fleet.yaml"
    path.write_text(f"redis: {redis_url}\n{text}")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["trace", "record", *map(str, arguments)])


def error_of(*arguments: object) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr.strip()


def jobs_in(path: Path) -> list[dict[str, str]]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    return list(csv.DictReader(text.splitlines()))


def test_it_writes_a_plain_trace_and_says_what_it_holds_and_what_comes_next(
    config: Path, redis_url: str, tmp_path: Path
) -> None:
    keep(redis_url, minutes(90))
    out = tmp_path / "own.csv"

    result = run(config, out)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{out}: 180 jobs of pool images in 1h 30m from 2026-11-21 08:00 (UTC)",
        "  arrivals    180 counted or seen waiting, 0 inferred from the work done",
        "  service     40.0s in the mean",
        "  cost        0.90 USD, 3.0 machine-hours HOT",
        f"Next: autoscaler simulate {config} --trace {out}",
    ]
    jobs = jobs_in(out)
    assert jobs[:2] == [
        {"t_s": "15", "tier": "pro", "service_s": "40"},
        {"t_s": "45", "tier": "pro", "service_s": "40"},
    ]
    assert Counter(float(job["t_s"]) // MINUTE for job in jobs) == dict.fromkeys(range(90), 2)


def test_what_it_writes_is_a_trace_that_the_other_commands_read(config: Path, redis_url: str, tmp_path: Path) -> None:
    keep(redis_url, minutes(90))
    out = tmp_path / "own.csv.gz"
    assert run(config, out).exit_code == 0
    told = CliRunner().invoke(main, ["trace", "info", str(out)])
    assert told.exit_code == 0
    assert "180" in told.stdout
    assert len(jobs_in(out)) == 180


def test_gaps_and_inferred_jobs_are_told(config: Path, redis_url: str, tmp_path: Path) -> None:
    keep(redis_url, [*minutes(30), *minutes(30, begin=MORNING + HOUR, counted=False, arrived=0)])
    told = run(config, tmp_path / "own.csv", "--service", "20s").stdout
    assert "60 counted or seen waiting, 120 inferred from the work done" in told
    assert "30m without data; no jobs are made up for them" in told


def test_a_window_is_told_by_its_length_or_by_its_ends(config: Path, redis_url: str, tmp_path: Path) -> None:
    keep(redis_url, minutes(120))
    for number, (options, jobs, begins) in enumerate(
        [
            (("--last", "30m"), 60, "09:30"),
            (("--since", "2026-11-21T09:00"), 120, "09:00"),
            (("--since", "2026-11-21T10:00+01:00", "--until", "2026-11-21T09:15"), 30, "09:00"),
            (("--until", "2026-11-21T08:01"), 2, "08:00"),
        ]
    ):
        out = tmp_path / f"{number}.csv"
        told = run(config, out, *options).stdout
        assert f"{jobs} jobs" in told
        assert f"from 2026-11-21 {begins} (UTC)" in told
        assert float(jobs_in(out)[0]["t_s"]) == 15.0


def test_a_time_without_samples_is_refused_and_the_recorded_time_named(
    config: Path, redis_url: str, tmp_path: Path
) -> None:
    keep(redis_url, minutes(60))
    told = error_of(config, tmp_path / "own.csv", "--since", "2026-11-22T00:00")
    assert told == (
        "error: nothing was recorded in that time; there are samples from 2026-11-21T08:00 to 2026-11-21T09:00 (UTC)"
    )


def test_before_anything_was_recorded_it_says_so_and_writes_nothing(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "own.csv"
    told = error_of(config, out)
    assert told == "error: nothing was recorded of pool 'images' yet; a running daemon adds a sample each minute"
    assert not out.exists()


def test_without_counts_it_asks_for_the_service_time(config: Path, redis_url: str, tmp_path: Path) -> None:
    keep(redis_url, minutes(10, counted=False))
    assert "--service 40s" in error_of(config, tmp_path / "own.csv")


def test_a_file_that_exists_is_replaced_only_by_force(config: Path, redis_url: str, tmp_path: Path) -> None:
    keep(redis_url, minutes(10))
    out = tmp_path / "own.csv"
    out.write_text("precious")
    assert error_of(config, out) == f"error: {out}: exists; --force replaces it"
    assert out.read_text() == "precious"
    assert run(config, out, "--force").exit_code == 0
    assert len(jobs_in(out)) == 20


def test_of_several_pools_one_must_be_named(redis_url: str, tmp_path: Path) -> None:
    keep(redis_url, minutes(10))
    config, out = written(tmp_path, redis_url, TWO_POOLS), tmp_path / "own.csv"
    assert error_of(config, out) == "error: several pools are configured; --pool names one of them: images, texts"
    assert error_of(config, out, "--pool", "videos") == "error: no pool 'videos'; the configured pools: images, texts"
    assert "'texts'" in error_of(config, out, "--pool", "texts")
    assert run(config, out, "--pool", "images").exit_code == 0


def test_a_redis_that_is_away_is_named(tmp_path: Path) -> None:
    config = written(tmp_path, f"redis://127.0.0.1:{free_port()}")
    assert "cannot be reached" in error_of(config, tmp_path / "own.csv")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--last", "24"), "expected a duration with its unit"),
        (("--last", "0s"), "expected more than 0s"),
        (("--service", "fast"), "expected a duration with its unit"),
        (("--since", "yesterday"), "expected a time such as 2026-11-21T08:00 (UTC)"),
        (("--last", "1h", "--until", "2026-11-21"), "--last goes neither with --since nor with --until"),
        (("one.csv", "two.csv"), "expected at most a configuration and the trace to write"),
    ],
)
def test_a_bad_option_is_refused_with_what_was_expected(
    options: tuple[str, ...], told: str, config: Path, tmp_path: Path
) -> None:
    assert told in error_of(config, tmp_path / "own.csv", *options)
