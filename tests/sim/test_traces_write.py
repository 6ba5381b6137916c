"""Plain traces as they are written: whole or not at all, and the same bytes for the same jobs."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.core.errors import SettingsError
from autoscaler.sim.traces import TraceJob, read_trace
from autoscaler.sim.traces.write import Written, window, write_plain

JOBS = [
    TraceJob(0.0, "pro", 2.5, "sd, 1.5"),
    TraceJob(0.052, None, None, None),
    TraceJob(120.0000004, "free", 0.0, 'the "big" one'),
]
ALL = ("tier", "service_s", "model")


def broken() -> Iterator[TraceJob]:
    yield JOBS[0]
    raise SettingsError("line 3 is bad")


def test_a_trace_has_the_columns_that_are_told_and_no_digits_without_meaning(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    assert write_plain(JOBS, path, ("service_s",)) == Written(jobs=3, last_s=120.0000004)
    assert path.read_text() == "t_s,service_s\n0,2.5\n0.052,\n120,0\n"


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_plain(JOBS, path, ALL)
    assert list(read_trace(path)) == [JOBS[0], JOBS[1], JOBS[2]._replace(t_s=120.0)]


def test_a_name_that_ends_with_gz_is_compressed_to_the_same_bytes_each_time(tmp_path: Path) -> None:
    paths = [tmp_path / "one.csv.gz", tmp_path / "other.csv.gz"]
    for path in paths:
        write_plain(JOBS, path, ALL)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert gzip.decompress(paths[0].read_bytes()).startswith(b"t_s,tier,service_s,model\n")


def test_nothing_is_left_of_a_trace_that_failed_and_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(SettingsError, match="line 3 is bad"):
        write_plain(broken(), path, ALL)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "out.csv"
    with pytest.raises(SettingsError, match=f"{path}: cannot be written: No such file or directory"):
        write_plain(JOBS, path, ALL)


def test_a_window_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    jobs = [TraceJob(t_s, None, None, None) for t_s in (0.0, 10.0, 15.0, 20.0)]
    assert [job.t_s for job in window(jobs, 10.0, 20.0)] == [0.0, 5.0]
