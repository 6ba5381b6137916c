"""Reading the file of an emulation."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.core.errors import SettingsError
from autoscaler.core.units import DurationRange
from autoscaler.emulate.scenario import read_emulation
from autoscaler.emulate.vastai import Emulation, Quirk
from providers.mock import Fault, Operation, Step


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "bad-day.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", ["", "{}", "# nothing yet"])
def test_a_file_that_says_nothing_is_as_no_file(tmp_path: Path, text: str) -> None:
    assert read_emulation(Emulation, written(tmp_path, text)) == read_emulation(Emulation, None) == Emulation()


def test_a_plain_list_is_the_markets_scenario(tmp_path: Path) -> None:
    read = read_emulation(Emulation, written(tmp_path, "- {fault: answer_lost, call: rent, nth: 2}"))
    assert read.market.scenario == (Step(fault=Fault.ANSWER_LOST, call=Operation.RENT, nth=2),)


def test_what_a_file_leaves_out_of_the_market_is_as_without_a_file(tmp_path: Path) -> None:
    read = read_emulation(Emulation, written(tmp_path, "market: {setup: 1m..2m}\nquirks: [frozen]"))
    assert (read.market.setup, read.quirks) == (DurationRange(60.0, 120.0), (Quirk.FROZEN,))
    assert read.market.resume == Emulation().market.resume


def test_every_mistake_is_told_at_once_with_key_value_and_expectation(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        market: {setup: 20, stok: [], scenario: [{fault: outbit}, {fault: outbid, call: rent}]}
        quirks: [frosen]
        weather: bad
        """,
    )
    with pytest.raises(SettingsError) as caught:
        read_emulation(Emulation, path)
    problems = [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]
    assert len(problems) == 6
    for start, *words in (
        ("market.setup: 20: ", "20s", "30m..60m"),
        ("market.stok: []: ", "unknown key", "did you mean stock?"),
        ("market.scenario[0].fault: 'outbit': ", "did you mean outbid?"),
        ("market.scenario[1]: ", "outbid cannot strike rent"),
        ("quirks[0]: 'frosen': ", "did you mean frozen?"),
        ("weather: 'bad': ", "unknown key"),
    ):
        (problem,) = [problem for problem in problems if problem.startswith(start)]
        assert all(word in problem for word in words[-1:]), problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("market: {state_file: m.json}", "market.state_file: an emulator forgets everything when it ends"),
        ("market: {scenario_file: s.yaml}", "market.scenario_file: write the steps below `market.scenario`"),
        ("just words", "emulation: 'just words':"),
        ("a: [", "expected YAML"),
    ],
)
def test_a_file_that_cannot_be_followed_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem.replace("(", r"\(")):
        read_emulation(Emulation, written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml cannot be read"):
        read_emulation(Emulation, tmp_path / "none.yaml")
