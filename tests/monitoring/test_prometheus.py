"""A real Prometheus scrapes a real daemon, finds its machines, and raises its alarm when the queue grows."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
import yaml

from tests.support import real_time
from tests.support.daemon_process import DaemonProcess, StartDaemon, a_config
from tests.support.prometheus import PROMETHEUS, RULES, Prometheus, asked, metrics_in, needs_prometheus, rules

pytestmark = needs_prometheus
NOT_YET = {
    "job_placement:autoscaler_resume_seconds:p90_1d": "nothing was resumed yet",
    "autoscaler_resume_seconds_bucket": "nothing was resumed yet",
    "job_provider:autoscaler_balance_left:hours": "the mock has no account",
    "autoscaler_provider_balance_usd": "the mock has no account",
    "autoscaler_notifications_total": "no channel is configured",
    "autoscaler_budget_warn_usd_per_month": "no such cap is set",
    "autoscaler_budget_stop_usd_per_month": "no such cap is set",
    "autoscaler_fleet_budget_warn_usd_per_day": "no such cap is set",
    "autoscaler_fleet_budget_stop_usd_per_day": "no such cap is set",
    "autoscaler_fleet_budget_warn_usd_per_month": "no such cap is set",
    "autoscaler_fleet_budget_stop_usd_per_month": "no such cap is set",
}
"""What a young fleet on the mock has not got; that it exists at all is held by the test of the dashboard."""


def hurried(directory: Path) -> list[str]:
    """The rules as they are shipped, but that no alert waits."""
    found = []
    for file in RULES:
        groups = yaml.safe_load(file.read_text(encoding="utf-8"))
        for group in groups["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    rule["for"] = "1s"
        (directory / file.name).write_text(yaml.safe_dump(groups))
        found.append(str(directory / file.name))
    return found


def shipped(daemon: DaemonProcess, directory: Path) -> dict[str, Any]:
    """The configuration as it is shipped, in a hurry, with this daemon for its target."""
    config: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    address = daemon.url.removeprefix("http://")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = hurried(directory)
    own, machines = config["scrape_configs"]
    own["static_configs"][0]["targets"] = [address]
    [found] = machines["http_sd_configs"]
    found |= {"url": found["url"].replace("autoscaler:8080", address), "refresh_interval": "1s"}
    return config


@pytest.fixture
def watched(
    tmp_path: Path, redis_url: str, start_daemon: StartDaemon, client: Any
) -> Iterator[tuple[DaemonProcess, Prometheus]]:
    """A daemon with a machine that is HOT, and a Prometheus that watches it."""
    client.delete("jobs:pro")
    config = a_config(tmp_path, redis_url, mock={"setup": "1s..2s", "resume": "1s..2s"})
    config["tick"] = "1s"
    daemon = start_daemon(config)
    daemon.wait_ready()
    prometheus = Prometheus(tmp_path / "prometheus", shipped(daemon, tmp_path))
    yield daemon, prometheus
    prometheus.stop()


def test_prometheus_scrapes_the_daemon_finds_its_machines_and_warns_of_a_queue_that_grows(
    watched: tuple[DaemonProcess, Prometheus], client: Any
) -> None:
    daemon, prometheus = watched
    [(labels, _)] = prometheus.until('up{job="autoscaler"} == 1')
    assert f"http://{labels['instance']}" == daemon.url

    prometheus.until('autoscaler_instances{phase="hot"} > 0')
    machines = real_time.until(
        lambda: [each for each in prometheus.ask("targets")["activeTargets"] if each["scrapePool"] == "machines"],
        "the daemon's machines were targets",
    )
    running = {each["id"]: each["address"] for each in daemon.ask("/api/v1/instances")[1]["instances"]}
    for target in machines:
        host = running[target["labels"]["instance"]].partition(":")[0]
        assert target["scrapeUrl"] == f"http://{host}:9400/metrics"
        assert target["labels"]["pool"] == "images"
        assert target["labels"]["provider"] == "mock"

    assert prometheus.values('ALERTS{alertname="AutoscalerQueueDeep"}') == []
    client.rpush("jobs:pro", *["{}"] * 31)
    prometheus.until('ALERTS{alertname="AutoscalerQueueDeep", alertstate="firing", severity="critical"}')
    [text] = {
        alert["annotations"]["summary"]
        for alert in prometheus.ask("alerts")["alerts"]
        if alert["labels"]["alertname"] == "AutoscalerQueueDeep"
    }
    assert text == "images: 31 jobs wait"

    for name in sorted({rule.name for rule in rules() if not rule.alert} - NOT_YET.keys()):
        prometheus.until(name)
    there = set(prometheus.ask("label/__name__/values"))
    assert {name for _, expr in asked() for name in metrics_in(expr)} - there == set(NOT_YET)

    known = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert len(known) == len(rules())
    assert [rule["name"] for rule in known if rule["health"] == "err"] == []


class Stranger(BaseHTTPRequestHandler):
    """A machine whose exporter lies, and sends whoever asks it elsewhere."""

    asked: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        self.asked.add(self.path)
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Location", "/inside")
        self.end_headers()
        self.wfile.write(b'DCGM_FI_DEV_GPU_UTIL{pool="images"} 7\nautoscaler_pool_paused{job="autoscaler"} 1\n')

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_a_machine_that_lies_can_neither_speak_for_the_daemon_nor_send_prometheus_elsewhere(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    Thread(target=server.serve_forever).start()
    config: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    _, machines = config["scrape_configs"]
    del machines["http_sd_configs"], machines["relabel_configs"]
    machines["static_configs"] = [{"targets": [f"127.0.0.1:{server.server_port}"]}]
    away = machines | {"job_name": "away", "metrics_path": "/away"}
    fast = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    prometheus = Prometheus(tmp_path / "prometheus", {"global": fast, "scrape_configs": [machines, away]})

    [(labels, value)] = prometheus.until("DCGM_FI_DEV_GPU_UTIL")
    assert (labels["job"], value) == ("machines", 7.0)
    prometheus.until('up{job="away"} == 0')
    assert prometheus.values("autoscaler_pool_paused") == []
    assert Stranger.asked == {"/metrics", "/away"}
    prometheus.stop()
    server.shutdown()
    server.server_close()
