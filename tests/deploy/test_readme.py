"""deploy/README.md is walked from its first command to its last, as root of a fresh machine with a real systemd.

What fetches something from elsewhere, and what only a person can do, is named below; all else is run as it stands.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.real_time import until
from tests.support.systemd import Systemd

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "deploy" / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
FETCHES = ("apt-get install", "git clone", "git pull")
"""Packages are this machine's, the sources this tree: what gets them is not run."""
BY_HAND = ("read -rs KEY", "ufw ")
"""A key that somebody types; a firewall, which this kernel's namespaces need not have."""
LIVE = "check /etc/autoscaler/fleet.yaml --providers"
"""It asks the vendor."""


def is_run(block: str) -> bool:
    return not block.startswith(FETCHES) and not any(word in block for word in (*FETCHES, *BY_HAND, LIVE))


def test_hardly_anything_is_left_out() -> None:
    left_out = [block.splitlines()[0] for block in BLOCKS if not is_run(block)]
    assert len(left_out) == 7, left_out
    assert sum(map(is_run, BLOCKS)) == 7


def test_every_file_that_it_names_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE)
    paths = re.findall(r"/opt/gpu-autoscaler/([\w./-]+)", PAGE)
    assert [link for link in links if not (ROOT / "deploy" / link).exists()] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Systemd]:
    """A machine with the packages that the page has installed, and the sources; nothing else."""
    if missing := [name for name in ("redis-server", "caddy") if not shutil.which(name)]:
        pytest.skip(f"{' and '.join(missing)} not installed")
    started = Systemd(tmp_path, {"opt/gpu-autoscaler/.placeholder": "", "root/.profile": ""})
    started.run(
        "sh", "-c", "rm -rf /opt/autoscaler /usr/local/bin/autoscaler; mount --bind /opt/src /opt/gpu-autoscaler"
    )
    yield started
    started.stop()


@pytest.mark.timeout(300)
def test_from_zero_to_production_every_command_does_what_it_should(server: Systemd) -> None:
    said = ""
    for block in filter(is_run, BLOCKS):
        fetches = "pip install" in block
        script = f"export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root\n{block}"
        done = server.run("bash", "-e", "-c", script, outside=fetches)
        assert done.returncode == 0, (
            f"{block}\n{done.stdout}\n{done.stderr}\n{server.run('journalctl', '-n', '20').stdout}"
        )
        said += done.stdout

    assert "Next: autoscaler plan /etc/autoscaler/fleet.yaml" in said  # `check`
    assert "images" in said  # `queue`, with the rights that --acl printed
    assert '"ready": true' in said
    assert "fleet production" in said
    assert server.show("autoscaler", "ActiveState") == "active"
    assert server.show("caddy", "ActiveState") == "active"

    server.run("redis-cli", "rpush", "jobs:pro", "a job")
    until(lambda: '"waiting": 1' in server.get("http://127.0.0.1:8080/api/v1/status"), "the job was seen")
    assert "NOPERM" in server.run("sh", "-c", _AS_DAEMON + "lpop jobs:pro").stdout
    assert server.run("systemctl", "restart", "redis-server").returncode == 0
    until(lambda: server.run("sh", "-c", _AS_DAEMON + "llen jobs:pro").stdout.strip() == "1", "all was kept")


_AS_DAEMON = 'REDISCLI_AUTH="$(cat /etc/autoscaler/secrets/redis)" redis-cli --user autoscaler '
