"""What a changed file would change is told in the file's own words, completely, and without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.config import load_config
from autoscaler.config.diff import differences, needs_restart

FILE = """\
fleet: attic
redis: redis://:hunter22hunter22@queue:6379
tick: 10s
http: {listen: "127.0.0.1:8080"}
pools:
  images:
    queue:
      kind: list
      tiers:
        - {name: pro, key: jobs:pro, wait_target: 30s}
        - {name: free, key: jobs:free, wait_target: 5m}
    machine: {image: "acme/comfy:1.4", gpus: [RTX 4090, RTX 3090], env: {HF_TOKEN: hf_0123456789}}
    placements:
      - {provider: mock, buy: spot, max_usd_per_hour: 0.45}
      - {provider: mock, max_usd_per_hour: 0.8}
    limits: {hot: 1..4, usd_per_day: {warn: 20, stop: 30}}
    policies: [{thresholds: {resume_depth: 12}}]
  audio:
    queue: {kind: list, tiers: [{name: all, key: jobs:audio}]}
    machine: {image: whisper, gpus: [RTX 3090]}
    placements: [{provider: mock, max_usd_per_hour: 0.3}]
providers:
  mock: {}
  runpod: {api_key: first-key-0123}
"""


def changed(*edits: tuple[str, str], text: str = FILE) -> list[str]:
    """The differences that edits of the file make."""
    after = text
    for old, new in edits:
        assert old in after
        after = after.replace(old, new)
    return differences(load_config(text, {}), load_config(after, {}))


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("hot: 1..4", "hot: 1..6", "pools.images.limits.hot: 1..4 → 1..6"),
        ("stop: 30", "stop: 45", "pools.images.limits.usd_per_day.stop: 30.0 → 45.0"),
        ("tick: 10s", "tick: 2m", "tick: 10s → 2m"),
        ("wait_target: 30s", "wait_target: 90s", "pools.images.queue.tiers.pro.wait_target: 30s → 90s"),
        ("[RTX 4090, RTX 3090]", "[RTX 4090]", "pools.images.machine.gpus: [RTX 4090, RTX 3090] → [RTX 4090]"),
        ("resume_depth: 12", "resume_depth: 14", "pools.images.policies.thresholds.resume_depth: 12 → 14"),
        ("0.45", "0.5", "pools.images.placements.mock-spot.max_usd_per_hour: 0.45 → 0.5"),
        ("hot: 1..4,", "hot: 1..4, usd_per_month: {warn: 90, stop: 99},",
         "pools.images.limits.usd_per_month: absent → {warn: 90.0, stop: 99.0}"),
        ("[{thresholds: {resume_depth: 12}}]", "[{thresholds: {resume_depth: 12}}, wait_target]",
         "pools.images.policies.wait_target: added: {wait_target: {}}"),
        ("      - {provider: mock, max_usd_per_hour: 0.8}\n", "", "pools.images.placements.mock-on-demand: removed"),
        ("mock: {}", "mock: {}\n  spare: {kind: mock, setup: 1m..2m}",
         "providers.spare: added: {kind: mock, setup: 1m..2m}"),
        ("[{name: all, key: jobs:audio}]", "[{name: all, key: jobs:audio}, {name: late, key: k}]",
         "pools.audio.queue.tiers.late: added: {name: late, key: k}"),
    ],
)  # fmt: skip
def test_each_change_is_one_line_in_the_words_of_the_file(old: str, new: str, line: str) -> None:
    assert changed((old, new)) == [line]


def test_the_same_file_changes_nothing() -> None:
    assert changed() == []
    assert changed(("tick: 10s\n", "tick: 10000ms  # as before\n")) == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("first-key-0123", "other-key-4567", "providers.runpod.api_key"),
        ("hunter22hunter22", "correct-horse-battery", "redis.url"),
        ("hf_0123456789", "hf_9876543210", "pools.images.machine.env.HF_TOKEN"),
    ],
)
def test_a_secret_is_said_to_have_changed_and_not_shown(old: str, new: str, path: str) -> None:
    assert changed((old, new)) == [f"{path}: changed, and not shown"]


def test_an_added_provider_is_shown_without_its_key() -> None:
    [line] = changed(("providers:\n", "providers:\n  vastai: {api_key: secret-of-vast}\n"))

    assert line == "providers.vastai: added: {kind: vastai, api_key: '***'}"


def test_an_added_pool_shows_all_that_the_file_says_of_it_and_a_removed_one_its_name() -> None:
    settings = yaml.safe_load(FILE)
    audio = settings["pools"].pop("audio")
    without = yaml.safe_dump(settings, sort_keys=False)

    [added] = differences(load_config(without, {}), load_config(FILE, {}))
    said = yaml.safe_load(added.removeprefix("pools.audio: added: "))
    assert said == audio
    assert differences(load_config(FILE, {}), load_config(without, {})) == ["pools.audio: removed"]


def test_another_order_of_placements_or_of_pools_is_a_change() -> None:
    spot, on_demand = (line for line in FILE.splitlines(keepends=True) if "provider: mock," in line and line[6] == "-")
    assert changed((spot + on_demand, on_demand + spot)) == [
        "pools.images.placements: in another order: mock-on-demand, mock-spot"
    ]

    settings = yaml.safe_load(FILE)
    settings["pools"] = dict(reversed(settings["pools"].items()))
    turned = yaml.safe_dump(settings, sort_keys=False)
    assert differences(load_config(FILE, {}), load_config(turned, {})) == ["pools: in another order: audio, images"]


def test_another_kind_of_queue_is_shown_whole() -> None:
    [line] = changed(
        (
            "{kind: list, tiers: [{name: all, key: jobs:audio}]}",
            "{kind: stream, group: g, tiers: [{name: all, key: a}]}",
        )
    )

    assert line.startswith("pools.audio.queue: {kind: list, tiers: [{name: all, key: 'jobs:audio'}]} → {kind: stream, ")


# --- what no running daemon can follow --------------------------------------------------------------------------------


def refused(*edits: tuple[str, str], text: str = FILE) -> list[str]:
    after = text
    for old, new in edits:
        assert old in after
        after = after.replace(old, new)
    return needs_restart(load_config(text, {}), load_config(after, {}))


def test_all_that_needs_a_restart_is_said_at_once_and_where_the_fleet_stays_meanwhile() -> None:
    said = refused(("fleet: attic", "fleet: cellar"), ("queue:6379", "other:6379"), ("8080", "8081"))

    changes = ["fleet: attic → cellar", "redis: redis://:***@queue:6379 → redis://:***@other:6379"]
    assert [line.split(" needs")[0] for line in said] == [*changes, "http.listen: 127.0.0.1:8080 → 127.0.0.1:8081"]
    assert all("needs a restart of the daemon; machines stay as they are meanwhile" in line for line in said)


def test_the_queues_redis_may_change_where_the_store_is_another() -> None:
    apart = FILE.replace("tick: 10s", "tick: 10s\nstore: redis://store:6379")

    assert refused(("queue:6379", "other:6379"), text=apart) == []
    [line] = refused(("store:6379", "other:6379"), text=apart)
    assert line.startswith("store: redis://store:6379 → redis://other:6379 needs a restart")


def test_a_store_that_is_named_for_the_first_time_may_be_where_it_was() -> None:
    where = "redis://:hunter22hunter22@queue:6379"

    assert refused(("tick: 10s", f"tick: 10s\nstore: {where}")) == []
    assert len(refused(("tick: 10s", "tick: 10s\nstore: redis://elsewhere:6379"))) == 1


def test_no_redis_inside_the_daemon_comes_or_goes_while_it_runs() -> None:
    [line] = refused(("  audio:\n", "  audio:\n    redis: embedded:6399\n"))

    assert line.startswith("redis, embedded: [] → [")


def test_the_lease_and_spread_stay_as_they_were_at_the_start() -> None:
    assert [line.split(" needs")[0] for line in refused(("tick: 10s", "tick: 20s\nspread: true"))] == [
        "lease, at least three ticks: 30s → 60s",
        "spread: false → true",
    ]
    assert refused(("tick: 10s", "tick: 5s")) == []


def test_whatever_else_changes_needs_no_restart() -> None:
    assert refused(("hot: 1..4", "hot: 1..6"), ("tick: 10s", "tick: 5s"), ("first-key", "other-key")) == []


# --- nothing is missed ------------------------------------------------------------------------------------------------

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config.example.yaml"
KEYS = {"VAST_API_KEY": "vast-key-0123456789", "RUNPOD_API_KEY": "runpod-key-0123456789"}


@given(st.data())
def test_whatever_leaf_of_the_example_changes_a_line_names_its_path(data: st.DataObject) -> None:
    settings = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    before = load_config(yaml.safe_dump(settings, sort_keys=False), KEYS)
    paths = sorted(_numbers(settings, ()), key=str)
    path = data.draw(st.sampled_from(paths))
    at = settings
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = at[path[-1]] * 1.0625 if isinstance(at[path[-1]], float) else at[path[-1]] + 1
    try:
        after = load_config(yaml.safe_dump(settings, sort_keys=False), KEYS)
    except Exception:  # noqa: BLE001 - it was at its bound
        return

    lines = differences(before, after)
    assert lines
    assert before != after
    names = [step for step in path if isinstance(step, str)]
    assert all(any(name in line for line in lines) for name in names[:2])


def _numbers(value: object, path: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    """The paths of all numbers."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _numbers(item, (*path, key))]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in _numbers(item, (*path, index))]
    return [path] if isinstance(value, int | float) and not isinstance(value, bool) else []
