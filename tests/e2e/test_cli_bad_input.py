"""Bad input at the start ends the real command with a line and exit code 2, before anything is touched."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon_process import Json, a_config, autoscaler, connect
from tests.support.redis_server import RedisServer

Spoil = Callable[[Json], object]


def pool(config: Json) -> Json:
    return dict(config["pools"]["images"])


# One that the file shows by itself, and one that is known once its parts are made; tests/config has all others.
MISTAKES: dict[str, tuple[Spoil, str]] = {
    "an unknown provider": (
        lambda config: pool(config)["placements"][0].update(provider="mok"),
        r'pools\.images\.placements.*provider.*mok.*did you mean "mock"',
    ),
    "a state file in no directory": (
        lambda config: config["providers"]["mock"].update(state_file="/nowhere/at/all.json"),
        r"state_file: /nowhere/at is no directory; expected",
    ),
}


def the_line(result: Any) -> str:
    """The one line on standard error of a command that ended with bad input."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    [line] = result.stderr.splitlines()
    return str(line)


@pytest.mark.parametrize("command", ["run", "plan", "pause"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_is_one_line_with_key_value_and_expectation(
    mistake: str, command: str, client: Any, redis_url: str, tmp_path: Path
) -> None:
    spoil, expected = MISTAKES[mistake]
    config = a_config(tmp_path, redis_url)
    spoil(config)
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(config))
    assert re.search(expected, the_line(autoscaler(command, file)))
    assert client.dbsize() == 0


def test_broken_yaml_is_one_line_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("fleet: attic\npools: {images: [\n")
    assert re.search(r"line \d+", the_line(autoscaler("run", file)))


@pytest.mark.parametrize("name", [".", "missing.yaml"])
def test_a_file_that_cannot_be_read_is_one_line_that_names_it(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    assert f"{file}: cannot be read" in the_line(autoscaler("run", file))


def test_demo_takes_no_file(tmp_path: Path) -> None:
    result = autoscaler("run", "--demo", tmp_path / "fleet.yaml")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("Error: --demo brings its own configuration")


def test_no_clock_runs_fast_where_machines_are_real(tmp_path: Path) -> None:
    config = a_config(tmp_path, "embedded")
    config["providers"]["vastai"] = {"api_key": "k3y", "url": "http://127.0.0.1:1"}
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(config))
    result = autoscaler("run", "--speed", "60", file)
    assert result.returncode == 2
    assert (
        result.stderr.splitlines()[-1]
        == "Error: --speed 60: vastai rents real machines, where time is real; drop --speed"
    )


@pytest.fixture
def locked(tmp_path: Path, redis_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that wants a password."""
    server = RedisServer(tmp_path)
    server.start()
    with connect(server.url) as client:
        client.config_set("requirepass", "sesame")
    yield server
    server.stop()


@pytest.mark.parametrize("password", ["", ":open-up@"])
def test_a_wrong_password_is_one_line_that_does_not_tell_it(password: str, locked: RedisServer, tmp_path: Path) -> None:
    url = locked.url.replace("//", f"//{password}")
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(a_config(tmp_path, url)))
    line = the_line(autoscaler("run", file))
    assert "redis: Redis refused the user name or password; " in line
    assert "open-up" not in line
    with connect(locked.url.replace("//", "//:sesame@")) as client:
        assert client.dbsize() == 0


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_a_taken_http_port_is_one_line_and_nothing_is_written(
    taken: int, client: Any, redis_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(a_config(tmp_path, redis_url) | {"http": {"listen": f"127.0.0.1:{taken}"}}))
    assert f"http.listen: 127.0.0.1:{taken} is taken" in the_line(autoscaler("run", file))
    assert client.dbsize() == 0


def test_a_taken_port_for_the_embedded_redis_is_one_line(taken: int, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(a_config(tmp_path, f"embedded:{taken}")))
    assert f"redis: port {taken} is taken" in the_line(autoscaler("run", file))
