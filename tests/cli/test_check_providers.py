"""`autoscaler check --providers`: what is on offer, what to mend, and the exit code."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner, Result

from autoscaler.cli import main

FLEET = """
fleet: attic
pools:
  images:
    queue: {kind: list, tiers: [{name: pro, key: jobs:pro}]}
    machine: {image: acme/comfy, gpus: [RTX 4090, RTX 3090]}
    placements:
      - {provider: mock, buy: spot, max_usd_per_hour: 0.45}
      - {provider: mock, regions: [US], max_usd_per_hour: 0.9}
providers: {mock: {balance_usd: 20}}
"""


def check(directory: Path, text: str) -> Result:
    file = directory / "fleet.yaml"
    file.write_text(text)
    return CliRunner().invoke(main, ["check", "--providers", str(file)])


def test_what_is_on_offer_is_a_short_table_and_the_exit_code_is_0(tmp_path: Path) -> None:
    result = check(tmp_path, FLEET)

    assert result.exit_code == 0
    assert result.stderr == ""
    heads, spot, on_demand, note, _, following = result.stdout.splitlines()
    assert heads.split() == ["pool", "placement", "on", "offer", "cheapest,", "USD", "per", "hour", "GPU", "region"]
    assert re.fullmatch(r"images +mock-spot +\d+ +0\.\d{3} +RTX 3090 +US *", spot)
    assert re.fullmatch(r"images +mock-on-demand +\d+ +0\.\d{3} +RTX 3090 +US *", on_demand)
    assert note.startswith("note: providers.mock: 20.00 USD left, less than a day")
    assert following == f"Next: autoscaler plan {tmp_path / 'fleet.yaml'}"


def test_what_must_be_mended_is_told_line_by_line_beside_the_table_with_exit_code_2(tmp_path: Path) -> None:
    result = check(tmp_path, FLEET.replace("regions: [US]", "regions: [FR]").replace("usd: 20", "usd: 0.1"))

    assert result.exit_code == 2
    assert "mock-spot" in result.stdout
    assert "Next" not in result.stdout
    credit, region = result.stderr.splitlines()
    assert credit == "error: providers.mock: 0.10 USD left, not an hour of its dearest placement (0.9 USD): add credit"
    assert region.startswith("error: pools.images.placements[1].regions: FR - no stock there now; there is in US (from")


def test_a_file_with_mistakes_asks_nobody(tmp_path: Path) -> None:
    result = check(tmp_path, FLEET.replace("buy: spot", "buy: sport"))

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        'error: pools.images.placements[0].buy: sport - did you mean "spot"? (line 8)'
    ]


def test_a_name_that_looks_like_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    odd = "RTX [/bold][red] :smile:"
    text = FLEET.replace("gpus: [RTX 4090, RTX 3090]", f"gpus: ['{odd}']").replace(
        "balance_usd: 20", f"stock: [{{gpu: '{odd}', region: US, on_demand: 0.4, spot: 0.2}}]"
    )
    result = check(tmp_path, text)

    assert result.exit_code == 0
    assert odd in result.stdout
