"""README and the page on decisions say what is so: configuration, output and defaults are held against the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic import TypeAdapter
from rich.console import Console

from autoscaler.cli import main
from autoscaler.cli.queue_view import queue_view
from autoscaler.config import load_config
from autoscaler.core.demand import AgeSource, Demand, InFlightKind, TierDemand
from autoscaler.core.spec import Deadlines, Health, Limits, Tier
from autoscaler.queues import celery
from autoscaler.queues.caution import Caution
from policies import POLICIES, RECOMMENDED
from tests.support.reports import NOW

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DECIDING = (ROOT / "docs" / "deciding.md").read_text(encoding="utf-8")
DRILLS = Path(__file__).parent / "drills"
SETTINGS: Mapping[str, type[Any]] = {
    **{name: policy.settings for name, policy in POLICIES.items()},
    "limits": Limits,
    "health": Health,
    "deadlines": Deadlines,
}


def part(page: str, title: str) -> str:
    """What stands below a headline, up to the next one of any kind."""
    return re.split(r"^#", page.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def rows(text: str, head: str) -> list[list[str]]:
    """The cells of the table whose first column is called so, without its head."""
    _, _, table = text.partition(f"| {head} |")
    lines = table.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def words(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def priceless(text: str) -> str:
    """Without prices: those of the mock market move with the time of day."""
    return re.sub(r"[\d.]+ USD/h", "… USD/h", text)


@pytest.fixture
def fleet_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The configuration that README shows, in the working directory."""
    [text] = re.findall(r"^```yaml\n(fleet:.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (tmp_path / "fleet.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return str(text)


def test_its_configuration_names_the_recommended_policies(fleet_yaml: str) -> None:
    [pool] = load_config(fleet_yaml, {}).pools.values()
    assert tuple(choice.name for choice in pool.policies) == RECOMMENDED


def test_the_choice_of_policies_is_one_that_can_be_made(fleet_yaml: str) -> None:
    [choice] = [yaml.safe_load(text)["policies"] for text in blocks(DECIDING, "yaml")]
    config = yaml.safe_load(fleet_yaml)
    config["pools"]["images"]["policies"] = choice
    [pool] = load_config(yaml.safe_dump(config), {}).pools.values()
    assert [chosen.name for chosen in pool.policies] == ["wait_target", "retention", "forecast", "schedule"]


@pytest.mark.usefixtures("fleet_yaml")
def test_what_it_supposes_is_answered_as_it_says() -> None:
    section = part(DECIDING, "What would it do if …")
    [command], [said] = blocks(section, "sh"), blocks(section, "text")
    result = CliRunner().invoke(main, shlex.split(command)[1:])
    assert priceless(result.output) == priceless(said)


def test_the_queue_that_it_shows_is_shown_so() -> None:
    pro = TierDemand(
        tier="pro", waiting=3, delayed=2, next_due_at=NOW + 300, oldest_wait_s=45, age_source=AgeSource.EXACT
    )
    free = TierDemand(tier="free", waiting=12, oldest_wait_s=20, age_source=AgeSource.ESTIMATED)
    advice: dict[str, str] = {
        code: celery.LIBRARY.advice[code] for code in (Caution.AGE_LOWER_BOUND, Caution.PREFETCH_HIDES_BACKLOG)
    }
    demand = Demand(taken_at=NOW, tiers=(pro, free), in_flight=4, in_flight_kind=InFlightKind.DELIVERED, advice=advice)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(queue_view(demand, (Tier(name="pro", wait_target=30), Tier(name="free", wait_target=300))))
    _, *lines = blocks(part(README, "Find your queues"), "text")[0].splitlines()
    assert [line for line in map(str.rstrip, capture.get().splitlines()) if "age_lower_bound" not in line] == lines


def test_the_table_of_policies_has_all_of_them_with_settings_that_they_have() -> None:
    table = rows(part(DECIDING, "How it decides"), "policy")
    assert {name.strip("`") for name, _, _ in table} == set(POLICIES)
    for name, _, settings in table:
        assert set(words(settings)) <= set(POLICIES[name.strip("`")].settings.__dataclass_fields__)


def defaults() -> Iterator[tuple[str, str, str]]:
    """What the table of the strategy's rules says to be a default: whose, which setting, and its value."""
    for _, cell in rows(part(DECIDING, "The strategy, rule by rule"), "the strategy says"):
        owner = ""
        for word in words(re.sub(r"\*set\* `[^`]+`", "", cell)):
            if found := re.fullmatch(r"(?:(\w+)\.)?(\w+): (.+)", word):
                owner = found[1] or owner
                yield owner, found[2], found[3]


@pytest.mark.parametrize(("owner", "setting", "value"), [*defaults()])
def test_a_rule_of_the_strategy_stands_in_the_configuration_with_the_value_it_tells(
    owner: str, setting: str, value: str
) -> None:
    told = TypeAdapter(SETTINGS[owner]).validate_python({setting: yaml.safe_load(f"[{value}]")[0]})
    assert told == SETTINGS[owner]()


def test_the_strategys_table_tells_defaults_at_all() -> None:
    assert len(list(defaults())) >= 15


def test_its_promises_name_each_drill_and_no_other() -> None:
    told = {word for _, cell in rows(part(README, "What it promises"), "promise") for word in words(cell)}
    assert {name for name in told if name.endswith(".py")} == {path.name for path in DRILLS.glob("test_*.py")}
