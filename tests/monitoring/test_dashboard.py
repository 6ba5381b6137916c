"""The dashboard for Grafana: it shows what there is, in units, with the thresholds of the alerts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.reference.metrics import described
from tests.support.prometheus import (
    DASHBOARD,
    DEPLOY,
    PANELS,
    alerts,
    asked,
    labels_in,
    metrics_in,
    needs_prometheus,
    on_dashboard,
    promtool,
    rules,
)

SCRAPED = {"job", "instance"}
"""Labels that Prometheus itself gives."""
_PARTS = {"histogram": ("_bucket", "_count", "_sum")}


def known() -> dict[str, set[str]]:
    """The labels of all there is to ask for: of a daemon's metrics, of what is recorded, and of Prometheus' own."""
    found = {"up": SCRAPED, "ALERTS": {"alertstate", "severity", "alertname", "pool", "provider"}}
    for metric in described():
        for part in _PARTS.get(metric.kind, ("",)):
            found[metric.name + part] = SCRAPED | {*metric.labels} | ({"le"} if part == "_bucket" else set())
    for rule in rules():
        if not rule.alert:
            found[rule.name] = set(rule.name.partition(":")[0].split("_"))
    return found


def test_everything_that_is_asked_for_is_there() -> None:
    there = known()
    missing = [(what, name) for what, expr in asked() for name in metrics_in(expr) if name not in there]
    assert missing == []
    assert len(list(on_dashboard())) > 40


def test_everything_is_picked_by_labels_that_it_has() -> None:
    there = known()
    every = set().union(*there.values())
    for what, expr in asked():
        for name, label in labels_in(expr):
            assert label in (there[name] if name else every), f"{what}: {name} has no {label}"


@needs_prometheus
def test_every_expression_is_one_that_prometheus_takes(tmp_path: Path) -> None:
    listed = [{"record": f"panel_{number}", "expr": expr} for number, (_, expr) in enumerate(on_dashboard())]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": listed}]}))
    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit_and_of_which_source(panel: Mapping[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_threshold_is_the_one_of_the_alert_that_the_panel_leads_to(panel: Mapping[str, Any]) -> None:
    steps = {step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]} - {None}
    sections = {link["url"].partition("#")[2] for link in panel["links"]}
    exprs = [rule.expr for rule in alerts() if rule.section in sections]
    assert len(sections) == len({rule.section for rule in alerts()} & sections), "each link leads to an alert's section"
    if steps and "-timeline" not in panel["type"]:
        limits = {float(limit) for expr in exprs for limit in re.findall(r"[<>]=? ([\d.]+)", expr)}
        assert steps == {1} | limits - {0} if limits == {0} else steps == limits


def test_every_alert_has_a_panel() -> None:
    led_to = {link["url"].partition("#")[2] for panel in PANELS for link in panel["links"]}
    assert {rule.section for rule in alerts()} - led_to == set()


def test_no_two_panels_have_one_id_or_lie_upon_each_other() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations((panel["gridPos"] for panel in panels), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_what_is_provisioned_is_there() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    mounted = {mount.split(":")[1] for mount in compose["services"]["grafana"]["volumes"]}
    provisioning = DEPLOY / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    [provider] = yaml.safe_load((provisioning / "dashboards" / "autoscaler.yml").read_text())["providers"]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]
    assert provider["options"]["path"] in mounted
