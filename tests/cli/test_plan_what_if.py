"""`autoscaler plan --what-if`: the decision for a supposed state, with no Redis and no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoscaler.cli.plan import plan
from tests.support.api import run_command

CONFIG = """\
fleet: f
redis: redis://127.0.0.1:1
pools:
  images:
    queue:
      kind: list
      tiers: [{name: pro, key: a}, {name: premium, key: b}, {name: free, key: c}]
    machine: {image: i, gpus: [RTX 4090], slots: 2}
    placements: [{provider: mock, max_usd_per_hour: 0.9}]
    limits: {hot: 1..4, warm: 0..2}
    policies: [thresholds, priority]
providers: {mock: {price_swing: 0}}
"""
SECOND_POOL = """\
  chat:
    queue: {kind: list, tiers: [{name: all, key: d}]}
    machine: {image: i, gpus: [RTX 4090]}
    placements: [{provider: mock, max_usd_per_hour: 0.9}]
providers: {mock: {}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.yaml"
    file.write_text(CONFIG)
    return file


@pytest.fixture
def two_pools(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.yaml"
    file.write_text(CONFIG.replace("providers: {mock: {price_swing: 0}}\n", SECOND_POOL))
    return file


def decided(file: Path, *what_ifs: str) -> dict[str, Any]:
    """The pools of the JSON form, by name."""
    result = run_command(plan, str(file), "--json", *(f"--what-if={each}" for each in what_ifs))
    assert result.exit_code == 0, result.output
    return {pool["name"]: pool for pool in json.loads(result.output)["pools"]}


def rules(pool: dict[str, Any], key: str = "why") -> set[str]:
    return {reason["rule"] for reason in pool["decision"][key]}


def actions(pool: dict[str, Any]) -> list[str]:
    return [command["action"] for command in pool["commands"]]


def refused(file: Path, *what_ifs: str) -> list[str]:
    result = run_command(plan, str(file), *(f"--what-if={each}" for each in what_ifs))
    assert result.exit_code == 2
    return [line.removeprefix("error: ") for line in result.stderr.splitlines()]


def test_it_tells_what_would_be_done_and_why_where_no_redis_is(config: Path) -> None:
    result = run_command(
        plan, str(config), "--what-if=hot=1", "--what-if=busy=2", "--what-if=depth.pro=40", "--what-if=wait.pro=35s"
    )

    assert result.exit_code == 0
    assert "images: 2 HOT wanted, 1 up" in result.output
    assert "because  a pro job waits for 35s, more than 30s: rent one more machine  [priority.rent]" in result.output
    assert "would    rent mock-on-demand: 2 machines wanted, 1 up: RTX 4090 in US at 0." in result.output
    assert "not yet  no premium job waits; it takes one that waits more than 2m  [priority.resume]" in result.output


def test_the_fleet_is_fresh_unless_told_otherwise(config: Path) -> None:
    pool = decided(config, "depth.free=1")["images"]

    assert (pool["up"], actions(pool)) == (0, ["rent"])


def test_a_stopped_machine_is_resumed_before_one_is_rented(config: Path) -> None:
    pool = decided(config, "hot=1", "busy=1", "warm=1", "wait.pro=31s")["images"]

    assert actions(pool) == ["resume"]


def test_a_job_that_waits_is_there(config: Path) -> None:
    assert "priority.rent" in rules(decided(config, "hot=1", "wait.pro=31s")["images"])


def test_a_depth_without_a_wait_is_of_unknown_age(config: Path) -> None:
    assert "priority.unknown" in rules(decided(config, "hot=1", "depth.pro=5")["images"])


def test_idle_machines_above_what_is_wanted_are_drained(config: Path) -> None:
    config.write_text(CONFIG.replace("[thresholds, priority]", "[priority]"))
    pool = decided(config, "hot=3", "busy=1")["images"]

    assert actions(pool) == ["drain", "drain"]
    assert {command["instance"] for command in pool["commands"]} == {"images-hot-2", "images-hot-3"}


def test_money_spent_holds_back(config: Path) -> None:
    pool = decided(config, "hot=1", "depth.pro=90", "spent=29.99")["images"]

    assert actions(pool) == []
    assert any(rule.startswith("budget") for rule in rules(pool))


def test_every_pool_has_its_own_supposition(two_pools: Path) -> None:
    pools = decided(two_pools, "images.depth.pro=40", "images.hot=1", "chat.hot=1")

    assert (pools["images"]["decision"]["hot"], pools["chat"]["decision"]["hot"]) == (2, 1)


def test_a_cap_on_the_whole_fleet_counts_what_all_pools_spend(two_pools: Path) -> None:
    asked = ("images.hot=1", "images.wait.pro=31s", "images.spent=5", "chat.spent=5")
    assert actions(decided(two_pools, *asked)["images"]) == ["rent"]

    two_pools.write_text(two_pools.read_text() + "limits: {usd_per_day: {warn: 8, stop: 10}}\n")

    assert actions(decided(two_pools, *asked)["images"]) == []


def test_no_two_pools_rent_the_same_offer(two_pools: Path) -> None:
    two_pools.write_text(
        two_pools.read_text().replace(
            "{mock: {}}",
            "{mock: {stock: [{gpu: RTX 4090, region: US, on_demand: 0.5, spot: 0.3, hosts: 1, gpus_per_host: 1}]}}",
        )
    )
    pools = decided(two_pools, "chat.hot=0")

    assert (actions(pools["images"]), actions(pools["chat"])) == (["rent"], [])


def test_the_same_supposition_gives_the_same_decision(config: Path) -> None:
    asked = ("hot=1", "depth.pro=40", "rate.pro=12", "service.pro=20s")

    assert decided(config, *asked)["images"]["decision"] == decided(config, *asked)["images"]["decision"]


def test_every_mistake_is_told_at_once(config: Path) -> None:
    found = refused(
        config, "dpth.pro=4", "depth.gold=4", "depth=4", "hot.pro=1", "hot=x", "wait.pro=5", "service.pro=0s", "hi"
    )

    assert found == [
        '--what-if dpth.pro=4: unknown key; did you mean "depth"?',
        "--what-if depth.gold=4: the pool images has no such tier; expected pro, premium or free",
        "--what-if depth=4: expected depth.TIER=VALUE",
        "--what-if hot.pro=1: expected hot=VALUE",
        "--what-if hot=x: expected a whole number from 0 to 99999, such as 40",
        "--what-if wait.pro=5: expected a duration with its unit, such as 30s, 2m or 24h",
        "--what-if service.pro=0s: expected more than 0s",
        "--what-if hi: expected KEY=VALUE, such as depth.pro=40",
    ]


@pytest.mark.parametrize("spent", ["-1", "inf", "nan", "lots"])
def test_money_is_a_number(config: Path, spent: str) -> None:
    assert refused(config, f"spent={spent}") == [f"--what-if spent={spent}: expected a number from 0 up, such as 12.5"]


def test_what_contradicts_itself_is_refused(config: Path) -> None:
    assert refused(config, "depth.pro=0", "wait.pro=5s", "hot=1", "busy=3", "warm=1", "warm=2") == [
        "--what-if warm=2: given twice",
        "--what-if: images: no pro job waits, so none has waited for 5s; raise depth.pro",
        "--what-if: images: 3 slots at work, but 1 HOT machines have 2; raise hot",
    ]


def test_with_several_pools_each_key_names_its_pool(two_pools: Path) -> None:
    assert refused(two_pools, "depth.pro=1", "chta.hot=1") == [
        "--what-if depth.pro=1: expected POOL.KEY=VALUE with one of the pools; expected images or chat",
        '--what-if chta.hot=1: expected POOL.KEY=VALUE with one of the pools; did you mean "chat"?',
    ]
