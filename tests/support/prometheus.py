"""The files for Prometheus and Grafana, read; and Prometheus itself, as Debian has it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import real_time
from tests.support.redis_server import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "autoscaler.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
needs_prometheus = pytest.mark.skipif(
    not (shutil.which("promtool") and shutil.which("prometheus")), reason="Prometheus is not installed"
)
Json = dict[str, Any]

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_METRIC = re.compile(r"\b(?:autoscaler_\w+|[a-z_]+:\w+:\w+|up|ALERTS)\b")
_SELECTOR = re.compile(r"([\w:]+)\{([^}]*)\}")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a file."""

    name: str
    """Of the alert, or of what is recorded."""
    expr: str
    alert: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    wait: str
    """How long it must hold."""

    @property
    def section(self) -> str:
        """Of the runbook."""
        return self.annotations["runbook_url"].partition("#")[2]


def rules() -> list[Rule]:
    """All rules that are shipped."""
    return [
        Rule(
            name=rule.get("alert") or rule["record"],
            expr=rule["expr"],
            alert="alert" in rule,
            labels=rule.get("labels", {}),
            annotations=rule.get("annotations", {}),
            wait=rule.get("for", ""),
        )
        for file in RULES
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def alerts() -> list[Rule]:
    """All alerts."""
    return [rule for rule in rules() if rule.alert]


def on_dashboard() -> Iterator[tuple[str, str]]:
    """Every expression of the dashboard, by what it is for; a value stands for each variable."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], _filled(target["expr"])
    for annotation in DASHBOARD["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], _filled(annotation["expr"])
    for variable in DASHBOARD["templating"]["list"]:
        if found := re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", "")):
            yield variable["name"], f"count by ({found[2]}) ({_filled(found[1])})"


def _filled(expr: str) -> str:
    return re.sub(r"\$\w+", "x", expr.replace("$__rate_interval", "5m"))


def asked() -> list[tuple[str, str]]:
    """What the dashboard and the rules ask for, each with what it is for."""
    return [*on_dashboard(), *((rule.name, rule.expr) for rule in rules())]


def metrics_in(expr: str) -> set[str]:
    """The names of what an expression reads."""
    return set(_METRIC.findall(_STRING.sub('""', _GROUPING.sub("", expr))))


def labels_in(expr: str) -> Iterator[tuple[str, str]]:
    """What an expression picks by, as name and label; the name is empty where it groups."""
    bare = _STRING.sub('""', expr)
    for name, matchers in _SELECTOR.findall(bare):
        for label in _MATCHER.findall(matchers):
            yield name, label
    for labels in _GROUPING.findall(bare):
        for label in labels.split(","):
            yield "", label.strip()


def promtool(*arguments: str | Path, cwd: Path = PROMETHEUS) -> subprocess.CompletedProcess[str]:
    """Run promtool to its end."""
    return subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, cwd=cwd
    )


class Prometheus:
    """A real Prometheus on a free port of loopback; its data is in a directory of its own."""

    def __init__(self, directory: Path, config: Json) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        directory.mkdir()
        file, self.log = directory / "prometheus.yml", directory / "prometheus.log"
        file.write_text(yaml.safe_dump(config))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={file}",
                    f"--storage.tsdb.path={directory / 'data'}",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, path: str, **parameters: str) -> Any:
        """What its API answers; None while nobody does."""
        try:
            with urllib.request.urlopen(
                f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=5
            ) as response:
                return json.load(response)["data"]
        except (urllib.error.HTTPError, OSError):
            assert self._process.poll() is None, f"Prometheus has ended:\n{self.log.read_text()}"
            return None

    def values(self, expr: str) -> list[tuple[Mapping[str, str], float]]:
        """What an expression gives now: labels and value of each series."""
        found = self.ask("query", query=expr)
        return [(each["metric"], float(each["value"][1])) for each in found["result"]] if found else []

    def until(self, expr: str, *, patience_s: float = 60.0) -> list[tuple[Mapping[str, str], float]]:
        """Wait until an expression gives anything, and give that."""
        return real_time.until(lambda: self.values(expr), f"Prometheus had {expr}", patience_s=patience_s)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
