"""`autoscaler simulate` as a user calls it, on good input and on bad."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from autoscaler.cli import main
from autoscaler.sim.audit import audit
from tests.support.simulating import CONFIG, TRACE, cut, write_config, write_trace
from tests.support.traces import real_trace


def simulate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)])


def done(*arguments: object) -> str:
    """What it printed; all went well, and nothing but the figures was said."""
    result = simulate(*arguments)
    assert result.exception is None, result.output
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(*arguments: object) -> list[str]:
    """What it complained of."""
    result = simulate(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return write_trace(tmp_path)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_tells_how_each_tier_was_served_what_it_cost_and_what_comes_next(config: Path, trace: Path) -> None:
    lines = done(config, f"--trace={trace}").splitlines()
    assert re.fullmatch(r"tier +jobs +wait target +in time +median wait +p95 +p99 +longest", lines[0])
    assert re.match(r"pro +15 +30s +\d", lines[1])
    assert re.match(r"free +15 +5m +\d", lines[2])
    text = "\n".join(lines)
    assert re.search(r"^cost +\d+\.\d\d USD in \dh, ", text, re.MULTILINE)
    assert "all 30 served" in text
    assert "0 cut off by our orders" in text
    assert f"autoscaler simulate {config} --trace={trace} --out DIR" in text
    assert lines[-1] == f"Beside other policies: autoscaler compare {config} --trace={trace}"


def test_in_a_pipe_nothing_is_padded_coloured_or_cut(config: Path, trace: Path) -> None:
    text = done(config, f"--trace={trace}")
    assert "\x1b" not in text
    assert "…" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_with_out_every_job_and_machine_is_written_and_the_auditor_is_content(
    config: Path, trace: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "result"
    text = done(config, f"--trace={trace}", f"--out={out}")
    assert f"The books are in {out} and were audited; open {out}/report.html in a browser." in text
    assert {path.name for path in out.iterdir()} == {"jobs.csv", "phases.csv", "summary.json", "report.html"}
    jobs = rows(out / "jobs.csv")
    assert [job["job"] for job in jobs] == [f"images-{number}" for number in range(1, 31)]
    assert [float(job["arrived_s"]) for job in jobs] == [120.0 * number for number in range(30)]
    assert {phase["placement"] for phase in rows(out / "phases.csv")} == {"mock-on-demand"}
    assert audit(out) == []
    done(config, f"--trace={trace}", f"--out={out}", "--seed=2")
    assert json.loads((out / "summary.json").read_text())["seed"] == 2, "files of an earlier simulation are replaced"


def test_json_is_what_summary_json_holds(config: Path, trace: Path, tmp_path: Path) -> None:
    told = done(config, f"--trace={trace}", f"--out={tmp_path}", "--json")
    assert told == (tmp_path / "summary.json").read_text()
    summary = json.loads(told)
    assert (summary["seed"], summary["tick_s"], summary["traces"]) == (1, 10.0, {"images": "jobs.csv"})
    assert summary["tiers"]["images"]["pro"]["jobs"] == 15
    assert summary["killed_jobs"] == summary["failed_ticks"] == 0


def test_each_pool_has_its_own_trace(trace: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, two_pools=True)
    speech = write_trace(tmp_path, "t_s\n5\n6\n7\n", name="speech.csv")
    summary = json.loads(done(config, f"--trace=images={trace}", f"--trace=speech={speech}", "--json"))
    assert summary["traces"] == {"images": "jobs.csv", "speech": "speech.csv"}
    assert summary["tiers"]["speech"]["all"]["served"] == 3
    lines = done(config, f"--trace=speech={speech}").splitlines()
    assert re.match(r"pool +tier +jobs", lines[0])
    assert re.match(r"images +pro +0 +30s +- ", lines[1])
    assert re.match(r"speech +all +3 ", lines[3])


def test_without_a_configuration_it_simulates_the_packaged_one(tmp_path: Path) -> None:
    trace = write_trace(tmp_path, "t_s,service_s\n1,30\n")
    text = done(f"--trace={trace}")
    assert f"autoscaler simulate --trace={trace} --out DIR" in text


def test_a_trace_without_jobs_is_a_quiet_hour(config: Path, tmp_path: Path) -> None:
    text = done(config, f"--trace={write_trace(tmp_path, 't_s,user')}")
    assert "in 1h" in text
    assert "none came" in text


def test_the_beginning_of_a_real_trace(tmp_path: Path) -> None:
    trace = cut(real_trace("gentd26_early.csv.gz"), tmp_path / "cut.csv.gz", 60)
    config = tmp_path / "fleet.yaml"
    config.write_text(CONFIG.replace("tier_column: user, ", "tiers: {pro: 1, free: 2}, "))
    assert "all 60 served" in done(config, f"--trace={trace}", f"--out={tmp_path / 'out'}")


def test_a_recorded_market_is_followed(tmp_path: Path, trace: Path) -> None:
    market = real_trace("market_gcp_gpu_spot_price_changes_2023_2024.csv.gz")
    config = tmp_path / "fleet.yaml"
    stock = "stock: [{gpu: RTX 4090, region: US, on_demand: 0.5, spot: 0.2, series: g2-standard-4/us-central1}]"
    config.write_text(CONFIG.replace("mock: {setup", f"mock: {{{stock}, setup").replace("0.9}]", "9.0}]"))
    text = done(config, f"--trace={trace}", f"--market={market}", f"--out={tmp_path / 'out'}")
    assert f"--market {market}" in text, "what is suggested follows the same market"
    prices = {
        float(phase["usd_per_hour"]) for phase in rows(tmp_path / "out" / "phases.csv") if phase["phase"] == "hot"
    }
    recorded_usd, disk_usd = 0.706832, 0.016667
    assert list(prices) == [pytest.approx(recorded_usd + disk_usd, abs=1e-6)]


BAD = {
    "bad lines": (
        "t_s,user\n1,pro\nx,pro\n0,pro\n",
        [r"jobs\.csv: line 3: t_s: x - ", r"jobs\.csv: line 4: t_s: 0 - earlier"],
    ),
    "an unknown tier": (
        "t_s,user,service_s\n1,gold,5\n",
        [r'jobs\.csv: tiers "gold" \(1 job\) .*images; expected pro, free'],
    ),
    "no header": ("1,2\n3,4\n", [r"jobs\.csv: no header"]),
    "no tier column": ("t_s,service_s\n1,5\n", [r"jobs\.csv: .*user"]),
    "nothing": ("", [r"jobs\.csv: the file is empty"]),
    "times of another clock": ("t_s,user,service_s\n1700000000,pro,5\n", [r"jobs\.csv: job 1 comes after 54 years"]),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_trace_is_told_line_by_line_and_nothing_is_written(fault: str, config: Path, tmp_path: Path) -> None:
    text, expected = BAD[fault]
    lines = refused(config, f"--trace={write_trace(tmp_path, text)}", f"--out={tmp_path / 'out'}")
    assert len(lines) == len(expected)
    assert all(re.search(f"^error: .*{each}", line) for each, line in zip(expected, lines, strict=True)), lines
    assert not (tmp_path / "out").exists()


def test_no_service_times_are_told_with_what_to_write(config: Path, tmp_path: Path) -> None:
    config.write_text(CONFIG.replace("service: 20s..60s, ", ""))
    [line] = refused(config, f"--trace={write_trace(tmp_path, 't_s,user' + chr(10) + '1,pro')}")
    assert re.search(r"job 1 has no service time; .*pools\.images\.workload\.service .*such as 20s\.\.60s", line)


def test_files_that_cannot_be_read_are_named(config: Path, trace: Path, tmp_path: Path) -> None:
    assert refused(config, "--trace=nowhere.csv") == ["error: nowhere.csv: cannot be read: No such file or directory"]
    assert "a directory" in refused(config, f"--trace={tmp_path}")[0]
    assert "nowhere.yaml" in refused("nowhere.yaml", f"--trace={trace}")[0]
    assert "nowhere.csv" in refused(config, f"--trace={trace}", "--market=nowhere.csv")[0]


def test_traces_that_are_for_no_pool_or_for_one_that_has_one_are_told_together(trace: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, two_pools=True)
    options = [f"--trace={each}{trace}" for each in ("", "video=", "images=", "images=")]
    lines = refused(config, *options)
    assert len(lines) == 3
    assert "expected POOL=FILE with one of the pools images, speech" in lines[0]
    assert f"the pool images already has {trace}" in lines[2]


@pytest.mark.parametrize("out", ["/proc/no", "jobs.csv/x"])
def test_a_directory_that_cannot_be_made_is_told_before_the_simulation(out: str, config: Path, trace: Path) -> None:
    [line] = refused(config, f"--trace={trace}", f"--out={trace.parent / out}")
    assert re.match(rf"error: --out: .*{out} cannot be made: ", line)


def test_a_market_without_what_is_in_stock_is_refused(config: Path, trace: Path) -> None:
    market = real_trace("market_gcp_gpu_spot_price_changes_2023_2024.csv.gz")
    [line] = refused(config, f"--trace={trace}", f"--market={market}")
    assert "no kind of stock follows any of its series" in line


def test_its_help_shows_examples_as_they_are_written() -> None:
    text = simulate("--help").stdout
    assert "\n    autoscaler simulate fleet.yaml --trace jobs.csv.gz\n" in text
    assert "\\b" not in text


def test_the_trace_of_the_tests_has_what_the_configuration_reads() -> None:
    assert TRACE.startswith("t_s,user,service_s,model\n")
