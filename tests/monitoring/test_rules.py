"""The rules for Prometheus, held by its own tool; and what every alert has to have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.prometheus import PROMETHEUS, RULES, Rule, alerts, needs_prometheus, promtool, rules

TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
_ALERTNAME = re.compile(r'alertname="(\w+)"')


@needs_prometheus
def test_the_rules_have_a_form_that_prometheus_takes() -> None:
    checked = promtool("check", "rules", *RULES)
    assert checked.returncode == 0, checked.stderr


@needs_prometheus
def test_the_configuration_is_one_that_prometheus_takes() -> None:
    checked = promtool("check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stderr


@needs_prometheus
@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_each_alert_fires_when_it_should_and_not_on_the_near_miss(file: Path) -> None:
    tested = promtool("test", "rules", file)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def points() -> list[tuple[dict[str, Any], dict[str, Any], str]]:
    """Each moment that the tests look at: the test, the question, and the alert that it is about."""
    return [
        (test, question, _ALERTNAME.findall(question["expr"])[0])
        for file in TESTS
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
        for question in test["promql_expr_test"]
    ]


def test_each_alert_is_tested_in_each_severity_and_on_a_near_miss() -> None:
    fired = {(name, sample["labels"]) for _, question, name in points() for sample in question["exp_samples"]}
    assert fired == {(rule.name, f'{{severity="{rule.labels["severity"]}"}}') for rule in alerts()}
    assert {name for _, question, name in points() if not question["exp_samples"]} == {rule.name for rule in alerts()}


@needs_prometheus
def test_every_alert_that_fires_says_its_figures(tmp_path: Path) -> None:
    """promtool prints what it got where another annotation was expected: so one is expected that no alert has."""
    asked = [
        {
            **{key: test[key] for key in ("interval", "input_series")},
            "alert_rule_test": [{"eval_time": question["eval_time"], "alertname": name, "exp_alerts": []}],
        }
        for test, question, name in points()
        if question["exp_samples"]
    ]
    file = tmp_path / "texts.yml"
    file.write_text(yaml.safe_dump({"rule_files": [*map(str, RULES)], "evaluation_interval": "15s", "tests": asked}))
    said = promtool("test", "rules", file)
    texts = re.findall(
        r'Annotations:\{description="(.*?)", runbook_url=".*?", summary="(.*?)"\}', said.stdout + said.stderr
    )
    assert len(texts) >= len(asked)
    for description, summary in texts:
        assert "error" not in f"{description} {summary}", description
        assert "no value" not in f"{description} {summary}", description
        assert "  " not in description


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: f"{rule.name}-{rule.labels['severity']}")
def test_an_alert_says_how_bad_it_is_in_words_with_figures_and_where_to_read_on(rule: Rule) -> None:
    assert rule.labels["severity"] in ("warning", "critical")
    assert set(rule.annotations) == {"summary", "description", "runbook_url"}
    assert rule.annotations["runbook_url"] == f"docs/runbook.md#{rule.name.lower()}"
    assert rule.annotations["description"].rstrip().endswith(".")
    assert not rule.annotations["summary"].endswith(".")
    assert rule.wait, "a single evaluation must not wake anybody"


def test_what_is_recorded_says_by_what_it_is_grouped() -> None:
    for rule in rules():
        if not rule.alert:
            levels = set(rule.name.partition(":")[0].split("_"))
            grouped = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", rule.expr)))) | set(rule.labels)
            assert levels <= grouped, rule.name
