"""`autoscaler check` and `autoscaler schema`, and what every command has in common."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from autoscaler.cli import COMMANDS, CommandGroup, main
from autoscaler.config import load_config

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config.example.yaml"

FLEET = """
fleet: llamasketch
redis: redis://user:hunter2@queue:6379
store: redis://state
pools:
  images:
    queue:
      kind: list
      tiers:
        - {name: pro, key: jobs:pro, wait_target: 30s}
        - {name: free, key: jobs:free, wait_target: 5m, refuse_above: 60s}
    machine: {image: acme/comfy, disk_gb: 60, gpus: [RTX 4090, RTX 3090], slots: 2, ready: "http :8188/x"}
    placements:
      - {provider: mock, buy: spot, regions: [US, CA], max_usd_per_hour: 0.45}
      - {provider: mock, cloud: secure, gpus: [RTX 4090], max_usd_per_hour: 0.80}
    limits: {hot: 1..6, warm: 1..3}
providers: {mock: {}}
"""

BOUNDS = (
    "error: pools.images.limits.hot: 6..1 - the lower bound 6 exceeds the upper bound 1; "
    "expected LOW..HIGH such as 1..6 (line 16)"
)


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.yaml"
    file.write_text(FLEET)
    return file


def test_check_says_what_a_configuration_means_and_what_comes_next(fleet: Path) -> None:
    result = CliRunner().invoke(main, ["check", str(fleet)])

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "fleet llamasketch: queue at redis://user:***@queue:6379, own state at redis://state, a tick every 10s",
        "",
        "pool images",
        "  queue       list: pro (wait up to 30s), then free (wait up to 5m, new jobs refused above 1m)",
        "  machine     acme/comfy on RTX 4090 or RTX 3090, 60 GB disk, 2 jobs at a time, ready when: http :8188/x",
        "  placements  1. mock-spot: spot at mock in US or CA, up to 0.45 USD per hour",
        "              2. mock-on-demand: on demand at mock, secure cloud on RTX 4090, up to 0.8 USD per hour",
        "  limits      1 to 6 running, 1 to 3 stopped; warn at 20 USD a day, stop at 30",
        "  policies    wait_target, retention, forecast",
        "",
        f"Next: autoscaler plan {fleet}",
    ]
    assert result.stderr == ""


def test_check_tells_all_caps_and_the_pace(fleet: Path) -> None:
    caps = "usd_per_hour: {warn: 2, stop: 3}, usd_per_month: {warn: 400, stop: 600}"
    text = FLEET.replace("hot: 1..6", f"hot: 1..6, {caps}")
    text = text.replace("pools:", "limits: {usd_per_day: {warn: 40, stop: 50}}\npools:")
    fleet.write_text(text.replace("    limits: {", "    pace: {up: 8, down: 4}\n    limits: {"))

    lines = CliRunner().invoke(main, ["check", str(fleet)]).stdout.splitlines()

    assert lines[1] == "all pools together: warn at 40 USD a day, stop at 50"
    assert (
        "  limits      1 to 6 running, 1 to 3 stopped; warn at 2 USD an hour, stop at 3; "
        "warn at 20 USD a day, stop at 30; warn at 400 USD a month, stop at 600"
    ) in lines
    assert "  pace        up to 8 started and up to 4 drained within 10m" in lines


def test_check_tells_reserved_slots(fleet: Path) -> None:
    fleet.write_text(FLEET.replace("{name: pro,", "{name: pro, reserve: 1,"))

    result = CliRunner().invoke(main, ["check", str(fleet)])

    assert "  queue       list: pro (wait up to 30s, 1 slot reserved), then free " in result.stdout


def test_check_warns_of_what_a_configuration_allows(fleet: Path) -> None:
    fleet.write_text(FLEET.replace("hot: 1..6", "hot: 4..6"))

    result = CliRunner().invoke(main, ["check", str(fleet)])

    assert result.exit_code == 0
    assert result.stderr.startswith("warning: pools.images.limits: 4 running at all times")


def test_check_prints_every_problem_and_exits_with_2(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(FLEET.replace("hot: 1..6", "hot: 6..1").replace("buy: spot", "buy: sport"))
    result = CliRunner().invoke(main, ["check", str(file)])

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        'error: pools.images.placements[0].buy: sport - did you mean "spot"? (line 14)',
        BOUNDS,
    ]


def test_check_reads_variables_from_the_environment(fleet: Path) -> None:
    fleet.write_text(FLEET.replace("llamasketch", "${NAME_OF_FLEET}"))

    assert CliRunner().invoke(main, ["check", str(fleet)]).exit_code == 2
    assert (
        CliRunner(env={"NAME_OF_FLEET": "seven"}).invoke(main, ["check", str(fleet)]).stdout.startswith("fleet seven:")
    )


def test_check_full_prints_a_configuration_that_loads_with_its_keys_masked() -> None:
    result = CliRunner().invoke(main, ["check", "--full", str(EXAMPLE)])

    masked = {"RUNPOD_API_KEY": "***", "VAST_API_KEY": "***"}
    assert result.exit_code == 0
    assert load_config(result.stdout, {}) == load_config(EXAMPLE, masked)


def test_check_tells_when_machines_end_themselves(fleet: Path) -> None:
    fleet.write_text(FLEET.replace("slots: 2", "slots: 2, dead_man: 30m"))

    result = CliRunner().invoke(main, ["check", str(fleet)])

    assert "ready when: http :8188/x, ends itself 30m after its daemon" in result.stdout


def test_schema_prints_json() -> None:
    result = CliRunner().invoke(main, ["schema"])

    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "gpu-autoscaler"


def test_help_lists_the_commands_in_the_order_of_the_table_with_a_line_each() -> None:
    result = CliRunner().invoke(main, ["--help"])
    listed = [line.split() for line in result.stdout.partition("Commands:\n")[2].splitlines()]

    assert [words[0] for words in listed] == list(COMMANDS)
    assert all(len(words) > 3 for words in listed)
    assert not [words for words in listed if words[-1].endswith("...")]


def test_every_command_of_the_table_exists() -> None:
    for name, place in COMMANDS.items():
        module, attribute = place.split(":")
        assert getattr(import_module(module), attribute).name == name


def test_an_unknown_command_and_a_missing_argument_exit_with_2() -> None:
    assert CliRunner().invoke(main, ["chekc"]).exit_code == 2
    assert CliRunner().invoke(main, ["floor"]).exit_code == 2


def test_an_interrupt_exits_with_130() -> None:
    @click.command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    class Group(CommandGroup):
        def get_command(self, _ctx: click.Context, _name: str) -> click.Command:
            return interrupted

    assert CliRunner().invoke(Group(), ["anything"]).exit_code == 130


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert CliRunner().invoke(main, ["--version"]).stdout == f"autoscaler {version('gpu-autoscaler')}\n"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from autoscaler.cli import main; "
        "main(['check', '--help'], standalone_mode=False); "
        "heavy = {'pydantic', 'aiohttp', 'redis', 'rich', 'yaml'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")
