"""An operator's hand on a running daemon: by the command line through Redis, and through the API with a token."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.store.keys import Keys
from tests.support.daemon_process import DaemonProcess, Json, a_config, autoscaler
from tests.support.real_time import until

TOKEN = "a-token-of-the-tests-alone"
SPEED = 120.0


@pytest.fixture
def daemon(client: Any, redis_url: str, tmp_path: Path) -> Iterator[DaemonProcess]:
    config = a_config(tmp_path, redis_url, mock={"foreign": ["somebody's"], "setup": "1m..1m"})
    config["http"]["token"] = TOKEN
    process = DaemonProcess(tmp_path, config, "--speed", str(SPEED))
    process.start()
    process.wait_ready()
    until(lambda: process.pool()["phases"]["hot"] == 1, "the first machine was up")
    yield process
    process.kill()


def run(daemon: DaemonProcess, *words: str) -> str:
    """A command that succeeds."""
    done = autoscaler(*words[:1], *words[1:], daemon.file, "--by", "ada")
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(daemon: DaemonProcess, *words: str) -> list[str]:
    done = autoscaler(*words, daemon.file, "--by", "ada")
    assert done.returncode == 2, done.stdout
    return done.stderr.splitlines()


def journal(daemon: DaemonProcess) -> list[str]:
    entries = daemon.ask("/api/v1/journal")[1]["entries"]
    return [entry["text"] for entry in entries if entry["kind"] == "operator"]


def the_machine(daemon: DaemonProcess) -> Json:
    [machine] = daemon.ask("/api/v1/instances")[1]["instances"]
    return dict(machine)


def test_a_floor_is_held_for_as_long_as_ordered_though_the_daemons_clock_runs_ahead(daemon: DaemonProcess) -> None:
    said = run(daemon, "floor", "3", "--for", "20m", "--why", "launch")
    assert said.splitlines() == [
        "Given: floor 3 by ada, for 20m: launch",
        f"Next:  autoscaler withdraw floor {daemon.file}",
    ]
    until(lambda: daemon.pool()["up"] == 3, "three machines were up")
    assert "floor  floor 3 by ada, for 20m: launch  [until" in run(daemon, "orders")
    why = autoscaler("why", "--url", daemon.url).stdout
    assert "at least 3 ordered by ada for" in why
    until(lambda: not daemon.ask("/api/v1/status")[1]["orders"], "the order was over", patience_s=30.0)
    assert journal(daemon)[:2] == [
        "order is over: floor 3 by ada, for 20m: launch",
        "order given: floor 3 by ada, for 20m: launch",
    ]


def test_a_ceiling_of_none_ends_all_and_is_withdrawn_by_its_name(daemon: DaemonProcess) -> None:
    run(daemon, "ceiling", "0", "--pool", "images")
    until(lambda: daemon.pool()["phases"]["hot"] == 0, "nothing ran")
    assert run(daemon, "withdraw", "ceiling:images") == "Withdrawn: ceiling:images\n"
    until(lambda: daemon.pool()["phases"]["hot"] == 1, "the floor of the limits was back")
    assert journal(daemon)[0] == "order withdrawn by ada: ceiling 0 images by ada"


def test_a_machine_is_replaced_and_gone_once_it_is_released(daemon: DaemonProcess) -> None:
    old = the_machine(daemon)["id"]
    run(daemon, "release", old)
    until(lambda: not daemon.ask("/api/v1/status")[1]["orders"], "the order was fulfilled")
    until(lambda: daemon.pool()["phases"]["hot"] == 1, "another machine was up")
    assert the_machine(daemon)["id"] != old
    assert f"order is fulfilled, the machine is gone: release {old} by ada" in journal(daemon)


def test_a_machine_of_the_account_is_adopted(daemon: DaemonProcess) -> None:
    run(daemon, "adopt", "mock/foreign-1", "--pool", "images", "--why", "rented by hand")
    until(
        lambda: any("is fulfilled, the machine is mock-foreign-1 of images" in text for text in journal(daemon)),
        "it was",
    )


def test_what_cannot_be_ordered_is_refused_with_a_line_for_each_problem(daemon: DaemonProcess) -> None:
    assert refused(daemon, "floor", "9", "--why", "x" * 201) == [
        "error: why: 201 characters, expected 200 at most",
        "error: a floor of 9 is above what images may run: 4 by its limits.hot",
    ]
    [line] = refused(daemon, "drain", "nobody")
    assert line.startswith("error: there is no machine 'nobody'; `autoscaler status` shows their ids")
    [line] = refused(daemon, "withdraw", "floor")
    assert line == "error: no order 'floor' stands; `autoscaler orders` lists those that do"


def test_a_provider_that_the_file_names_no_more_can_be_evacuated(daemon: DaemonProcess, tmp_path: Path) -> None:
    after: Json = deepcopy(dict(daemon.config))
    after["providers"] = {"other": {"kind": "mock"}}
    after["pools"]["images"]["placements"][0]["provider"] = "other"
    file = tmp_path / "after.yaml"
    file.write_text(yaml.safe_dump(after))
    given = autoscaler("evacuate", "mock", file, "--by", "ada")
    assert given.stdout.startswith("Given: evacuate mock by ada"), given.stderr
    assert autoscaler("evacuate", "mok", file).stderr == "error: there is no provider 'mok'; providers: mock, other\n"


def test_it_asks_before_it_kills_jobs(daemon: DaemonProcess) -> None:
    machine = the_machine(daemon)["id"]
    asked = autoscaler("release", machine, daemon.file, "--lose-jobs", input="n\n")
    assert asked.returncode == 1
    assert f"Jobs on {machine} are killed and lost." in asked.stdout
    assert run(daemon, "orders") == "No order stands.\n"


def test_the_same_goes_through_the_api_with_its_token(daemon: DaemonProcess) -> None:
    by_api = ("--url", daemon.url, "--by", "ada")
    [line] = autoscaler("pause", *by_api, "--token", "a-wrong-token-altogether").stderr.splitlines()
    assert line.startswith(f"error: --token: not that of the daemon at {daemon.url}; give its http.token")
    [line] = autoscaler("pause", *by_api, "--token", "").stderr.splitlines()
    assert line.startswith(f"error: --token: missing, and needed by the daemon at {daemon.url}")
    done = autoscaler("evacuate", "mock", *by_api, "--token", TOKEN)
    assert "images may rent nowhere else" in done.stdout, done.stderr
    assert "evacuate:mock  evacuate mock by ada" in autoscaler("orders", *by_api).stdout
    [line] = autoscaler("floor", "9", *by_api, "--token", TOKEN).stderr.splitlines()
    assert line == "error: a floor of 9 is above what images may run: 4 by its limits.hot"
    assert autoscaler("withdraw", "evacuate:mock", *by_api, "--token", TOKEN).returncode == 0
    assert autoscaler("orders", *by_api).stdout == "No order stands.\n"


def test_what_nobody_takes_care_of_is_shown_and_its_release_ordered_while_no_daemon_runs(
    daemon: DaemonProcess, client: Any
) -> None:
    said = "Nothing to reap: 1 machine with the fleet's label listed, each with a record, a pool and a way out.\n"
    assert autoscaler("reap", "--url", daemon.url).stdout == said
    daemon.terminate()
    assert run(daemon, "reap", "--dry-run") == said
    client.delete(Keys(str(daemon.config["fleet"])).instances)
    assert "no record names it" in run(daemon, "reap", "--dry-run")
    assert run(daemon, "orders") == "No order stands.\n"
    said = run(daemon, "reap", "--yes")
    assert "by ada: reaped, no record names it" in said
    assert "Note:  no daemon leads attic now: it is carried out once one does (autoscaler run)" in said
    daemon.start()
    daemon.wait_ready()
    until(lambda: any("is fulfilled" in text for text in journal(daemon)), "it was released")
