"""A settings file is read as its author meant it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import pytest

from autoscaler.config import Config, PolicyChoice, load_config
from autoscaler.core.errors import SettingsError
from autoscaler.core.spec import Cap, Deadlines, Limits, Placement, Tier
from autoscaler.core.units import Span
from autoscaler.link import RedisSettings
from autoscaler.queues.list import ListQueue
from policies import POLICIES, RECOMMENDED

SHORT = """
fleet: llamasketch                     # every machine we rent carries this name
redis: ${REDIS_URL:-embedded}          # the queue; `store:` may name another Redis for our own state
pools:
  images:
    queue:
      kind: list
      tiers:                           # most urgent first
        - {name: pro,     key: jobs:pro,     wait_target: 30s}
        - {name: premium, key: jobs:premium, wait_target: 2m}
        - {name: free,    key: jobs:free,    wait_target: 5m, refuse_above: 60s}
    machine: {image: ghcr.io/acme/comfy:1.4, disk_gb: 60, gpus: [RTX 4090, RTX 3090], slots: 1, ready: "http :8188/x"}
    placements:                        # in order of preference
      - {provider: mock, buy: spot,      regions: [US, CA], max_usd_per_hour: 0.45}
      - {provider: mock, buy: on_demand, cloud: secure,     max_usd_per_hour: 0.80}
    limits: {hot: 1..6, warm: 1..3, usd_per_day: {warn: 20, stop: 30}}
    policies: [thresholds]
providers:
  mock: {}
"""

UNQUOTED = (
    "not valid YAML: expected ',' or '}', but got '{'; "
    'within { } a variable needs quotes: "${NAME}" (line 1, column 9)'
)

LEAST = """
fleet: f
pools:
  p:
    queue: {kind: list, tiers: [{name: t, key: k}]}
    machine: {image: i, gpus: [g]}
    placements: [{provider: mock, max_usd_per_hour: 1}]
providers: {mock: {}}
"""


def load(text: str, env: Mapping[str, str] | None = None) -> Config:
    return load_config(text, {} if env is None else env)


def test_the_configuration_a_user_writes_loads_as_it_is() -> None:
    config = load(SHORT)
    pool = config.pools["images"].pool("images")

    assert config.fleet == "llamasketch"
    assert config.redis == RedisSettings(url="embedded")
    assert [(t.name, t.wait_target, t.refuse_above) for t in pool.tiers] == [
        ("pro", 30.0, None),
        ("premium", 120.0, None),
        ("free", 300.0, 60.0),
    ]
    assert isinstance(pool.tiers[0], Tier)
    assert [p.label for p in pool.placements] == ["mock-spot", "mock-on-demand"]
    assert pool.limits == Limits(hot=Span(1, 6), warm=Span(1, 3), usd_per_day=Cap(warn=20.0, stop=30.0))
    assert pool.machine.gpus == ("RTX 4090", "RTX 3090")


def test_the_least_that_must_be_written_gets_every_default() -> None:
    config = load(LEAST)
    pool = config.pools["p"]

    assert (config.redis, config.store) == (RedisSettings(url="embedded"), None)
    assert (config.tick, config.http.listen) == (10.0, "127.0.0.1:8080")
    assert (config.log.format, config.log.level) == ("auto", "info")
    assert (pool.limits, pool.deadlines) == (Limits(), Deadlines())
    assert pool.placements == (Placement(provider="mock", max_usd_per_hour=1.0),)
    assert pool.policies == tuple(PolicyChoice(name=name, settings=POLICIES[name].settings()) for name in RECOMMENDED)


def test_a_policy_is_named_alone_or_with_its_settings() -> None:
    settings = POLICIES["thresholds"].settings

    for written, expected in {
        "[thresholds]": settings(),
        "[{thresholds: }]": settings(),
        "[{thresholds: {resume_depth: 12, idle_for: 5m}}]": settings(resume_depth=12, idle_for=300.0),
    }.items():
        (choice,) = load(LEAST.replace("placements", f"policies: {written}\n    placements")).pools["p"].policies
        assert choice == PolicyChoice(name="thresholds", settings=expected)


def test_a_provider_may_have_any_name_when_its_kind_is_written() -> None:
    text = LEAST.replace("provider: mock", "provider: lab").replace("{mock: {}}", "{lab: {kind: mock, seed: 7}}")

    assert load(text).providers["lab"].seed == 7


def test_a_provider_without_settings_may_be_left_empty() -> None:
    assert load(LEAST.replace("{mock: {}}", "{mock: }")).providers["mock"].kind == "mock"


def test_the_type_of_a_setting_decides_how_its_text_is_read() -> None:
    text = LEAST.replace("gpus: [g]", "gpus: [4090], env: {DEBUG: true, TAG: 1.10, PORT: 0o10, EMPTY: ''}").replace(
        "max_usd_per_hour: 1", "max_usd_per_hour: '1', regions: [NO, on, 22:30, 2026-11-21]"
    )
    pool = load(text).pools["p"]

    assert pool.machine.gpus == ("4090",)
    assert pool.machine.env == {"DEBUG": "true", "TAG": "1.10", "PORT": "0o10", "EMPTY": ""}
    assert pool.placements[0].regions == ("NO", "on", "22:30", "2026-11-21")


def test_one_number_is_a_range_of_exactly_that_many() -> None:
    pool = load(LEAST.replace("placements", "limits: {hot: 3, warm: '${W}'}\n    placements"), {"W": "2"}).pools["p"]

    assert (pool.limits.hot, pool.limits.warm) == (Span(3, 3), Span(2, 2))


def test_anchors_and_merge_keys_work_and_own_keys_win() -> None:
    text = """
