"""`autoscaler check --providers` over the adapters, with the emulators in place of the vendors."""

from __future__ import annotations

import random
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.app import build
from autoscaler.config import load_config
from autoscaler.core.errors import Rejected
from autoscaler.core.units import Secret
from autoscaler.emulate import Emulator
from autoscaler.runtime.clock import LoopClock
from autoscaler.survey import Survey, survey
from providers.dry_run import DryRun
from providers.installed import provider_kinds
from tests.support.cloud import means_of
from tests.support.daemon_process import autoscaler
from tests.support.emulator_process import EmulatorProcess

KINDS = ("vastai", "runpod")
GPU: Mapping[str, str] = {"vastai": "RTX 4090", "runpod": "NVIDIA GeForce RTX 4090"}
UNKNOWN = "RTX 4900"
Placement = dict[str, Any]


def a_config(kind: str, *placements: Placement, url: str = "http://127.0.0.1:1") -> str:
    """A configuration of one pool at one vendor."""
    pool = {
        "queue": {"kind": "list", "tiers": [{"name": "pro", "key": "jobs:pro"}]},
        "machine": {"image": "i", "gpus": [GPU[kind]]},
        "placements": [
            {"provider": kind, "name": f"p{number}", "max_usd_per_hour": 1.2, **place}
            for number, place in enumerate(placements)
        ],
    }
    config = {"fleet": "attic", "pools": {"images": pool}, "providers": {kind: {"api_key": "s3cret-key", "url": url}}}
    return yaml.safe_dump(config)


def emulated(kind: str, market: Mapping[str, Any], clock: LoopClock) -> Emulator:
    """A vendor in this process."""
    package = import_module(f"autoscaler.emulate.{kind}")
    standard = package.Emulation()
    chosen = type(standard.market)(**{"stock": standard.market.stock, "balance_usd": 100.0, **market})
    made: Emulator = package.make(package.Emulation(market=chosen), now=clock.now, rng=random.Random(1))
    return made


async def surveyed(kind: str, *placements: Placement, **market: Any) -> Survey:
    """What a survey finds, on virtual time: the vendors' least intervals would take a minute."""
    clock = LoopClock(epoch=1_800_000_000.0)
    emulator = emulated(kind, market, clock)
    adapter = provider_kinds()[kind]
    provider = adapter.make(kind, adapter.settings(api_key=Secret("s3cret-key")), means_of(emulator, clock))
    config = load_config(a_config(kind, *placements), {})
    found = await survey(config, {kind: DryRun(provider)}, clock, lambda _: None)
    assert emulator.market.rented == 0
    assert "s3cret-key" not in "".join((*found.problems(), *found.notes()))
    return found


