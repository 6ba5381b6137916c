"""SIGHUP and `autoscaler reload` let a running daemon take its changed file; a bad file changes nothing.

What would change is told first, in the words of the file. The daemon stays the same process, keeps its lease, its
machines and its books, misses no tick, and however often it is told, it holds no more files, connections or tasks.
"""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.store.keys import Keys
from tests.support.daemon_process import FLEET, DaemonProcess, StartDaemon, a_config
from tests.support.daemon_process import autoscaler as run_command
from tests.support.real_time import until

SPEED = "5"
TICK_S = 5.0
TOKEN = "correct-horse-battery-staple"
OTHER_TOKEN = "another-battery-of-horses"


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str, start_daemon: StartDaemon) -> DaemonProcess:
    config = a_config(tmp_path, redis_url, mock={"setup": "20s..30s", "listing_lag": "1s..2s"})
    config["tick"] = f"{TICK_S:g}s"
    config["http"]["token"] = TOKEN
    started = start_daemon(config, "--speed", SPEED)
    started.wait_ready()
    return started


def write(daemon: DaemonProcess, config: Any) -> None:
    """Change its file as editors do: all at once."""
    new = daemon.file.with_suffix(".new")
    new.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    new.replace(daemon.file)


def hang_up(daemon: DaemonProcess) -> None:
    daemon.process.send_signal(signal.SIGHUP)


def with_hot(daemon: DaemonProcess, hot: str) -> Any:
    config = json.loads(json.dumps(daemon.config))
    config["pools"]["images"]["limits"]["hot"] = hot
    return config


def told(daemon: DaemonProcess, event: str, part: str) -> list[str]:
    return [line["text"] for line in daemon.events(event) if part in line["text"]]


def journal(daemon: DaemonProcess, client: Any) -> list[str]:
    rows = client.xrange(Keys(FLEET).journal)
    return [json.loads(fields[b"entry"])["text"] for _, fields in rows]


