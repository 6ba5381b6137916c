"""A provider that another package brings: installed as pip would, and used by the real command line."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from autoscaler.emulate.serve import application
from autoscaler.runtime.clock import SystemClock
from tests.support.acme_cloud import KEY, AcmeCloud
from tests.support.market import CALM

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "example-provider"
FILES = ("pyproject.toml", "acme_cloud/wire.py", "acme_cloud/adapter.py")
FLEET = """\
fleet: f
pools:
  images:
    queue: {kind: list, tiers: [{name: pro, key: jobs:pro}]}
    machine: {image: i, gpus: [RTX 4090]}
    placements: [{provider: acme, max_usd_per_hour: 1.2}]
    limits: {hot: 1..6}
providers:
  acme: {api_key: "${ACME_KEY}"}
"""


def install(site: Path, name: str, entry_points: dict[str, str], **modules: str) -> None:
    """Lay a distribution down as an installer does, with its modules."""
    site.mkdir(exist_ok=True)
    for module, text in modules.items():
        (site / f"{module}.py").write_text(text)
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    points = "\n".join(f"{point} = {value}" for point, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[gpu_autoscaler.providers]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory of installed packages with the example in it, by what its own pyproject says."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    site = tmp_path / "site"
    install(site, project["name"], project["entry-points"]["gpu_autoscaler.providers"])
    (site / "acme_cloud").symlink_to(EXAMPLE / "acme_cloud")
    return site


def environment(site: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(site), "ACME_KEY": KEY, "COLUMNS": "200"}


def autoscaler(site: Path, *arguments: str, fleet: str = FLEET) -> subprocess.CompletedProcess[str]:
    """What the command line does where these packages are installed."""
    (site.parent / "fleet.yaml").write_text(fleet)
    return subprocess.run(
        [sys.executable, "-c", "from autoscaler.cli import main; main()", *arguments],
        env=environment(site),
        cwd=site.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_configuration_may_name_it_and_its_settings(site: Path) -> None:
    done = autoscaler(site, "check", "fleet.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "on demand at acme, up to 1.2 USD per hour" in done.stdout


def test_its_defaults_are_shown_and_its_secrets_are_not(site: Path) -> None:
    done = autoscaler(site, "check", "--full", "fleet.yaml")
    assert "url: https://api.acme.example" in done.stdout
    assert "***" in done.stdout
    assert KEY not in done.stdout


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        ("acme: {api_kee: x}", 'did you mean "api_key"?'),
        ("acme: {kind: acmee, api_key: x}", 'did you mean "acme"?'),
        ("acme: {}", "api_key: missing - The account's key"),
    ],
)
def test_mistakes_in_its_settings_are_told_as_those_in_ours(site: Path, mistake: str, hint: str) -> None:
    fleet = FLEET.replace('acme: {api_key: "${ACME_KEY}"}', mistake)
    done = autoscaler(site, "check", "fleet.yaml", fleet=fleet)
    assert done.returncode == 2
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_the_schema_for_editors_knows_its_settings(site: Path) -> None:
    schema = json.loads(autoscaler(site, "schema").stdout)
    assert schema["$defs"]["AcmeSettings"]["properties"]["api_key"]["description"] == "The account's key."


BROKEN = {
    "ImportError: no such luck": {"raise": "raise ImportError('no such luck\\nand more')"},
    "TypeError: expected a providers.kind.ProviderKind, and bad:KIND is a str": {"raise": "KIND = 'bad'"},
    "AttributeError: module 'bad' has no attribute 'KIND'": {"raise": ""},
    "calls itself mock, which there is already": {"raise": "from providers.mock import KIND"},
    "KeyError: 'kind'": {
        "raise": """
from dataclasses import dataclass
from providers.base import Capabilities
from providers.kind import ProviderKind
@dataclass
class Settings: ...
KIND = ProviderKind(settings=Settings, capabilities=Capabilities(), make=print)
"""
    },
}


@pytest.mark.parametrize("told", BROKEN)
def test_a_broken_one_is_one_line_and_exit_code_2(site: Path, told: str) -> None:
    install(site, "their-provider", {"theirs": "bad:KIND"}, bad=BROKEN[told]["raise"])
    done = autoscaler(site, "check", "fleet.yaml")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("error: the provider theirs of their-provider")
    assert told in line


def test_a_broken_one_does_not_keep_the_help_from_being_shown(site: Path) -> None:
    install(site, "their-provider", {"theirs": "bad:KIND"}, bad="raise ImportError")
    assert autoscaler(site, "--help").returncode == 0


@dataclass(frozen=True, slots=True)
class Cloud:
    """The made-up cloud, and a Redis to go with it."""

    url: str
    redis_url: str


@pytest.fixture
async def cloud(redis_url: str) -> AsyncIterator[Cloud]:
    """The made-up cloud on a port."""
    runner = web.AppRunner(application(AcmeCloud(CALM, SystemClock().now)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Cloud(f"http://127.0.0.1:{runner.addresses[0][1]}", redis_url)
    await runner.cleanup()


@pytest.mark.parametrize(("key", "told"), [(KEY, "rent"), ("wrong-0123456789", "no such key: Bearer ***")])
@pytest.mark.parametrize("command", ["plan", "run --once"])
async def test_the_daemon_works_with_it_and_never_shows_its_key_though_the_vendor_repeats_it(
    site: Path, cloud: Cloud, key: str, told: str, command: str
) -> None:
    provider = f'acme: {{api_key: "{key}", url: "{cloud.url}"}}'
    fleet = f"redis: {cloud.redis_url}\n" + FLEET.replace('acme: {api_key: "${ACME_KEY}"}', provider)
    done = await asyncio.to_thread(autoscaler, site, *command.split(), "fleet.yaml", fleet=fleet)
    said = done.stdout + done.stderr
    assert told in said
    assert key not in said


def test_contributing_shows_the_example_as_it_is() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## A provider\n")[2].partition("\n## ")[0]
    shown = dict(re.findall(r"(?ms)^`deploy/example-provider/([\w./]+)`:\n\n```\w+\n(.*?)^```$", section))
    assert shown == {name: (EXAMPLE / name).read_text() for name in FILES}


def test_the_example_is_whole_in_fewer_than_150_lines() -> None:
    files = [path for path in EXAMPLE.rglob("*") if path.suffix in (".py", ".toml")]
    assert {str(path.relative_to(EXAMPLE)) for path in files if path.stat().st_size} == set(FILES)
    assert sum(len(path.read_text().splitlines()) for path in files) < 150
