"""`autoscaler trace` as a user calls it, on real files and on bad ones."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli import main
from tests.support.traces import real_trace

BURSTGPT = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,500,18,518,Conversation log\n"
    "45,GPT-4,1000,230,1230,API log\n"
    "86405,GPT-4,100,10,110,API log\n"
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["trace", *map(str, arguments)])


def errors_of(*arguments: object) -> list[str]:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr.splitlines()


@pytest.fixture
def burstgpt(tmp_path: Path) -> Path:
    path = tmp_path / "burst.csv"
    path.write_text(BURSTGPT)
    return path


def test_info_describes_and_draws_a_trace_and_says_what_comes_next(burstgpt: Path) -> None:
    result = run("info", burstgpt)

    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0] == f"{burstgpt}  format burstgpt"
    assert any("█" in line for line in lines)
    facts = "\n".join(lines)
    assert "  jobs        3 in 1d, the first at 0s" in facts
    assert "  models      GPT-4 66.7 %, ChatGPT 33.3 %" in facts
    assert "another than the job before in 50.0 % of jobs" in facts
    assert f"Next: autoscaler trace convert {burstgpt} burst.plain.csv.gz" in facts


def test_info_fits_eighty_columns_and_has_no_colours_outside_a_terminal() -> None:
    result = run("info", real_trace("gentd26_early.csv.gz"))
    picture, _, facts = result.stdout.partition("  jobs   ")
    assert "\x1b" not in result.stdout
    assert max(len(line) for line in picture.splitlines()[1:]) <= 80
    assert "27s on average, half within 22s" in facts


def test_info_as_json_holds_the_same_for_each_file(burstgpt: Path) -> None:
    [first, second] = json.loads(run("info", "--json", burstgpt, burstgpt).stdout)
    assert first == second
    assert (first["format"], first["jobs"], first["span_s"]) == ("burstgpt", 3, 86400.0)
    assert first["busiest_hour"] == {"at_s": 0.0, "value": 2.0}
    assert first["service"] is None
    assert sum(first["bars"]["jobs"]) == 3


def test_info_takes_any_column_for_tiers(burstgpt: Path) -> None:
    assert (
        "tiers       API log 66.7 %, Conversation log 33.3 %"
        in run("info", burstgpt, "--tier-column", "Log Type").stdout
    )


@pytest.mark.parametrize(("jobs", "shown"), [("", "It holds no jobs."), ("3\n", "1 in 0s, the first at 3s")])
def test_info_of_no_job_or_one(tmp_path: Path, jobs: str, shown: str) -> None:
    path = tmp_path / "few.csv"
    path.write_text(f"t_s\n{jobs}")
    result = run("info", path)
    assert result.exit_code == 0
    assert shown in result.stdout
    assert json.loads(run("info", "--json", path).stdout)[0]["jobs"] == len(jobs.splitlines())


def test_convert_makes_a_plain_trace_that_info_reads(burstgpt: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    result = run("convert", burstgpt, out, "--tokens-per-s", 1000, 10)

    assert (result.exit_code, result.stderr) == (0, "")
    assert out.read_text() == "t_s,service_s,model\n0,2.3,ChatGPT\n40,24,GPT-4\n86400,1.1,GPT-4\n"
    assert result.stdout.splitlines() == [
        f"{out}: 3 jobs, the last at 1d (t_s, service_s, model)",
        f"Next: autoscaler trace info {out}",
    ]
    assert "Next: autoscaler simulate CONFIG --trace" in run("info", out).stdout


def test_convert_cuts_out_a_window_that_begins_at_zero(burstgpt: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert run("convert", burstgpt, out, "--from", "30s", "--until", "1d").exit_code == 0
    assert out.read_text() == "t_s,model\n10,GPT-4\n"


def test_convert_never_replaces_a_file_without_force(burstgpt: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    assert errors_of("convert", burstgpt, out) == [f"error: {out}: exists; --force replaces it"]
    assert out.read_text() == "old"
    assert run("convert", burstgpt, out, "--force").exit_code == 0
    assert out.read_text().startswith("t_s,model\n")


def test_convert_can_take_the_place_of_its_own_source(burstgpt: Path) -> None:
    assert run("convert", burstgpt, burstgpt, "--force").exit_code == 0
    assert burstgpt.read_text().startswith("t_s,model\n0,ChatGPT\n")


def test_convert_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    source = real_trace("gentd26_early.csv.gz")
    outs = [tmp_path / "one.csv.gz", tmp_path / "two.csv.gz"]
    for out in outs:
        assert run("convert", source, out, "--tier-column", "user").exit_code == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    lines = gzip.decompress(outs[0].read_bytes()).decode().splitlines()
    assert lines[:2] == ["t_s,tier,service_s,model", "17870,G0000,32,M0000"]
    assert len(lines) == 11_858


@pytest.mark.parametrize("command", [("info",), ("convert", "OUT")])
def test_bad_lines_are_told_with_their_numbers_and_nothing_is_left(tmp_path: Path, command: tuple[str, ...]) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("t_s,exec_s\n1,5\nsoon,5\n3,-5\n4\n")
    name, *out = command
    assert errors_of(name, path, *(tmp_path / each for each in out)) == [
        f"error: {path}: line 3: t_s: soon - expected a number of seconds from 0 to 1e+12",
        f"error: {path}: line 4: exec_s: -5 - expected a number of seconds from 0 to 1e+12",
        f"error: {path}: line 5: 1 field - expected 2, as in line 1",
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_a_trace_that_was_cut_short_on_its_way_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(real_trace("nab_elb_2014.csv.gz").read_bytes()[:50_000])
    [error] = errors_of("convert", path, tmp_path / "out.csv")
    assert error.startswith(f"error: {path}: the compressed file is cut short after line ")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from", "3"], "3: expected a duration with its unit, such as 30s, 2m or 24h"),
        (["--from", "3d", "--until", "2d"], "--until: expected a later moment than that of --from"),
        (["--tokens-per-s", "0", "1"], "0.0 is not in the range"),
        (["--format", "brustgpt"], "'brustgpt' is not one of"),
        (["--format", "azure-llm"], "not of the format azure-llm: no column TIMESTAMP, ContextTokens, GeneratedTokens"),
        (["--tier-column", "modle"], "no column modle that could name the tier; did you mean Model?"),
    ],
)
def test_options_that_make_no_sense_are_refused(burstgpt: Path, tmp_path: Path, options: list[str], said: str) -> None:
    assert said in errors_of("convert", burstgpt, tmp_path / "out.csv", *options)[-1]


def test_help_names_every_format() -> None:
    shown = run("convert", "--help").stdout
    assert all(f"\n    {name} " in shown for name in ("plain", "azure-llm", "burstgpt", "alibaba-genai", "servegen"))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from autoscaler.cli import main; "
        "main(['trace', 'info', '--help'], standalone_mode=False); "
        "heavy = {'pydantic', 'aiohttp', 'redis', 'rich', 'yaml', 'numpy'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
