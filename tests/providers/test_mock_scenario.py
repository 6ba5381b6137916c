"""Scenario steps strike the calls they name, and a bad scenario is refused with every problem at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from autoscaler.core.errors import RateLimited, SettingsError
from autoscaler.core.units import DurationRange
from providers.mock import Fault, MockSettings, Operation, Step, read_scenario
from tests.support.market import CALM, HOUR, Bench


async def struck(bench: Bench, calls: int) -> list[int]:
    """Which of so many listings, one a minute, were rate limited; the first is 1."""
    hits = []
    for number in range(1, calls + 1):
        try:
            await bench.provider.list_machines()
        except RateLimited:
            hits.append(number)
        await bench.advance(60.0)
    return hits


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({}, [1]),
        ({"nth": 3}, [3]),
        ({"nth": 3, "times": 2}, [3, 4]),
        ({"at": 300.0}, [6]),
        ({"at": 300.0, "nth": 2, "times": 3}, [7, 8, 9]),
        ({"at": 300.0, "until": 480.0}, [6, 7, 8]),
        ({"until": 480.0, "times": 2}, [1, 2]),
    ],
)
async def test_a_step_strikes_the_calls_it_names(step: dict[str, Any], expected: list[int]) -> None:
    bench = Bench(replace(CALM, scenario=(Step(fault=Fault.RATE_LIMITED, call=Operation.LIST, **step),)))
    assert await struck(bench, 10) == expected


async def test_a_step_without_a_call_strikes_any_that_it_can() -> None:
    bench = Bench(replace(CALM, scenario=(Step(fault=Fault.RATE_LIMITED, nth=2),)))
    await bench.provider.balance_usd()
    assert await struck(bench, 3) == [1]


async def test_a_step_by_time_waits_for_a_machine_that_it_can_strike() -> None:
    bench = Bench(replace(CALM, scenario=(Step(fault=Fault.VANISHES, at=HOUR),)))
    await bench.listed()
    await bench.advance(2 * HOUR)
    await bench.rent()
    await bench.rent()
    assert list(await bench.listed()) == ["m2"]


async def test_a_step_by_time_never_strikes_a_foreign_machine() -> None:
    bench = Bench(replace(CALM, foreign=("notebook",), scenario=(Step(fault=Fault.VANISHES),)))
    await bench.rent()
    await bench.advance(HOUR)
    assert list(await bench.listed()) == ["foreign-1"]


async def test_a_scenario_file_is_played_besides_the_inline_steps(tmp_path: Path) -> None:
    file = tmp_path / "bad-day.yaml"
    file.write_text("- {fault: rate_limited, call: list, nth: 4}\n- {fault: vanishes, at: 2h30m, machine: 1}\n")
    inline = (Step(fault=Fault.RATE_LIMITED, call=Operation.LIST),)
    bench = Bench(replace(CALM, scenario=inline, scenario_file=str(file)))
    assert await struck(bench, 5) == [1, 4]
    await bench.rent()
    await bench.advance(3 * HOUR)
    assert not await bench.listed()


def test_an_empty_scenario_file_is_no_scenario(tmp_path: Path) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing yet\n")
    assert read_scenario(file) == ()


def test_every_problem_of_a_scenario_file_is_told_at_once_with_key_value_and_expectation(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("""
- {fault: offer_gon}
- {fault: offer_gone, call: stop}
- {fault: offer_gone, at: 10}
- {fault: offer_gone, nht: 2}
- {fault: offer_gone, machine: 1}
- {fault: outbid, nth: 2}
- {fault: hangs, call: rnet}
- {fault: listing_fails, at: 2h, until: 1h}
- {fault: listing_fails, times: 0}
- {call: rent}
""")
    with pytest.raises(SettingsError) as caught:
        read_scenario(file)
    problems = [problem.removeprefix(f"{file}: ") for problem in caught.value.problems]
    assert len(problems) == 10
    expected = [
        ("[0].fault: 'offer_gon'", "did you mean offer_gone?"),
        ("[1]", "offer_gone cannot strike stop; expected rent"),
        ("[2].at: 10", "expected a duration with its unit"),
        ("[3].nht: 2", "unknown key; did you mean nth?"),
        ("[4]", "expected `call` and `nth` in place of `machine`"),
        ("[5]", "expected `at` in place of `nth` and `times`"),
        ("[6].call: 'rnet'", "did you mean rent?"),
        ("[7]", "`until` is not after `at`"),
        ("[8].times: 0", "greater than or equal to 1"),
        ("[9].fault", "required"),
    ]
    for problem, (where, what) in zip(problems, expected, strict=True):
        assert problem.startswith(where), problem
        assert what in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [("fault: offer_gone", "list"), ("- [", "expected YAML"), ("\x00", "expected YAML"), ("7", "7")],
)
def test_a_file_that_is_no_list_of_steps_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_scenario(file)
    [problem] = caught.value.problems
    assert str(file) in problem
    assert expected in problem
    assert "\n" not in problem


def test_a_missing_scenario_file_is_told_with_its_key_and_path(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"providers\.mock\.scenario_file: .*nowhere\.yaml cannot be read"):
        Bench(replace(CALM, scenario_file=str(tmp_path / "nowhere.yaml")))


def test_settings_are_read_from_what_yaml_gives() -> None:
    settings = TypeAdapter(MockSettings).validate_python(
        {
            "kind": "mock",
            "setup": "10m..20m",
            "resume": "90s",
            "faults": {"boot_hangs": 0.1},
            "scenario": [{"fault": "answer_lost", "call": "rent", "nth": 2}],
            "stock": [{"gpu": "L4", "region": "NL", "on_demand": 0.5, "spot": 0.2}],
        }
    )
    assert settings.setup == DurationRange(600.0, 1200.0)
    assert settings.resume == DurationRange(90.0, 90.0)
    assert settings.scenario == (Step(fault=Fault.ANSWER_LOST, call=Operation.RENT, nth=2),)
    assert settings.faults == {Fault.BOOT_HANGS: 0.1}
    assert TypeAdapter(MockSettings).validate_python({}) == MockSettings()


@pytest.mark.parametrize(
    "bad",
    [
        {"faults": {"boot_hangs": 1.5}},
        {"faults": {"boot_hang": 0.5}},
        {"faults": {"balance_spent": 0.5}},
        {"setup": "60m..30m"},
        {"setup": "30..60"},
        {"stok": []},
        {"balance_usd": -1},
    ],
)
def test_bad_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(MockSettings).validate_python(bad)
