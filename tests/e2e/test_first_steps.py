"""A newcomer's first commands, each as a process, on nothing but Python; and `plan`, which leaves no trace."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.core.lifecycle import Phase
from autoscaler.store.keys import Keys
from tests.support.daemon_process import DaemonProcess, Json, StartDaemon, a_config, autoscaler, connect
from tests.support.real_time import until
from tests.support.redis_server import free_port

ROOT = Path(__file__).parents[2]
SPEED = 40.0
MANY_JOBS = ["{}"] * 61
"""Too many for one machine, and for a second one that boots."""


def the_packaged_default() -> Json:
    """What `autoscaler run` uses without FILE, on ports that nobody else uses."""
    config: Json = yaml.safe_load((files("autoscaler") / "default.yaml").read_text())
    config["http"] = {"listen": f"127.0.0.1:{free_port()}"}
    return config | {"redis": f"embedded:{free_port()}"}


def redis_url(config: Json) -> str:
    return f"redis://127.0.0.1:{config['redis'].partition(':')[2]}"


@pytest.fixture
def daemon(start_daemon: StartDaemon) -> DaemonProcess:
    """The packaged default, ticking."""
    daemon = start_daemon(the_packaged_default(), "--speed", str(SPEED))
    daemon.wait_ready()
    return daemon


def depth(daemon: DaemonProcess) -> int:
    return int(daemon.pool()["demand"]["waiting"])


def wanted(daemon: DaemonProcess) -> int:
    """Machines wanted by the newest plan."""
    return int(daemon.ask("/api/v1/plan")[1]["pools"][0]["decision"]["hot"])


def test_the_address_it_prints_takes_jobs_and_they_change_the_plan(daemon: DaemonProcess) -> None:
    url = redis_url(dict(daemon.config))
    assert f"Embedded Redis at {url}" in daemon.log.read_text()
    until(lambda: wanted(daemon) == 1 and daemon.pool()["up"] == 1, "the first machine was rented")
    with connect(url) as client:
        client.rpush("jobs:pro", *MANY_JOBS)
    until(lambda: wanted(daemon) > 1, "more machines were wanted")
    journal = daemon.ask("/api/v1/journal")[1]["entries"]
    assert any("s of work will wait, to be done in" in entry["text"] for entry in journal)


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
def test_the_line_it_prints_for_redis_cli_pushes_a_job(daemon: DaemonProcess) -> None:
    [line] = [line for line in daemon.log.read_text().splitlines() if "push a job" in line]
    subprocess.run(line.partition("push a job")[2], shell=True, check=True, capture_output=True)
    until(lambda: depth(daemon) == 1, "the job was seen")


def test_the_commands_that_ask_a_daemon_answer(daemon: DaemonProcess) -> None:
    until(lambda: daemon.pool()["phases"]["booting"] == 1, "a machine booted")
    status = autoscaler("status", "--url", daemon.url)
    assert (status.returncode, status.stderr) == (0, "")
    assert "booting" in status.stdout
    as_json = json.loads(autoscaler("status", "--json", "--url", daemon.url).stdout)
    assert as_json["pools"][0]["name"] == "images"
    why = autoscaler("why", "--url", daemon.url).stdout
    assert "Pool images: 1 HOT wanted, 1 up" in why
    assert "no machine is WARM  [plan]" in why
    plan = autoscaler("plan", daemon.file)
    assert (plan.returncode, plan.stderr) == (0, "")
    assert "images: 1 HOT wanted, 1 up" in plan.stdout


def test_pause_holds_everything_until_unpause(daemon: DaemonProcess) -> None:
    until(lambda: daemon.pool()["up"] == 1, "the first machine was rented")
    assert autoscaler("pause", daemon.file, "--by", "ann").returncode == 0
    until(lambda: daemon.ask("/api/v1/status")[1]["orders"], "it was paused")
    with connect(redis_url(dict(daemon.config))) as client:
        client.rpush("jobs:pro", *MANY_JOBS)
    until(lambda: depth(daemon) == len(MANY_JOBS), "the jobs were seen")
    assert daemon.pool()["up"] == 1
    assert daemon.pool()["commands"] == []
    assert autoscaler("unpause", daemon.file).returncode == 0
    until(lambda: daemon.pool()["up"] > 1, "a second machine was rented")


def test_once_makes_one_tick_with_all_that_follows(client: Any, redis_url: str, tmp_path: Path) -> None:
    config = a_config(tmp_path, redis_url)
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(config))
    result = autoscaler("run", file, "--once")
    assert result.returncode == 0, result.stderr
    keys = Keys(config["fleet"])
    assert not client.exists(keys.lease)
    [record] = [json.loads(record) for record in client.hvals(keys.instances)]
    assert (record["phase"], record["provider_id"]) == (Phase.RENTING, "m1")


def test_once_says_in_one_line_why_no_tick_could_be_made(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(a_config(tmp_path, f"redis://127.0.0.1:{free_port()}")))
    result = autoscaler("run", file, "--once")
    assert result.returncode == 1
    [line] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: Redis cannot be reached: 127.0.0.1:")


def the_whole(client: Any) -> dict[bytes, bytes]:
    """Every key with its value, as Redis itself writes it down."""
    return {key: client.dump(key) for key in client.scan_iter()}


@pytest.mark.parametrize("known", [False, True], ids=["an unknown fleet", "a fleet with machines"])
def test_plan_leaves_no_trace(known: bool, client: Any, redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(a_config(tmp_path, redis_url)))
    if known:
        assert autoscaler("run", file, "--once").returncode == 0
    client.rpush("jobs:pro", *range(31))
    before, changes = the_whole(client), client.info("persistence")["rdb_changes_since_last_save"]
    market = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    result = autoscaler("plan", file)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("would    rent mock-on-demand" in result.stdout) is not known
    assert json.loads(autoscaler("plan", file, "--json").stdout)["pools"][0]["name"] == "images"
    assert the_whole(client) == before
    assert client.info("persistence")["rdb_changes_since_last_save"] == changes, "not even written and taken back"
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == market


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: what reads its screen, and what writes on it."""
    screen, written = pty.openpty()
    termios.tcsetwinsize(written, (40, 120))
    yield screen, written
    os.close(screen)
    os.close(written)


def test_the_demo_draws_machines_that_come_serve_and_go_within_a_minute(terminal: tuple[int, int]) -> None:
    screen, written = terminal
    ports = (str(free_port()), str(free_port()))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.demo_process", *ports],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=written,
        stderr=written,
    )
    seen: set[str] = set()

    def ended() -> bool:
        while select.select([screen], [], [], 0)[0]:  # read on to the end: a terminal that is full holds up its writer
            drawn = os.read(screen, 65536).decode(errors="replace")
            seen.update(re.findall(r"[◔▶○] (booting|serving|warm)", drawn))
        return process.poll() is not None

    try:
        until(lambda: ended() or len(seen) == 3, "a machine booted, served and was stopped", patience_s=60.0)
        process.send_signal(signal.SIGTERM)
        until(ended, "the demo ended")
        assert (process.returncode, seen) == (0, {"booting", "serving", "warm"})
    finally:
        process.kill()
        process.wait()
