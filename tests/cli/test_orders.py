"""The commands of an operator's hand, as far as they go without a daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from autoscaler.cli import COMMANDS, main
from tests.support.daemon_process import a_config
from tests.support.redis_server import free_port

HAND = sorted(name for name, where in COMMANDS.items() if ".cli.orders:" in where or ".cli.reap:" in where)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, env={"COLUMNS": "120"})


@pytest.mark.parametrize("name", HAND)
def test_each_teaches_by_an_example_and_takes_who_and_why(name: str) -> None:
    said = run(name, "--help").output
    assert f"  autoscaler {name} " in said
    assert "--by" in said
    assert "--why" in said


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("floor",), "Missing argument 'COUNT'"),
        (("floor", "-1"), "No such option"),
        (("floor", "many"), "'many' is not a valid integer"),
        (("ceiling", "3", "--for", "soon"), "Invalid value for '--for': soon"),
        (("ceiling", "3", "--for", "0s"), "expected more than 0s"),
        (("adopt", "mock/1"), "Missing option '--pool'"),
        (("reap", "--url", "http://127.0.0.1:1"), "no daemon answers at http://127.0.0.1:1"),
        (("orders", "--url", "nonsense"), "--url nonsense: expected an address"),
        (("pause", "--url", "http://127.0.0.1:1"), "no daemon answers at http://127.0.0.1:1"),
        (("pause", "--url", "http://127.0.0.1:1", "--token", "secret\n"), "--token: has a line break"),
        (("pause", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_bad_input_ends_with_code_2_and_says_what_is_wrong(words: tuple[str, ...], problem: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert problem in done.output


def test_where_a_provider_cannot_be_listed_nothing_is_said_to_be_in_order(tmp_path: Path, redis_url: str) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(a_config(tmp_path, redis_url, mock={"faults": {"listing_fails": 1.0}})))
    done = run("reap", str(file), "--dry-run")
    assert done.exit_code == 1
    assert done.output == "error: mock: 503: temporarily unavailable\n"


def test_a_market_in_the_memory_of_the_daemon_is_not_said_to_be_empty(tmp_path: Path, redis_url: str) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(a_config(tmp_path, redis_url, mock={"state_file": None})))
    why = "this mock market is inside the daemon: ask the daemon with --url"
    done = run("reap", str(file), "--dry-run")
    assert done.exit_code == 1
    assert done.output.startswith(f"error: mock: {why}")
    done = run("adopt", "mock/m1", str(file), "--pool", "images")
    assert done.exit_code == 2
    assert f"mock cannot be listed now ({why}" in done.output


def test_a_redis_that_lives_inside_a_daemon_that_does_not_run_is_told_of_as_such(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(a_config(tmp_path, f"embedded:{free_port()}")))
    done = run("pause", str(file))
    assert done.exit_code == 2
    assert done.output == f"error: its Redis is inside the daemon, which does not run: autoscaler run {file}\n"
