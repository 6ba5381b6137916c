"""Reading plain traces: what is taken, what is refused and in which words, and with how much memory."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tracemalloc
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.errors import SettingsError
from autoscaler.sim.traces import TraceJob, open_trace, read_trace
from tests.support.traces import real_trace

PACKED = gzip.compress(b"t_s,note\n" + b"".join(b"%d,%d\n" % (t, t * 7919) for t in range(20_000)))
DAMAGED = PACKED[:2000] + bytes(byte ^ 0x55 for byte in PACKED[2000:2100]) + PACKED[2100:]


def an_archive() -> bytes:
    """As which some traces are published."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("lora_request_trace.csv"))
    return packed.getvalue()


def a_file(directory: Path, content: str | bytes, name: str = "jobs.csv") -> Path:
    path = directory / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def jobs_of(directory: Path, content: str | bytes, tier_column: str | None = None) -> list[TraceJob]:
    return list(read_trace(a_file(directory, content), tier_column=tier_column))


def problems_of(directory: Path, content: str | bytes) -> list[str]:
    """What is wrong, without the name of the file that each line begins with."""
    path = a_file(directory, content)
    with pytest.raises(SettingsError) as caught:
        list(read_trace(path))
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def test_all_columns_are_read_and_others_ignored(tmp_path: Path) -> None:
    content = "user,t_s,tier,service_s,model\nann,0,pro,2.5,sd15\nbob,1.25,free,,\n"
    assert jobs_of(tmp_path, content) == [TraceJob(0.0, "pro", 2.5, "sd15"), TraceJob(1.25, "free", None, None)]


def test_exec_s_and_base_model_are_read_where_service_s_and_model_are_not(tmp_path: Path) -> None:
    assert jobs_of(tmp_path, "t_s,exec_s,base_model\n1,3,a\n") == [TraceJob(1.0, None, 3.0, "a")]
    assert jobs_of(tmp_path, "t_s,exec_s,service_s\n1,3,4\n") == [TraceJob(1.0, None, 4.0, None)]


def test_any_column_may_name_the_tier(tmp_path: Path) -> None:
    [job] = jobs_of(tmp_path, "t_s,tier,user\n1,pro,ann\n", tier_column="user")
    assert job.tier == "ann"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("t_s\r\n1\r\n2\r\n", id="lines of Windows"),
        pytest.param("\ufefft_s\n1\n2\n", id="a byte order mark"),
        pytest.param("t_s\n1\n\n2\n\n", id="blank lines"),
        pytest.param("t_s\n1\n2", id="no end of the last line"),
        pytest.param('"t_s"\n"1"\n 2 \n', id="quotes and spaces"),
        pytest.param(gzip.compress(b"t_s\n1\n2\n"), id="compressed"),
        pytest.param(gzip.compress(b"\xef\xbb\xbft_s\n1\n") + gzip.compress(b"2\n"), id="compressed in two parts"),
    ],
)
def test_the_same_jobs_are_read_however_the_file_is_written(tmp_path: Path, content: str | bytes) -> None:
    assert [job.t_s for job in jobs_of(tmp_path, content)] == [1.0, 2.0]


def test_a_header_alone_is_a_trace_without_jobs(tmp_path: Path) -> None:
    assert jobs_of(tmp_path, "t_s\n") == []


@pytest.mark.parametrize("value", ["abc", "-1", "nan", "inf", "-inf", "", "1e13", "1s"])
def test_a_time_that_is_none_is_a_bad_line(tmp_path: Path, value: str) -> None:
    shown = value or "''"
    expected = f"line 3: t_s: {shown} - expected a number of seconds from 0 to 1e+12"
    assert problems_of(tmp_path, f"tier,t_s\nx,0\nx,{value}\n") == [expected]


@pytest.mark.parametrize("value", ["abc", "-1", "nan", "inf"])
def test_a_service_time_that_is_none_is_a_bad_line(tmp_path: Path, value: str) -> None:
    expected = f"line 2: service_s: {value} - expected a number of seconds from 0 to 1e+12"
    assert problems_of(tmp_path, f"t_s,service_s\n1,{value}\n") == [expected]


def test_a_time_earlier_than_the_line_above_is_a_bad_line_and_only_that_one(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "t_s\n1\n900\n2\n3\n") == [
        "line 4: t_s: 2 - earlier than the line above (900); expected lines in order of time"
    ]


def test_a_row_with_too_few_or_too_many_fields_is_a_bad_line(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "t_s,tier\n1\n2,pro,x\n3,pro\n") == [
        "line 2: 1 field - expected 2, as in line 1",
        "line 3: 3 fields - expected 2, as in line 1",
    ]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path, 't_s,note\n1,"two\nlines"\n\nx,\n')
    assert problem.startswith("line 5: t_s: x")


def test_ten_bad_lines_are_told_and_all_are_counted(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, "t_s\n" + "x\n" * 1234 + "5\n")
    assert [problem.split(":")[0] for problem in problems[:-1]] == [f"line {line}" for line in range(2, 12)]
    assert problems[-1] == "1,234 lines are bad; these were the first 10"


def test_a_value_cannot_act_upon_a_terminal_or_fill_it(tmp_path: Path) -> None:
    [escape, long] = problems_of(tmp_path, f"t_s\n\x1b[2J\n{'9' * 500}\n")
    assert "\x1b" not in escape
    assert len(long) < 120


