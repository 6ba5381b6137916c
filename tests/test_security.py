"""docs/security.md says what is so: what vendors are asked, what rights that takes, what proves what; and the locks."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from autoscaler.core.spec import Placement
from autoscaler.core.units import Secret
from autoscaler.emulate.loopback import Loopback
from providers.http import Answer, Http, Request, Service
from providers.runpod import RunpodProvider, RunpodSettings
from tests.support import runpod, vast
from tests.support.bench import BaseBench, Means

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()
LOCKS = (".ci/requirements.txt", "deploy/requirements.txt")
DAY = "2027-01-14"


class Recorder:
    """A way to a vendor that remembers what was asked."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.asked: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.asked.append(request)
        return await self._http.send(request)

    async def close(self) -> None:
        await self._http.close()


async def use_everything(bench: BaseBench, spot: Placement, *, bids: bool) -> None:
    """Make every call of the contract, for machines on demand and spot."""
    machines = {await bench.rent_running(), await bench.rent_running(spot)}
    provider = bench.provider
    await provider.list_machines()
    for machine in machines:
        await provider.stop(machine)
        await bench.advance(bench.market.settings.stop.high)
        await provider.resume(machine)
        await bench.advance(bench.market.settings.resume.high)
    if bids:
        await provider.set_bid((await bench.rent_running(spot)), 1.0)
    await provider.balance_usd()
    await provider.billed_usd(DAY)
    for machine in machines:
        await provider.release(machine)
        await provider.release(machine)  # a second time: it is gone, and a stop of it is refused


def endpoints(asked: Iterable[Request]) -> set[str]:
    """What was asked, without the emulators' ids."""
    return {f"{each.method} {re.sub(r'/m?[0-9]+(?=/|$)', '/ID', each.path)}" for each in asked}


def table_of(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, back-ticks and header left out."""
    section = PAGE.partition(f"### {heading}\n")[2].partition("\n### ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


async def test_the_page_names_what_is_asked_of_vast_and_nothing_else() -> None:
    bench = vast.Bench()
    await use_everything(bench, vast.SPOT, bids=True)
    await bench.advance(700.0)
    await bench.provider.list_machines()

    assert {row[0].strip("`") for row in table_of("Vast.ai")} == endpoints(bench.sent)


def test_the_key_file_of_vast_grants_what_the_table_needs() -> None:
    (rights,) = re.findall(r"^\{\"api\".*\}$", PAGE, flags=re.MULTILINE)
    needed = {row[2].split("`")[1] for row in table_of("Vast.ai")}
    documented = set(re.findall(r"^\| `(\w+_\w+|misc)` \|", (ROOT / "docs/vastai.md").read_text(), flags=re.MULTILINE))

    assert set(json.loads(rights)["api"]) == needed
    assert needed <= documented


async def test_the_page_names_what_is_asked_of_runpod_and_nothing_else() -> None:
    bench = runpod.Bench()
    recorders: list[Recorder] = []

    def http(service: Service) -> Http:
        recorders.append(Recorder(Loopback(bench._emulator, service)))
        return recorders[-1]

    own = RunpodSettings(api_key=Secret(runpod.KEY))
    bench.provider = RunpodProvider("runpod", own, Means(lambda: bench.now, http))
    await use_everything(bench, runpod.SPOT, bids=False)

    named = {row[0].strip("`") for row in table_of("RunPod")}
    assert endpoints(request for each in recorders for request in each.asked) == named


def test_every_test_that_the_page_calls_a_proof_exists() -> None:
    named = re.findall(r"`((?:tests/|test_)[\w/.]+)`", PAGE)
    sources = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))

    assert len(named) >= 15
    for name in named:
        assert (ROOT / name).exists() if name.startswith("tests/") else f"def {name}(" in sources, name


# --- dependencies -----------------------------------------------------------------------------------------------------


def requirements(extras: Iterable[str] = ()) -> list[Requirement]:
    """What pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    return [each for each in map(Requirement, named) if each.name != project["name"]]


def locked(path: str) -> dict[str, str]:
    """The versions in a lock, by normalised name."""
    found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / path).read_text(), flags=re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


@pytest.mark.parametrize(("path", "extras"), [(LOCKS[0], ("bounds", "emulate", "tune", "dev")), (LOCKS[1], ())])
def test_a_lock_holds_everything_that_is_asked_for_within_its_range(path: str, extras: tuple[str, ...]) -> None:
    versions = locked(path)
    for each in requirements(extras):
        name = re.sub(r"[-_.]+", "-", each.name).lower()
        assert name in versions, f"{name} is not in {path}: run .ci/lock"
        assert each.specifier.contains(versions[name]), f"{each} is locked at {versions[name]}: run .ci/lock"


@pytest.mark.parametrize("path", LOCKS)
def test_every_version_in_a_lock_has_hashes_and_no_other_source(path: str) -> None:
    text = (ROOT / path).read_text()
    entries = re.findall(r"^[\w.-]+==\S+ \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", text, flags=re.MULTILINE)

    assert len(entries) == len(locked(path))
    assert "://" not in text
    assert "file:" not in text


def test_the_container_holds_the_versions_that_the_tests_ran_with() -> None:
    tested = locked(LOCKS[0])
    assert {name: tested.get(name) for name in locked(LOCKS[1])} == locked(LOCKS[1])


def test_each_dependency_of_the_daemon_names_a_lower_bound() -> None:
    unbounded = [each.name for each in requirements() if not each.specifier]
    assert unbounded == ["tzdata"], "its versions are dates"
