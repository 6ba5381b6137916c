"""`autoscaler status` against a daemon's API on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from autoscaler.cli.status import status
from tests.support.api import FakeDaemon, a_status, run_command
from tests.support.redis_server import free_port


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon().serving() as daemon:
        yield daemon


def test_it_shows_the_fleet_and_the_journal(daemon: FakeDaemon) -> None:
    result = run_command(status, "--url", daemon.url)
    assert result.exit_code == 0
    assert result.output.startswith("attic  leads")
    assert "rent cccc: ok" in result.output


def test_json_is_the_apis_own(daemon: FakeDaemon) -> None:
    result = run_command(status, "--url", daemon.url + "/", "--json")
    assert json.loads(result.output) == a_status()
    assert daemon.asked == ["/api/v1/status"]


def test_without_a_daemon_it_says_how_to_start_one_and_exits_with_2() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = run_command(status, "--url", url)
    assert result.exit_code == 2
    assert result.stderr == f"error: no daemon answers at {url}; start one with autoscaler run FILE, or give --url\n"


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1", "http://"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    result = run_command(status, "--url", url)
    assert result.exit_code == 2
    assert result.stderr == f"error: --url {url}: expected an address such as http://127.0.0.1:8080\n"


@pytest.mark.parametrize("answer", [[], {"hello": "world"}, None, "text"])
def test_another_service_on_the_port_is_told_apart(daemon: FakeDaemon, answer: object) -> None:
    daemon.status = answer
    result = run_command(status, "--url", daemon.url)
    assert result.exit_code == 2
    assert "is no autoscaler" in result.stderr


def test_a_journal_that_cannot_be_read_hides_nothing_else(daemon: FakeDaemon) -> None:
    daemon.journal, daemon.journal_code = {"error": "Redis cannot be reached"}, 503
    result = run_command(status, "--url", daemon.url)
    assert result.exit_code == 0
    assert result.output.startswith("attic  leads")


def test_proxies_are_passed_by(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert run_command(status, "--url", daemon.url).exit_code == 0


def watching(url: str) -> subprocess.Popen[str]:
    code = "from autoscaler.cli.status import status; status()"
    command = [sys.executable, "-c", code, "--watch", "--interval", "0.1", "--url", url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} never came")


def test_watch_shows_it_again_and_again_until_ctrl_c(daemon: FakeDaemon) -> None:
    with watching(daemon.url) as process:
        read_until(process, "attic  leads")
        read_until(process, "attic  leads")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


def test_watch_waits_for_a_daemon_that_is_away_and_finds_it_when_it_comes() -> None:
    daemon = FakeDaemon()
    with daemon.serving():
        url = daemon.url
    with watching(url) as process:
        read_until(process, f"error: no daemon answers at {url}; start one with autoscaler run FILE, or give --url")
        read_until(process, "error: no daemon answers")
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 0
