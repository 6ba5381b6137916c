"""`autoscaler economics` as a user calls it."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from rich.console import Console

from autoscaler.cli import main
from autoscaler.cli.economics_view import view
from autoscaler.economics.compute import compute, judge
from autoscaler.economics.plan import BusinessPlan, JobClass, Machine, MachineTime, Plan, Scale, Scenario, Serving
from autoscaler.economics.read import read_plan

ROOT = Path(__file__).parents[2]
PLANS = ROOT / "deploy/economics"
PAGE = (ROOT / "docs/economics.md").read_text(encoding="utf-8")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["economics", *map(str, arguments)])


def shown(result: Result) -> list[str]:
    assert (result.exit_code, result.stderr) == (0, "")
    return [line.rstrip() for line in result.stdout.splitlines()]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(
        "scenarios: {small: {usd_per_month: 290, jobs_per_month: 150000}}\n"
        "loads: [0%, 10%]\n"
        "serving: {scenario: small, load: 10%}\n"
        "plans: {cheap: {usd_per_month: 5, included_jobs: 500, users: 10}}\n"
        "job_classes: {prompt: {infra_usd: 0.06}}\n"
        "stated: {loads.small.10%.usd_per_job: 0.019, plans.cheap.margin: 20%}\n"
    )
    return path


def test_it_shows_the_tables_says_what_loses_and_judges_what_is_stated(plan: Path) -> None:
    lines = shown(run(plan))
    assert "small.10%  15,000      1         290.00       0.0193" in lines
    assert "  ! small at 0% does no jobs: there is no cost per job, its price is paid for nothing" in lines
    assert any(line.startswith("  ! cheap loses 4.67 USD a customer, 46.67 USD a month with 10:") for line in lines)
    assert any(re.fullmatch(r"loads\.small\.10%\.usd_per_job +0\.019 +0\.0193 +follows", line) for line in lines)
    assert any(re.fullmatch(r"plans\.cheap\.margin +20% +-93\.3 % +-567 % +does not follow", line) for line in lines)
    assert lines[-1] == "Of 2 stated figures - follows: 1, does not follow: 1"


def test_a_quote_is_the_price_of_one_class_with_the_margin_asked_for(plan: Path) -> None:
    lines = shown(run(plan, "--quote", "prompt", "--margin", "40%"))
    assert lines[0] == "Quotes with a margin of 40 %, per job"
    assert lines[2].split() == ["prompt", "0.06", "0.10", "0.084"]


def test_a_quote_takes_the_margin_of_the_file_unless_another_is_given() -> None:
    document = json.loads(run(PLANS / "template.yaml", "--quote", "prompt", "--json").stdout)
    other = json.loads(run(PLANS / "template.yaml", "--quote", "prompt", "--json", "--margin", "20%").stdout)
    prices = [each["tables"][0]["rows"][0]["usd_at_margin"]["low"] for each in (document, other)]
    assert prices == pytest.approx([0.016 / 0.6, 0.016 / 0.8])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--quote", "prompt"], "error: --quote: expected --margin, such as --margin 40%, or `margin` in the file"),
        (
            ["--quote", "promt", "--margin", "40%"],
            'error: --quote: there is no job class promt; did you mean "prompt"?',
        ),
    ],
)
def test_a_quote_that_cannot_be_made_is_said(plan: Path, options: list[str], said: str) -> None:
    result = run(plan, *options)
    assert (result.exit_code, result.stdout, result.stderr.strip()) == (2, "", said)


@pytest.mark.parametrize("margin", ["100%", "0.4", "-5%", "x"])
def test_a_margin_is_a_percentage_below_a_hundred(plan: Path, margin: str) -> None:
    result = run(plan, "--quote", "prompt", "--margin", margin)
    assert result.exit_code == 2
    assert f"{margin}: expected" in result.stderr


def test_bad_input_is_told_at_once_and_ends_with_2(plan: Path) -> None:
    plan.write_text("hours_per_month: many\nlaods: [5%]\n")
    result = run(plan)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "error: hours_per_month: many - expected a number: 0, or from 1e-12 to 1e+15 (line 1)",
        'error: laods: unknown key - did you mean "loads"? (line 2)',
    ]


def test_json_has_each_figure_with_its_bounds_and_each_verdict(plan: Path) -> None:
    document = json.loads(run(plan, "--json").stdout)
    loads = {row["name"]: row for table in document["tables"] if table["name"] == "loads" for row in table["rows"]}
    assert loads["small.10%"]["usd_per_job"] == {"low": pytest.approx(290 / 15000), "high": pytest.approx(290 / 15000)}
    assert loads["small.0%"]["usd_per_job"] is None
    assert [each["verdict"] for each in document["stated"]] == ["follows", "does not follow"]


def test_csv_has_a_line_for_each_figure(plan: Path) -> None:
    rows = {row["figure"]: row for row in csv.DictReader(io.StringIO(run(plan, "--csv").stdout))}
    assert float(rows["loads.small.10%.usd_per_job"]["low"]) == pytest.approx(290 / 15000)
    assert rows["loads.small.10%.usd_per_job"]["stated"] == "0.019"
    assert rows["loads.small.10%.usd_per_job"]["verdict"] == "follows"
    assert rows["loads.small.0%.usd_per_job"]["low"] == ""


def test_what_is_never_reached_is_no_number_in_json(plan: Path) -> None:
    plan.write_text("plans: {p: {usd_per_month: 5, per_user_usd_per_month: {storage: 8}}}\n")
    result = run(plan, "--json")
    [table] = [table for table in json.loads(result.stdout)["tables"] if table["name"] == "break_even"]
    assert table["rows"][0]["users"] == {"low": None, "high": None}
    assert table["said"] == ["p never breaks even: a customer leaves -3.00 USD a month before any job is paid"]


def test_the_users_own_fleet_is_piped_in(plan: Path) -> None:
    def priced(row: str, piped: object) -> object:
        result = CliRunner().invoke(
            main, ["economics", str(plan), "--measured", "-", "--json"], input=json.dumps(piped)
        )
        tables = {table["name"]: table["rows"] for table in json.loads(result.stdout)["tables"]}
        return next(each["usd_per_job_full"]["low"] for each in tables["scenarios"] if each["name"] == row)

    days = {"at": 2e9, "leads": True, "first_day": "2026-11-01", "last_day": "2026-11-10", "books_since": "2026-11-01"}
    books = days | {"pools": [{"name": "images", "usd": 12.0, "tiers": [{"tier": "all", "jobs": 6000}]}]}
    assert priced("measured", books) == pytest.approx(0.002)
    assert priced("small", books) == pytest.approx(290 / 150_000)


def test_a_narrow_terminal_shows_every_figure_below_each_other() -> None:
    read = read_plan(PLANS / "agent-hosting.yaml", {})
    tables = compute(read)
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(*view(tables, judge(read.stated, tables), console.width), sep="\n")
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in capture.get()
    assert sum(line.startswith("5k-20k ") for line in lines) > 1


def test_a_plan_that_says_nothing_is_said(plan: Path) -> None:
    plan.write_text("hours_per_month: 730\n")
    assert shown(run(plan))[0].startswith("The plan says nothing that could be computed")


@pytest.mark.parametrize("file", sorted(PLANS.glob("*.yaml")), ids=lambda file: file.stem)
def test_each_example_plan_can_be_shown(file: Path) -> None:
    assert shown(run(file))[-1].startswith("Of ")


@pytest.mark.parametrize(
    "block",
    re.findall(r"^```sh\n(autoscaler economics [^\n]+)\n```\n\n```text\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE),
)
def test_what_the_page_shows_is_shown_so(block: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command, told = block
    lines = shown(run(*command.split()[2:]))
    parts = [part.splitlines() for part in told.split("…\n")]
    for part in parts:
        at = lines.index(part[0])
        assert lines[at : at + len(part)] == part


def test_the_page_shows_real_output() -> None:
    assert len(re.findall(r"^```text$", PAGE, re.MULTILINE)) >= 3


def test_the_page_explains_every_key() -> None:
    types = (BusinessPlan, Machine, Scenario, Serving, Plan, Scale, JobClass, MachineTime)
    words = set(re.findall(r"`(\w+)`", PAGE))
    assert {field.name for each in types for field in fields(each)} <= words


def test_the_yaml_that_the_page_shows_can_be_read(tmp_path: Path) -> None:
    for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        assert yaml.safe_load(text)
        (tmp_path / "plan.yaml").write_text(text)
        shown(run(tmp_path / "plan.yaml"))
