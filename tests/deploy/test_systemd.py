"""deploy/systemd/autoscaler.service: systemd takes it, and runs the daemon by it with no more rights than it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon_process import AUTOSCALER
from tests.support.real_time import until
from tests.support.redis_server import free_port
from tests.support.systemd import Systemd

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "autoscaler.service"
SERVICE = UNIT.name
CREDENTIAL = "/run/credentials/autoscaler.service/token"
DROP_IN = "[Service]\nLoadCredential=token:/etc/autoscaler/secrets/token\n"


@pytest.fixture
def analyze() -> str:
    if (program := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed")
    return program


def test_systemd_finds_no_mistake_in_it(analyze: str, tmp_path: Path) -> None:
    unit = tmp_path / SERVICE
    unit.write_text(UNIT.read_text().replace("/opt/autoscaler/bin/autoscaler", AUTOSCALER))
    found = subprocess.run([analyze, "verify", "--man=no", unit], check=False, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


def test_it_is_as_little_exposed_as_the_page_says(analyze: str) -> None:
    command = [analyze, "security", "--offline=true", "--no-pager", str(UNIT)]
    told = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    [score] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", told)
    [stated] = re.findall(r"`systemd-analyze security`\s+rates\s+it\s+([\d.]*\d)", (DEPLOY / "README.md").read_text())
    assert float(score) <= float(stated) <= 1.1


# --- run by a real systemd --------------------------------------------------------------------------------------------


class Served:
    """The daemon as a service."""

    def __init__(self, directory: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        config = {
            "fleet": "unit",
            "tick": "200ms",
            "redis": f"embedded:{free_port()}",
            "http": {"listen": self.url.removeprefix("http://"), "token": f"${{file:{CREDENTIAL}}}"},
            "pools": {
                "images": {
                    "queue": {"kind": "list", "tiers": [{"name": "pro", "key": "jobs:pro"}]},
                    "machine": {"image": "ghcr.io/acme/comfy:1.4", "gpus": ["RTX 4090"], "ready": "running"},
                    "placements": [{"provider": "mock", "max_usd_per_hour": 0.9}],
                }
            },
            "providers": {"mock": {"state_file": "/var/lib/autoscaler/market.json"}},
        }
        files = {
            "etc/systemd/system/autoscaler.service": UNIT.read_text(),
            "etc/systemd/system/autoscaler.service.d/token.conf": DROP_IN,
            "etc/autoscaler/fleet.yaml": yaml.safe_dump(config),
            "etc/autoscaler/secrets/token": "0123456789abcdef0123456789abcdef\n",
        }
        self.systemd = Systemd(directory, files)
        self.systemd.run("useradd", "--system", "autoscaler")

    def ask(self, path: str) -> Any:
        """An answer of the daemon; None while there is none."""
        return json.loads(self.systemd.get(self.url + path) or "null")

    def wait_ready(self) -> None:
        until(lambda: self.ask("/readyz"), f"the daemon was ready; it said:\n{self.log()}")

    def log(self) -> str:
        """All that the journal has of it."""
        return self.systemd.run("journalctl", "--unit", SERVICE, "--output", "cat", "--no-pager").stdout

    def process(self, name: str) -> str:
        """A line of its main process' status."""
        status = Path("/proc") / self.systemd.show(SERVICE, "MainPID") / "status"
        [line] = re.findall(rf"^{name}:\t(.*)$", self.systemd.run("cat", str(status)).stdout, re.MULTILINE)
        return str(line)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    service = Served(tmp_path_factory.mktemp("systemd"))
    started = service.systemd.ctl("start", SERVICE)
    assert started.returncode == 0, started.stderr
    service.wait_ready()
    yield service
    service.systemd.stop()


def test_it_works_without_a_single_right(served: Served) -> None:
    assert "0" not in served.process("Uid").split()
    assert {int(served.process(name), 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert served.process("NoNewPrivs") == "1"
    assert served.process("Seccomp") == "2"
    assert "Traceback" not in served.log()


def test_a_credential_is_read_by_it_alone_and_its_state_is_kept(served: Served) -> None:
    owner, mode = served.systemd.run("stat", "--format", "%u %a", CREDENTIAL).stdout.split()
    assert (owner, mode) == (served.process("Uid").split()[0], "400")
    kept = "/var/lib/autoscaler/market.json"
    until(lambda: served.systemd.run("test", "-s", kept).returncode == 0, "the market was kept")


def test_a_reload_reads_the_file_again(served: Served) -> None:
    assert served.systemd.ctl("reload", SERVICE).returncode == 0
    until(lambda: "is in force already" in served.log(), "it said so")


def test_one_that_dies_is_started_again_with_the_same_machines(served: Served) -> None:
    machines = until(lambda: served.ask("/api/v1/instances")["instances"], "there was a machine")
    served.systemd.ctl("kill", "--signal", "KILL", SERVICE)
    until(lambda: served.systemd.show(SERVICE, "NRestarts") == "1", "it was started again")
    served.wait_ready()
    again = until(lambda: served.ask("/api/v1/instances")["instances"], "they were found")
    assert {each["id"] for each in machines} <= {each["id"] for each in again}


def test_one_that_is_stopped_ends_well_and_one_with_a_bad_file_is_not_tried_again(served: Served) -> None:
    assert served.systemd.ctl("stop", SERVICE).returncode == 0
    assert served.systemd.show(SERVICE, "Result") == "success"
    served.systemd.run("sed", "--in-place", "s/^fleet:.*/fleet: {}/", "/etc/autoscaler/fleet.yaml")
    served.systemd.ctl("start", SERVICE)
    until(lambda: served.systemd.show(SERVICE, "ActiveState") == "failed", "it was given up")
    assert served.systemd.show(SERVICE, "ExecMainStatus") == "2"
    assert served.systemd.show(SERVICE, "SubState") == "failed"
    assert "error: fleet" in served.log()