def test_no_job_is_given_after_the_first_bad_line(tmp_path: Path) -> None:
    jobs = read_trace(a_file(tmp_path, "t_s\n1\n2\nx\n4\n"))
    assert [job.t_s for job in islice(jobs, 2)] == [1.0, 2.0]
    with pytest.raises(SettingsError, match="line 4: t_s: x"):
        next(jobs)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "the file is empty"),
        ("\nt_s\n", "the first line is empty; expected a header"),
        ("1.5\n2.5\n", "no header: the first line begins with a number; expected names, among them t_s"),
        ("a,b\n1,2\n", "no column t_s in the header (a, b)"),
        ("ts,b\n1,2\n", "no column t_s in the header (ts, b); did you mean ts? It must be in seconds since the start"),
        ("t_s,t_s\n1,2\n", "two columns have the name t_s"),
        ("t_s,tier,tier\n1,a,b\n", "two columns have the name tier"),
        (b"t_s,tier\n1,a\n2,b\xff\n", "line 3: not text in UTF-8"),
        (b"t_s\n" + b"1\n" * 9000 + b"\xff\n", "line 9002: not text in UTF-8"),
        ("t_s\n1\n".encode("utf-16"), "line 1: not text in UTF-8"),
        ('t_s,a\n1,"b\n2,c\n', "line 3: unexpected end of data"),
        ("t_s\n" + "9" * 200_000, "line 2: field larger than field limit (131072)"),
        (PACKED[:5], "the compressed file is cut short"),
        (an_archive(), "not a text file; an archive must be unpacked first"),
        (b"\x1f\x8bt_s\n1\n2\n3\n", "the compressed file is damaged"),
    ],
)
def test_a_file_that_is_no_trace_is_one_line(tmp_path: Path, content: str | bytes, problem: str) -> None:
    assert problems_of(tmp_path, content) == [problem]


def test_a_compressed_file_that_is_cut_short_or_damaged_is_one_line_that_says_how_far_it_is_good(
    tmp_path: Path,
) -> None:
    [cut] = problems_of(tmp_path, PACKED[:-100])
    [damaged] = problems_of(tmp_path, DAMAGED)
    assert cut.startswith("the compressed file is cut short after line ")
    assert damaged.startswith("the compressed file is damaged")


def test_a_file_that_cannot_be_read_is_one_line_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, why in {
        tmp_path / "none.csv": "No such file or directory",
        tmp_path: "a directory",
        pipe: "not a regular file",
    }.items():
        with pytest.raises(SettingsError, match=f"{path}: cannot be read: {why}"):
            read_trace(path)


def test_a_public_trace_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    path = a_file(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n", "my trace.csv")
    with pytest.raises(
        SettingsError, match=f"of the format azure-llm; convert it with: autoscaler trace convert '{path}'"
    ):
        read_trace(path)


def test_a_tier_column_that_is_not_there_is_refused_at_once_with_one_that_is(tmp_path: Path) -> None:
    path = a_file(tmp_path, "t_s,user\n")
    with pytest.raises(SettingsError, match="no column usr that could name the tier; did you mean user\\?"):
        read_trace(path, tier_column="usr")


def test_a_trace_can_be_read_any_number_of_times(tmp_path: Path) -> None:
    trace = open_trace(a_file(tmp_path, "t_s\n1\n2\n"))
    assert list(trace.jobs()) == list(trace.jobs())


@given(
    jobs=st.lists(
        st.tuples(
            st.floats(0, 1e9),
            st.none() | st.from_regex(r"[a-z ,\"\n]*[a-z]", fullmatch=True),
            st.none() | st.floats(0, 1e6),
        )
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[tuple[float, str | None, float | None]]
) -> None:
    expected = [
        TraceJob(t_s, tier and tier.strip(), service_s, None)
        for t_s, tier, service_s in sorted(jobs, key=lambda j: j[0])
    ]
    quoted = ['"' + (job.tier or "").replace('"', '""') + '"' for job in expected]
    lines = [
        f"{job.t_s!r},{tier},{'' if job.service_s is None else repr(job.service_s)}\n"
        for job, tier in zip(expected, quoted, strict=True)
    ]
    assert jobs_of(tmp_path_factory.mktemp("trace"), "t_s,tier,service_s\n" + "".join(lines)) == expected


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak_of(lines: int) -> int:
        path = a_file(tmp_path, "t_s,tier\n" + "".join(f"{t},pro\n" for t in range(lines)))
        tracemalloc.start()
        assert sum(1 for _ in read_trace(path)) == lines
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_of(10)
    assert peak_of(100_000) < peak_of(1_000) + 100_000


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        ("nab_elb_2014.csv.gz", 249_327),
        ("gentd26_early.csv.gz", 11_857),
        ("servegen_office_midc64.csv.gz", 39_093),
        ("azure_llm_2023_conv_1h.csv.gz", 19_366),
    ],
)
def test_every_line_of_a_real_trace_is_a_job(name: str, jobs: int) -> None:
    path = real_trace(name)
    times = [job.t_s for job in read_trace(path)]
    assert len(times) == jobs
    assert all(before <= after for before, after in pairwise(times))


def test_a_real_trace_tells_tiers_service_times_and_models() -> None:
    first = next(read_trace(real_trace("gentd26_early.csv.gz"), tier_column="user"))
    assert first == TraceJob(17870.0, "G0000", 32.0, "M0000")