@pytest.mark.looptime
@pytest.mark.parametrize("kind", KINDS)
class TestOverBothVendors:
    async def test_what_is_on_offer_is_found(self, kind: str) -> None:
        found = await surveyed(kind, {}, {"buy": "spot"})

        assert found.problems() == found.notes() == ()
        assert [row.offers[0].gpu for row in found.on_offer] == [GPU[kind], GPU[kind]]

    async def test_a_wrong_key(self, kind: str) -> None:
        [problem] = (await surveyed(kind, {}, faults={"auth_failed": 1.0})).problems()

        assert problem.startswith(f"providers.{kind}: its machines cannot be listed: ")
        assert "put a valid key" in problem

    async def test_no_credit(self, kind: str) -> None:
        [problem] = (await surveyed(kind, {}, balance_usd=0.4)).problems()

        assert problem == f"providers.{kind}: 0.40 USD left, not an hour of its dearest placement (1.2 USD): add credit"

    async def test_an_unknown_gpu(self, kind: str) -> None:
        [problem] = (await surveyed(kind, {"gpus": [UNKNOWN]})).problems()

        assert problem == (
            f"pools.images.placements[0].gpus: {UNKNOWN} - not on offer at {kind} now, at any price in any "
            f'region; did you mean "RTX 4090"?'
        )

    async def test_a_region_without_stock(self, kind: str) -> None:
        [problem] = (await surveyed(kind, {"regions": ["ZZ"]})).problems()

        assert problem.startswith("pools.images.placements[0].regions: ZZ - no stock there now; there is in ")
        assert "US" in problem

    async def test_a_cap_below_the_market(self, kind: str) -> None:
        [problem] = (await surveyed(kind, {"max_usd_per_hour": 0.05})).problems()

        assert problem.startswith(
            f"pools.images.placements[0].max_usd_per_hour: 0.05 - below the market: the cheapest now is {GPU[kind]}"
        )

    async def test_machines_that_are_there(self, kind: str) -> None:
        found = await surveyed(kind, {}, foreign=("somebody's notebook", "autoscaler.attic.images.t000000001"))

        ours, others = found.notes()
        assert ours.startswith(f"providers.{kind}: 1 machine of this fleet already there: 0.")
        assert others.startswith(f"providers.{kind}: 1 machine of others in the account, never touched: 0.")

    async def test_a_vendor_that_hangs(self, kind: str) -> None:
        [problem] = (await surveyed(kind, {}, {}, faults={"hangs": 1.0})).problems()

        assert problem.startswith(f"providers.{kind}: ")
        assert "no answer" in problem

    async def test_everything_at_once(self, kind: str) -> None:
        places: tuple[Placement, ...] = ({"gpus": [UNKNOWN]}, {"regions": ["ZZ"]}, {"max_usd_per_hour": 0.05}, {})
        found = await surveyed(kind, *places, balance_usd=0.4)

        assert [problem.partition(" ")[0] for problem in found.problems()] == [
            f"providers.{kind}:",
            "pools.images.placements[0].gpus:",
            "pools.images.placements[1].regions:",
            "pools.images.placements[2].max_usd_per_hour:",
        ]
        assert [len(row.offers) > 0 for row in found.on_offer] == [False, False, False, True]


async def test_the_daemons_own_composition_cannot_rent_from_a_vendor() -> None:
    app = build(load_config(a_config("vastai", {}), {}), clock=LoopClock(epoch=0.0), preview=True)

    with pytest.raises(Rejected, match="dry run"):
        await app.providers["vastai"].release("1")
    await app.close()


# --- as processes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_key_is_told_by_the_command(kind: str, tmp_path: Path) -> None:
    with EmulatorProcess(kind, tmp_path, market={"faults": {"auth_failed": 1}}) as url:
        result = checked(tmp_path, a_config(kind, {}, url=url))

    assert result.returncode == 2
    [line] = result.stderr.splitlines()
    assert line.startswith(f"error: providers.{kind}: its machines cannot be listed: ")
    assert "s3cret-key" not in line


@pytest.mark.parametrize(
    ("kind", "places", "told"),
    [
        # Vast.ai wants six seconds between two searches.
        ("vastai", [{"max_usd_per_hour": 0.05}], ["[0].max_usd_per_hour: 0.05 - below the market"]),
        (
            "runpod",
            [{"gpus": [UNKNOWN]}, {"regions": ["ZZ"]}, {"max_usd_per_hour": 0.05}],
            [
                f"[0].gpus: {UNKNOWN} - not on offer",
                "[1].regions: ZZ - no stock there",
                "[2].max_usd_per_hour: 0.05 - below the market",
            ],
        ),
    ],
)
def test_all_that_must_be_mended_is_told_by_the_command(
    kind: str, places: list[Placement], told: list[str], tmp_path: Path
) -> None:
    with EmulatorProcess(kind, tmp_path, market={"balance_usd": 0.01}) as url:
        result = checked(tmp_path, a_config(kind, *places, url=url))

    assert result.returncode == 2
    credit, *lines = result.stderr.splitlines()
    assert credit.startswith(f"error: providers.{kind}: 0.01 USD left, not an hour of its dearest placement")
    for line, expected in zip(lines, told, strict=True):
        assert line.startswith(f"error: pools.images.placements{expected}")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_on_offer_is_told_by_the_command(kind: str, tmp_path: Path) -> None:
    with EmulatorProcess(kind, tmp_path) as url:
        result = checked(tmp_path, a_config(kind, {}, url=url))

    assert (result.returncode, result.stderr) == (0, "")
    assert GPU[kind] in result.stdout


def checked(directory: Path, config: str) -> Any:
    file = directory / "fleet.yaml"
    file.write_text(config)
    return autoscaler("check", "--providers", file)
