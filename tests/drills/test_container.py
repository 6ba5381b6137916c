"""The daemon runs in a container that gives it nothing: no root, no capability, a file system that is only read.

`deploy/Dockerfile` is read here, and what it starts is started in the same way on this machine: as its user, without
capabilities, on a root file system mounted read-only. It serves, ticks, rents, is found healthy by the container's own
check, and ends with 0 on SIGTERM.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.confined import USER, confined
from tests.support.daemon_process import AUTOSCALER, DaemonProcess, a_config
from tests.support.dockerfile import ROOT, health_check, instructions, last
from tests.support.real_time import until

_READS_ALL = 1 << 2  # CAP_DAC_READ_SEARCH


# --- what the file says -----------------------------------------------------------------------------------------------


def test_the_image_is_not_roots_and_needs_no_shell() -> None:
    assert last("USER") == f"{USER}:{USER}"
    assert USER.isdecimal()
    assert int(USER) > 0
    for name, words in instructions():
        if name in ("RUN", "CMD", "ENTRYPOINT"):
            assert isinstance(json.loads(words), list), f"{name} {words}: a shell would swallow SIGTERM"
    assert json.loads(last("ENTRYPOINT"))[-1].endswith("/bin/autoscaler")
    assert json.loads(last("CMD")) == ["--help"], "what rents machines is asked for"


def test_only_what_was_locked_is_installed_and_only_our_sources_are_sent() -> None:
    for name, words in instructions():
        if name == "RUN" and "install" in words and "uninstall" not in words:
            assert "--require-hashes" in words or "--no-deps" in words, words
        assert name != "ADD", "it fetches whatever it is told"
    copied = [
        source
        for name, words in instructions()
        if name == "COPY" and not words.startswith("--from")
        for source in words.split()[:-1]
    ]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    assert let_through == set(copied)
    assert "*" in ignored
    assert all((ROOT / source).exists() for source in copied)


# --- what it starts ---------------------------------------------------------------------------------------------------


@pytest.fixture
def daemon(tmp_path: Path, redis_url: str) -> Iterator[DaemonProcess]:
    """A daemon as the container starts it."""
    config = a_config(tmp_path, redis_url, mock={"setup": "300ms..500ms", "state_file": None})
    confined_daemon = DaemonProcess(tmp_path, config | {"tick": "200ms"})
    confined_daemon.file.write_text(yaml.safe_dump(confined_daemon.config))
    for directory in (tmp_path, *tmp_path.parents[:3]):
        if directory.stat().st_uid == os.geteuid() and directory != Path("/tmp"):
            directory.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    with confined_daemon.log.open("wb") as log:
        command = confined([AUTOSCALER, "run", str(confined_daemon.file)])
        confined_daemon._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    yield confined_daemon
    confined_daemon.kill()


def test_the_daemon_works_where_it_may_write_nothing(daemon: DaemonProcess, tmp_path: Path) -> None:
    daemon.wait_ready()
    until(lambda: daemon.pool()["phases"]["hot"] >= 1, "a machine was HOT")

    seen = Path(f"/proc/{daemon.process.pid}")
    status = dict(line.split(":\t", 1) for line in (seen / "status").read_text().splitlines() if ":\t" in line)
    assert set(status["Uid"].split()) == {USER}
    assert int(status["CapPrm"], 16) & ~_READS_ALL == 0
    root = [line.split()[3] for line in (seen / "mounts").read_text().splitlines() if line.split()[1] == "/"]
    assert [options.partition(",")[0] for options in root] == ["ro"]

    port = daemon.config["http"]["listen"].rpartition(":")[2]
    assert subprocess.run(health_check(port), check=False).returncode == 0
    assert daemon.terminate() == 0
    assert "Traceback" not in daemon.log.read_text()
    assert subprocess.run(health_check(port), capture_output=True, check=False).returncode != 0
