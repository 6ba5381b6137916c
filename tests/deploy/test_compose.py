"""deploy/compose.yaml: its schema takes it, all that it mounts is there, and each part does what it is told.

No engine is at hand: the programs of this machine stand for those of the images, with the same files and arguments.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from tests.support.daemon_process import DaemonProcess, autoscaler
from tests.support.dockerfile import last
from tests.support.environments import DEPLOY_TOOLS
from tests.support.real_time import until
from tests.support.redis_server import free_port
from tests.test_docs import resolved

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = sorted(SERVICES.keys() - {"secrets"})


def mounts(service: str) -> Iterator[tuple[str, str]]:
    """What a service mounts, with defaults for variables, and where."""
    for mount in SERVICES[service]["volumes"]:
        source, target = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", mount).removesuffix(":ro").split(":")
        yield source, target


def here(service: str, path: str) -> Path:
    """The file on the host that a service finds under a path."""
    for source, target in mounts(service):
        if path == target or path.startswith(target + "/"):
            return Path(str(DEPLOY / source) + path.removeprefix(target))
    raise AssertionError(f"{service} mounts nothing at {path}")


def make_secrets(directory: Path) -> Path:
    """What the service `secrets` makes, below a directory."""
    _, script, _ = SERVICES["secrets"]["entrypoint"]
    directory.mkdir(exist_ok=True)
    subprocess.run(["sh", here("secrets", script), directory], check=True)
    return directory


# --- what the file says -----------------------------------------------------------------------------------------------


def test_it_is_what_the_compose_specification_says() -> None:
    DEPLOY_TOOLS.require()
    program = str(DEPLOY_TOOLS.home / "bin" / "check-jsonschema")
    command = [program, "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_all_that_a_service_mounts_is_there_or_made_when_it_starts(service: str) -> None:
    for source, _ in mounts(service):
        if source.startswith("./secrets"):
            continue  # test_what_is_missing_is_made_and_what_is_there_is_left_alone
        there = (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        assert there, source


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_has_no_more_than_it_needs(service: str) -> None:
    settings = SERVICES[service]
    assert settings["read_only"]
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert not settings.get("privileged")
    for mount in settings["volumes"]:
        writable = not mount.endswith(":ro")
        assert not writable or mount.split(":")[0] in COMPOSE["volumes"] or service == "secrets", mount


@pytest.mark.parametrize("service", LASTING)
def test_a_service_is_reached_from_this_machine_alone(service: str) -> None:
    for port in SERVICES[service]["ports"]:
        assert ipaddress.ip_address(port.split(":")[0]).is_loopback


@pytest.mark.parametrize("service", LASTING)
def test_a_service_that_dies_is_started_again_and_one_that_hangs_is_seen(service: str) -> None:
    assert SERVICES[service]["restart"] == "unless-stopped"
    assert "healthcheck" in SERVICES[service] or (service == "autoscaler" and last("HEALTHCHECK"))


def test_no_secret_stands_in_the_environment_or_on_a_command_line() -> None:
    for settings in SERVICES.values():
        for name, value in settings.get("environment", {}).items():
            assert "PASSWORD" not in name or (name.endswith("__FILE") and value.startswith("/run/secrets/"))
        assert "password" not in " ".join(settings.get("command", []))


def test_grafana_cannot_reach_redis_nor_read_its_password() -> None:
    assert not set(SERVICES["grafana"]["networks"]) & set(SERVICES["redis"]["networks"])
    readers = {name for name in SERVICES if any(source == "./secrets/redis" for source, _ in mounts(name))}
    assert readers == {"redis", "autoscaler"}


# --- what it starts ---------------------------------------------------------------------------------------------------


def test_what_is_missing_is_made_and_what_is_there_is_left_alone(tmp_path: Path) -> None:
    secrets = make_secrets(tmp_path / "secrets")
    made = {str(file.relative_to(secrets)): file.read_text() for file in secrets.rglob("*") if file.is_file()}
    assert {*made} == {"redis/password", "redis/requirepass.conf", "grafana/password", "daemon/token"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) for name, text in made.items() if not name.endswith(".conf"))
    assert len(set(made.values())) == len(made)
    assert secrets.stat().st_mode & 0o077 == 0

    (secrets / "grafana/password").write_text("mine")
    (secrets / "daemon/token").unlink()
    make_secrets(secrets)
    assert (secrets / "grafana/password").read_text() == "mine"
    assert (secrets / "redis/password").read_text() == made["redis/password"]
    assert (secrets / "daemon/token").read_text() not in ("", made["daemon/token"])


class Queue:
    """The Redis that the file starts, on this machine."""

    def __init__(self, directory: Path) -> None:
        self.secrets = make_secrets(directory / "secrets")
        self.port = free_port()
        program, conf = SERVICES["redis"]["entrypoint"]
        config = directory / "redis.conf"
        config.write_text(self.placed(here("redis", conf).read_text()).replace("dir /data", f"dir {directory}"))
        self._command = [program, config, "--port", str(self.port)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(self.healthy, "Redis was healthy")

    def placed(self, text: str) -> str:
        """Words of the file, with secrets where they are here."""
        return text.replace("/run/secrets", str(self.secrets))

    def healthy(self) -> bool:
        """Whether the file's own check passes."""
        _, line = SERVICES["redis"]["healthcheck"]["test"]
        line = self.placed(line.replace("$$", "$")).replace("redis-cli", f"redis-cli -p {self.port}")
        return subprocess.run(["sh", "-c", line], check=False, capture_output=True).returncode == 0

    def client(self) -> redis.Redis:
        password = (self.secrets / "redis/password").read_text()
        return redis.Redis(port=self.port, password=password, decode_responses=True)

    def stop(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        pytest.skip("redis-server is not installed")
    started = Queue(tmp_path)
    yield started
    started.stop()


def test_jobs_outlive_a_crash_of_redis_and_nobody_reads_them_without_the_password(queue: Queue) -> None:
    with queue.client() as client:
        client.rpush("jobs:pro", "a job")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    queue.stop()
    assert not queue.healthy()
    queue.start()
    with queue.client() as client, redis.Redis(port=queue.port) as stranger:
        assert client.lrange("jobs:pro", 0, -1) == ["a job"]
        with pytest.raises(redis.AuthenticationError):
            stranger.lrange("jobs:pro", 0, -1)


def test_the_daemon_takes_its_configuration_and_works_on_that_redis(queue: Queue, tmp_path: Path) -> None:
    command, words = resolved(list(SERVICES["autoscaler"]["command"]))
    assert command.make_context("run", words).params["file"] == Path("/etc/autoscaler/fleet.yaml")
    text = queue.placed(here("autoscaler", "/etc/autoscaler/fleet.yaml").read_text())
    settings = yaml.safe_load(text.replace("redis://redis:6379", f"redis://127.0.0.1:{queue.port}"))
    host, _, port = settings["http"]["listen"].rpartition(":")
    assert (host, f"127.0.0.1:{port}:{port}") == ("0.0.0.0", *SERVICES["autoscaler"]["ports"])
    settings["http"]["listen"] = f"127.0.0.1:{free_port()}"

    daemon = DaemonProcess(tmp_path, settings)
    environment = {"PATH": os.environ["PATH"], **SERVICES["autoscaler"].get("environment", {})}
    checked = autoscaler("check", daemon.file, env=environment)
    assert (checked.returncode, checked.stderr) == (0, "")
    daemon.start()
    try:
        daemon.wait_ready()
        with queue.client() as client:
            client.rpush("jobs:pro", *"abc")
            until(lambda: daemon.pool()["demand"]["tiers"][0]["waiting"] == 3, "the jobs were seen", patience_s=40)
            assert client.exists("autoscaler:{compose}:lease")
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


def test_prometheus_and_grafana_find_what_they_are_told_to_read() -> None:
    flags = dict(word.removeprefix("--").split("=", 1) for word in SERVICES["prometheus"]["command"])
    file = here("prometheus", flags["config.file"])
    assert file.is_file()
    scraped = re.findall(r"[\w.-]+:\d+", file.read_text())
    assert "autoscaler:8080" in scraped
    provisioning = here("grafana", "/etc/grafana/provisioning")
    provided = [yaml.safe_load(source.read_text()) for source in provisioning.rglob("*.yml")]
    dashboards = [each["options"]["path"] for document in provided for each in document.get("providers", [])]
    assert [list(here("grafana", path).glob("*.json")) for path in dashboards]
    assert [each["url"] for document in provided for each in document.get("datasources", [])] == [
        "http://prometheus:9090"
    ]


def test_what_its_header_says_to_type_names_this_file() -> None:
    [line] = re.findall(r"^#   (docker compose .*)$", (DEPLOY / "compose.yaml").read_text(), flags=re.MULTILINE)
    words = shlex.split(line)
    assert (DEPLOY.parent / words[words.index("-f") + 1]).samefile(DEPLOY / "compose.yaml")