def post(daemon: DaemonProcess, token: str = TOKEN, **body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{daemon.url}/api/v1/reload",
        data=json.dumps({"by": "alex", **body}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def ticks(daemon: DaemonProcess) -> float:
    return float(daemon.ask("/readyz")[0] and daemon.ask("/healthz")[1]["last_good_tick_at"])


def test_sighup_takes_the_changed_file_and_tells_each_change(daemon: DaemonProcess, client: Any) -> None:
    pid = daemon.process.pid
    write(daemon, with_hot(daemon, "2..4"))
    hang_up(daemon)

    line = "pools.images.limits.hot: 1..4 → 2..4"
    until(lambda: told(daemon, "reload", line), "the change was logged")
    until(lambda: len(daemon.machines()) == 2, "a second machine was rented")
    until(lambda: f"configuration reloaded by SIGHUP: {line}" in journal(daemon, client), "the journal tells of it")
    assert daemon.process.pid == pid
    assert daemon.process.poll() is None


@pytest.mark.parametrize("broken", ["fleet: [", "", "fleet: x\npools: {images: {limits: {hot: many}}}\n"])
def test_a_broken_file_changes_nothing_and_every_problem_is_told(
    daemon: DaemonProcess, client: Any, broken: str
) -> None:
    before = daemon.pool()["limits"]
    write(daemon, broken)
    hang_up(daemon)

    until(lambda: daemon.events("reload_refused"), "the problems were logged")
    assert {line["level"] for line in daemon.events("reload_refused")} == {"error"}
    until(lambda: any("reload by SIGHUP refused" in text for text in journal(daemon, client)), "it was journalled")
    goes_on(daemon)
    assert daemon.pool()["limits"] == before


def test_a_file_that_is_gone_changes_nothing(daemon: DaemonProcess) -> None:
    daemon.file.unlink()
    hang_up(daemon)

    until(lambda: told(daemon, "reload_refused", "cannot be read"), "it was logged")
    goes_on(daemon)


def test_what_needs_a_restart_is_refused_as_a_whole(daemon: DaemonProcess, client: Any) -> None:
    config = with_hot(daemon, "3..4") | {"fleet": "cellar"}
    write(daemon, config)
    hang_up(daemon)

    until(lambda: told(daemon, "reload_refused", "fleet: attic → cellar needs a restart"), "it was refused")
    goes_on(daemon)
    assert daemon.pool()["limits"]["hot"] == "1..4"
    assert client.get(Keys("cellar").lease) is None


def test_a_provider_with_machines_stays_until_it_is_evacuated(daemon: DaemonProcess) -> None:
    until(daemon.machines, "a machine was rented")
    config = json.loads(json.dumps(daemon.config))
    config["providers"] = {"spare": {"kind": "mock"}}
    config["pools"]["images"]["placements"][0]["provider"] = "spare"
    write(daemon, config)
    hang_up(daemon)

    until(lambda: told(daemon, "reload_refused", "autoscaler evacuate mock FILE"), "it was refused")
    goes_on(daemon)


def goes_on(daemon: DaemonProcess) -> None:
    """It ticks on."""
    before = ticks(daemon)
    until(lambda: ticks(daemon) > before, "it ticked again")
    assert daemon.process.poll() is None


def test_fifty_signals_in_a_row_under_load_leak_nothing_and_cost_no_tick(daemon: DaemonProcess, client: Any) -> None:
    until(lambda: len(daemon.machines()) == 1, "a machine was rented")
    client.rpush("jobs:pro", *range(100))
    configs = [with_hot(daemon, hot) for hot in ("1..3", "1..4")]
    for config, seconds in zip(configs, (3, 4), strict=True):
        config["pools"]["more"] = json.loads(json.dumps(config["pools"]["images"])) | {"limits": {"hot": "0..1"}}
        config["pools"]["more"]["redis"] = {"url": daemon.config["redis"], "timeout": f"{seconds}s"}
        config["providers"]["spare"] = {"kind": "mock", "stop": f"{seconds}s..9s"}
    write(daemon, configs[1])
    hang_up(daemon)
    until(lambda: told(daemon, "reload", "providers.spare: added"), "the first was taken")
    goes_on(daemon)
    held, ages = resources(daemon), []

    for number in range(50):
        client.rpush("jobs:free", *range(20))
        write(daemon, configs[number % 2])
        take(daemon)
        ages.append(daemon.ask("/healthz")[1]["age_s"])

    goes_on(daemon)
    goes_on(daemon)
    until(lambda: resources(daemon) <= held, "all that is used no more was let go", patience_s=20.0)
    assert not daemon.events("tick_failed")
    assert not daemon.events("reload_refused")
    assert max(ages) <= 2 * TICK_S
    assert len({record.provider_id for record in daemon.records(client)}) == len(daemon.machines())


def take(daemon: DaemonProcess) -> None:
    """Have it take its file, and wait until it has."""
    before = len(daemon.events("reload"))
    hang_up(daemon)
    until(lambda: len(daemon.events("reload")) > before, "it was taken")


def resources(daemon: DaemonProcess) -> int:
    """Files and connections that it holds."""
    return len([*Path(f"/proc/{daemon.process.pid}/fd").iterdir()])


# --- over HTTP --------------------------------------------------------------------------------------------------------


def test_over_http_exactly_what_was_shown_takes_effect(daemon: DaemonProcess) -> None:
    write(daemon, with_hot(daemon, "2..4"))
    status, shown = post(daemon)
    assert (status, shown["diff"], shown["applied"]) == (200, ["pools.images.limits.hot: 1..4 → 2..4"], False)
    goes_on(daemon)
    assert daemon.pool()["limits"]["hot"] == "1..4"

    write(daemon, with_hot(daemon, "4..4"))
    assert post(daemon, digest=shown["digest"])[0] == 409
    write(daemon, with_hot(daemon, "2..4"))
    status, done = post(daemon, digest=post(daemon)[1]["digest"], why="Friday")
    assert (status, done["applied"]) == (200, True)
    until(lambda: daemon.pool()["limits"]["hot"] == "2..4", "it was in force")
    assert post(daemon)[1]["diff"] == []


def test_over_http_a_bad_file_answers_all_its_problems_and_nobody_looks_without_the_token(
    daemon: DaemonProcess,
) -> None:
    assert post(daemon, token="guessed-guessed-guessed")[0] == 401
    write(daemon, with_hot(daemon, "many") | {"tick": "soon"})

    status, answer = post(daemon)
    assert status == 422
    assert len(answer["problems"]) == 2


def test_a_new_token_and_another_log_level_are_in_force_at_once(daemon: DaemonProcess) -> None:
    config = with_hot(daemon, "1..4") | {"log": {"format": "json", "level": "error"}}
    config["http"]["token"] = OTHER_TOKEN
    write(daemon, config)
    _, shown = post(daemon)
    assert "http.token: changed, and not shown" in shown["diff"]
    assert post(daemon, digest=shown["digest"])[0] == 200

    assert post(daemon)[0] == 401
    assert post(daemon, token=OTHER_TOKEN)[0] == 200
    assert TOKEN not in daemon.log.read_text()
    assert OTHER_TOKEN not in daemon.log.read_text()
    before = len(daemon.log.read_text())
    write(daemon, config | {"tick": "4s"})
    hang_up(daemon)
    until(lambda: post(daemon, token=OTHER_TOKEN)[1]["diff"] == [], "it was taken")
    assert len(daemon.log.read_text()) == before


# --- on the command line ----------------------------------------------------------------------------------------------


def test_the_command_shows_the_change_asks_and_applies_it(daemon: DaemonProcess) -> None:
    write(daemon, with_hot(daemon, "2..4"))

    looked = run_command("reload", daemon.file, "--url", daemon.url, "--dry-run")
    assert (looked.returncode, looked.stdout) == (0, "pools.images.limits.hot: 1..4 → 2..4\n")
    unsure = run_command("reload", daemon.file, "--url", daemon.url, input="n\n")
    assert "pools.images.limits.hot: 1..4 → 2..4" in unsure.stdout
    assert "Nothing has changed." in unsure.stdout
    sure = run_command("reload", daemon.file, "--url", daemon.url, "--yes", "--why", "Friday")
    assert sure.returncode == 0, sure.stderr
    assert "In force" in sure.stdout
    until(lambda: daemon.pool()["limits"]["hot"] == "2..4", "it was in force")
    again = run_command("reload", daemon.file, "--url", daemon.url)
    assert "Nothing changes" in again.stdout