fleet: f
pools:
  a: &base
    queue: {kind: list, tiers: [{name: t, key: a}]}
    machine: &machine {image: i, gpus: [g], slots: 2}
    placements: [{provider: mock, max_usd_per_hour: 1}]
  b:
    <<: *base
    queue: {kind: list, tiers: [{name: t, key: b}]}
    machine: {<<: *machine, slots: 4}
providers: {mock: {}}
"""
    config = load(text)

    queue = config.pools["b"].queue
    assert isinstance(queue, ListQueue)
    assert [tier.key for tier in queue.tiers] == ["b"]
    assert (config.pools["a"].machine.slots, config.pools["b"].machine.slots) == (2, 4)


@pytest.mark.parametrize(
    ("written", "env", "expected"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("${A}", {"A": ""}, ""),
        ("a-${A}-${B}", {"A": "1", "B": "2"}, "a-1-2"),
        ("${A:-d}", {}, "d"),
        ("${A:-d}", {"A": ""}, "d"),
        ("${A:-d}", {"A": "x"}, "x"),
        ("${A:-}", {}, ""),
        ("${A:-a:-b $5}", {}, "a:-b $5"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("$$$${A}", {"A": "x"}, "$${A}"),
        ("cost $5", {}, "cost $5"),
        ("${A}", {"A": "${B}", "B": "no"}, "${B}"),
        ("${A}", {"A": "x: [y]\nz: {"}, "x: [y]\nz: {"),
        ("${A}", {"A": "null"}, "null"),
    ],
)
def test_variables_are_put_in_once_and_never_change_the_structure(
    written: str, env: dict[str, str], expected: str
) -> None:
    text = LEAST.replace("gpus: [g]", f"gpus: [g], env: {{V: '{written}'}}")

    assert load(text, env).pools["p"].machine.env["V"] == expected


def test_a_variable_is_read_as_what_the_setting_is() -> None:
    text = LEAST.replace(
        "machine: {image: i, gpus: [g]}", 'machine: {image: "${N}", gpus: ["${N}"], slots: "${N}", disk_gb: "${N}"}'
    ).replace("fleet: f", 'fleet: f\ntick: "${T}"')
    config = load(text, {"N": "12", "T": "3s"})
    machine = config.pools["p"].machine

    assert (machine.image, machine.gpus, machine.slots, machine.disk_gb) == ("12", ("12",), 12, 12.0)
    assert config.tick == 3.0


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + LEAST.encode())

    assert load_config(file, {}) == load(LEAST)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"fleet: f\nname: \xff\n", "FILE: not a text file in UTF-8 (line 2)"),
        (b"#" * 1_048_577, "FILE: longer than 1048576 bytes; is it a settings file?"),
        (b"", "the file is empty; deploy/config.example.yaml shows what belongs there"),
        (b"# only this\n", "the file is empty; deploy/config.example.yaml shows what belongs there"),
        (b"- a\n- b\n", "the file: a list - expected a mapping of keys and values (line 1)"),
        (b"fleet\n", "the file: fleet - expected a mapping of keys and values (line 1)"),
        (b"~\n", "the file: nothing - expected a mapping of keys and values (line 1)"),
        (b"fleet: [f\n", "not valid YAML: expected ',' or ']', but got '<stream end>' (line 2, column 1)"),
        (b"a: b: c\n", "not valid YAML: mapping values are not allowed here (line 1, column 5)"),
        (b"a: 1\n---\nb: 2\n", "not valid YAML: but found another document (line 2, column 1)"),
        (b"a: *b\n", "not valid YAML: found undefined alias 'b' (line 1, column 4)"),
        (b"a: 1\nb: \x07\n", "not valid YAML: a character that may not stand in a file (line 2)"),
        (b"a: {k: ${KEY}}\n", UNQUOTED),
        (b"[" * 5000, "not a settings file: it is nested too deeply"),
        (b"a: &a [*a]\n", "not a settings file: it is nested too deeply"),
        (
            b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + b"".join(b"%c: &%c [%s]\n" % (c + 1, c + 1, b",".join([b"*%c" % c] * 10)) for c in range(97, 105)),
            "not a settings file: it has more than 100000 values",
        ),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused_in_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_bytes(content)

    with pytest.raises(SettingsError) as refusal:
        load_config(file, {})

    assert refusal.value.problems == (problem.replace("FILE", str(file)),)


def merges(depth: int) -> str:
    """A mapping into which nine are merged, into each of which nine are merged, and so on."""
    return f"&m{depth} {{<<: [{merges(depth - 1)}{f', *m{depth - 1}' * 8}]}}" if depth else "&m0 {k: v}"


def test_mappings_that_would_be_merged_without_end_are_refused_before_they_are(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f"x: {merges(6)}")
    tracemalloc.start()
    with pytest.raises(SettingsError, match="more than 100000 values"):
        load_config(file, {})
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 5_000_000


def test_a_missing_file_and_a_directory_are_refused_in_one_line(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError) as refusal:
            load_config(path, {})

        assert refusal.value.problems == (f"{path}: cannot be read: {reason}",)
