"""A daemon that is given nothing but its environment."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from autoscaler.cli import main
from tests.support.daemon_process import AUTOSCALER, DaemonProcess, a_config
from tests.support.real_time import until
from tests.support.redis_server import free_port

SECRET = "correct-horse-battery"


def run(*words: str, config: str | None) -> Result:
    return CliRunner().invoke(main, words, env={"AUTOSCALER_CONFIG": config, "COLUMNS": "120"})


@pytest.fixture
def config(tmp_path: Path, redis_url: str) -> str:
    return yaml.safe_dump(a_config(tmp_path, redis_url))


def test_the_environment_may_hold_the_configuration(config: str) -> None:
    checked = run("check", config=config)
    assert (checked.exit_code, checked.output.splitlines()[0][:11]) == (0, "fleet attic")
    assert checked.output.endswith("Next: autoscaler plan\n")
    assert run("plan", config=config).exit_code == 0
    assert run("queue", config=config).exit_code == 0


def test_orders_reach_the_daemon_that_the_environment_names(config: str) -> None:
    assert run("floor", "2", "--by", "ann", config=config).exit_code == 0
    assert "floor 2" in run("orders", config=config).output


def test_a_file_goes_before_the_environment(tmp_path: Path, config: str) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(config.replace("fleet: attic", "fleet: cellar"))
    assert run("check", str(file), config=config).output.startswith("fleet cellar")


@pytest.mark.parametrize("command", ["check", "plan", "run", "queue", "orders"])
def test_each_mistake_is_named_with_its_line_and_the_variable(command: str) -> None:
    done = run(command, config="fleet: attic\nredis: nonsense\npools:\n  images: {tick: 1}\nproviders: {mock: {}}\n")
    assert done.exit_code == 2
    lines = done.output.splitlines()
    assert all(line.startswith("error: AUTOSCALER_CONFIG: ") for line in lines)
    assert "redis: nonsense" in lines[0]
    assert lines[0].endswith("(line 2)")
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("/etc/autoscaler/fleet.yaml", "expected a mapping of keys and values"),
        ("fleet: {", "not valid YAML"),
    ],
)
def test_what_is_set_and_is_no_configuration_never_leads_to_the_default(text: str, problem: str) -> None:
    done = run("run", config=text)
    assert done.exit_code == 2
    assert problem in done.output


def test_no_secret_of_it_is_shown(config: str) -> None:
    written = config + "http: {listen: '127.0.0.1:1', token: " + SECRET + "}\n"
    settings = yaml.safe_load(written)
    settings["tick"] = "sometimes"
    for text, command in ((written, ("check", "--full")), (yaml.safe_dump(settings), ("check",))):
        done = run(*command, config=text)
        assert SECRET not in done.output
        assert done.output


def test_a_daemon_runs_by_it_alone_and_says_that_a_reload_needs_a_restart(tmp_path: Path, redis_url: str) -> None:
    config = a_config(tmp_path, "${REDIS_URL}")
    daemon = DaemonProcess(tmp_path, config)
    daemon.file.unlink()
    environment = {"PATH": os.environ["PATH"], "REDIS_URL": redis_url, "AUTOSCALER_CONFIG": yaml.safe_dump(config)}
    with daemon.log.open("wb") as log:
        daemon._process = subprocess.Popen([AUTOSCALER, "run"], stdout=log, stderr=log, env=environment)
    try:
        daemon.wait_ready()
        assert daemon.ask("/api/v1/status")[1]["fleet"] == "attic"
        daemon.process.send_signal(signal.SIGHUP)
        [refusal] = until(lambda: daemon.events("reload_refused"), "the reload was refused")
        assert "a new environment needs a restart" in str(refusal)
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


@pytest.mark.parametrize("name", ["default", "demo"])
def test_what_ships_with_the_program_listens_where_the_environment_says(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autoscaler.cli.options import packaged

    assert str(packaged(name).http.listen) == "127.0.0.1:8080"
    monkeypatch.setenv("AUTOSCALER_LISTEN", f"0.0.0.0:{(port := free_port())}")
    assert str(packaged(name).http.listen) == f"0.0.0.0:{port}"
