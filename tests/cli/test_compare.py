"""`autoscaler compare` and `autoscaler tune` as a user calls them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from autoscaler.cli import main
from autoscaler.config import load_config
from tests.support.simulating import write_config, write_trace


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def done(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exception is None, result.output
    assert result.exit_code == 0
    return result.stdout


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write_trace(tmp_path)


def test_each_policy_and_peer_gets_one_line_at_its_best_setting(config: Path, trace: Path) -> None:
    text = done("compare", config, f"--trace={trace}", "--only=static,keda-all", "--processes=1")

    lines = text.splitlines()
    assert lines[0].startswith("jobs.csv: least cost with 95% of each tier in time")
    assert re.search(r"policy +setting +USD +pro +free +killed +rented", lines[1])
    assert sorted(re.findall(r"fleet\.yaml|static|keda-all", "\n".join(lines[2:]))) == [
        "fleet.yaml",
        "keda-all",
        "static",
    ]


def test_several_traces_are_played_one_by_one_where_there_is_one_pool(config: Path, tmp_path: Path) -> None:
    traces = [write_trace(tmp_path, name=name) for name in ("a.csv", "b.csv")]

    text = done("compare", config, *(f"--trace={trace}" for trace in traces), "--only=none", "--processes=1")

    assert re.findall(r"^(\S+): least cost", text, re.MULTILINE) == ["a.csv", "b.csv"]


def test_the_bound_stands_last_and_nothing_that_serves_as_well_costs_less(config: Path, trace: Path) -> None:
    text = done("compare", config, f"--trace={trace}", "--only=static", "--processes=1", "--bound", "--attainment=0.5")

    *others, bound = [line for line in text.splitlines() if re.search(r"static|fleet|clairvoyant", line)]
    assert "clairvoyant" in bound
    times = [float(found[1]) for line in others if (found := re.search(r" \d+\.\d\d +(\d+\.\d\d) ", line))]
    assert times
    assert min(times) >= 1.0


def test_with_out_every_setting_is_written_and_shown(config: Path, trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "result"

    text = done("compare", config, f"--trace={trace}", "--only=static", "--processes=1", f"--out={out}")

    trials = json.loads((out / "trials.json").read_text())
    assert {trial["name"] for trial in trials} == {"fleet.yaml", "static"}
    assert all(trial["trace"] == "jobs.csv" for trial in trials)
    assert "static" in (out / "report.html").read_text()
    assert f"open {out / 'report.html'} in a browser" in text


def test_a_name_that_is_no_policy_and_no_peer_is_refused_with_those_that_are(config: Path, trace: Path) -> None:
    complaint = refused("compare", config, f"--trace={trace}", "--only=keda")

    assert "error: --only: keda: expected some of " in complaint
    assert "thresholds, " in complaint
    assert "keda-llen, " in complaint
    assert "schedule" not in complaint, "it has nothing to try"
    assert "retention" not in complaint, "it is no policy alone"


def test_a_bad_trace_is_refused_before_anything_is_simulated(config: Path, tmp_path: Path) -> None:
    trace = write_trace(tmp_path, "t_s,user\n3,pro\nx,pro\n")

    for command in ("compare", "tune"):
        assert "line 3" in refused(command, config, f"--trace={trace}")


def test_tune_prints_settings_that_a_configuration_can_take(config: Path, trace: Path) -> None:
    text = done("tune", config, f"--trace={trace}", "--trials=3", "--processes=1", "--attainment=0.5")

    assert re.match(r"\d+\.\d\d USD, \d+\.\d% of the worst served tier in time, with", text)
    found = yaml.safe_load(text[text.index("pools:") : text.index("Prove it")])
    document = yaml.safe_load(config.read_text())
    document["pools"]["images"]["policies"] = found["pools"]["images"]["policies"]
    choices = load_config(yaml.safe_dump(document), {}).pools["images"].policies
    assert [choice.name for choice in choices] == ["wait_target", "retention", "forecast"]


def test_tune_says_when_nothing_serves_well_enough(config: Path, trace: Path) -> None:
    text = done("tune", config, f"--trace={trace}", "--trials=1", "--processes=1", "--attainment=1")

    assert text.startswith("None of 1 settings serves every tier at 100.0%; the nearest:")
