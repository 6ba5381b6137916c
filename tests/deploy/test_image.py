"""The image: its steps are done, on nothing but what an engine would be sent, and what they made is started.

No engine is at hand. What the started daemon may do is drilled in tests/drills/test_container.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dockerfile import DOCKERFILE, ROOT, build, health_check, instructions, last
from tests.support.environments import DEPLOY_TOOLS
from tests.support.real_time import until
from tests.support.redis_server import free_port


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the built program lies."""
    try:
        return build(tmp_path_factory.mktemp("image"))
    except subprocess.CalledProcessError as error:
        if "--require-hashes" in error.cmd and "Could not find a version" in error.stderr:
            pytest.skip("no package index is to be had here")
        raise AssertionError(error.stderr) from error


def started(home: Path, *words: str) -> list[str]:
    """The image's command line with these words, or with those that it has by itself."""
    [entry] = json.loads(last("ENTRYPOINT"))
    return [str(home / "bin" / Path(entry).name), *(words or json.loads(last("CMD")))]


def environment() -> dict[str, str]:
    """The image's own environment."""
    return dict(re.findall(r"(\w+)=(\S+)", last("ENV")))


def test_the_linter_has_nothing_to_say() -> None:
    DEPLOY_TOOLS.require()
    linted = subprocess.run(
        [DEPLOY_TOOLS.home / "bin" / "hadolint", DOCKERFILE], check=False, capture_output=True, text=True
    )
    assert (linted.returncode, linted.stdout) == (0, "")


def test_it_is_labelled_with_the_version_and_licence_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', last("LABEL")))
    arguments = dict(words.split("=", 1) for name, words in instructions() if name == "ARG")

    assert labels["title"] == project["name"]
    assert labels["description"] == project["description"]
    assert labels["licenses"] == project["license"]
    assert labels["version"] == "${VERSION}"
    assert arguments["VERSION"] == project["version"]


def test_it_holds_what_was_locked_and_nothing_that_installs(home: Path) -> None:
    there = {each.name.partition("-")[0].lower() for each in home.glob("lib/*/site-packages/*.dist-info")}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "deploy/requirements.txt").read_text(), flags=re.MULTILINE))
    needed = {name.replace("-", "_") for name in locked - {"hatchling", "editables"}}
    assert there == needed | {"gpu_autoscaler"}


def test_started_with_nothing_it_says_what_it_can_do(home: Path) -> None:
    done = subprocess.run(started(home), env=environment(), capture_output=True, text=True, check=True)
    assert "autoscaler run --demo" in done.stdout


@pytest.fixture
def demo(home: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`docker run IMAGE run --demo`, and the port that it publishes."""
    listen = environment()["AUTOSCALER_LISTEN"].replace("8080", str(port := free_port()))
    config = (home / "../../src/autoscaler/demo.yaml").read_text().replace("embedded", f"embedded:{free_port()}")
    [installed] = home.glob("lib/*/site-packages/autoscaler/demo.yaml")
    installed.write_text(config)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            started(home, "run", "--demo"),
            env=environment() | {"AUTOSCALER_LISTEN": listen},
            cwd="/",
            stdout=log,
            stderr=log,
        )
    yield process, port
    process.kill()
    process.wait()


def test_its_demo_answers_outside_is_found_healthy_and_ends_on_sigterm(
    home: Path, demo: tuple[subprocess.Popen[bytes], int]
) -> None:
    process, port = demo
    check = health_check(str(port), str(home / "bin" / "python"))
    until(lambda: subprocess.run(check, capture_output=True, check=False).returncode == 0, "it was healthy")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/status", timeout=5) as answer:
        assert json.load(answer)["fleet"] == "demo"
    process.terminate()
    assert process.wait(30) == 0


def test_the_page_and_the_packaged_files_are_in_the_image(home: Path) -> None:
    [package] = home.glob("lib/*/site-packages/autoscaler")
    files = subprocess.run(
        ["git", "ls-files", "autoscaler"], cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ
    ).stdout.split()
    if not files:
        pytest.skip("not a clone of the repository")
    missing = [each for each in files if not (package.parent / each).exists()]
    assert missing == []
