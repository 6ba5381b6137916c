"""Durations are drawn from a range, or from measurements by their own quantiles."""

from __future__ import annotations

import statistics
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.config import full_yaml, json_schema, load_config
from autoscaler.core.errors import SettingsError
from autoscaler.core.units import DurationRange, parse_duration_range
from tests.support.market import CALM, Bench

CONFIG = """
fleet: f
redis: redis://queue:6379
pools:
  p:
    queue: {kind: list, tiers: [{name: t, key: k}]}
    machine: {image: i, gpus: [g]}
    placements: [{provider: mock, max_usd_per_hour: 1}]
providers: {mock: {setup: SETUP}}
"""
SECONDS = st.floats(0.0, 1e6)
MEASURED = st.lists(SECONDS, min_size=2, max_size=30)


def measured(seconds: list[float]) -> DurationRange:
    """Measurements as a file would have them."""
    return parse_duration_range([f"{each:.6f}s" for each in seconds])


@pytest.mark.parametrize(
    ("text", "low", "high"), [("30m..60m", 1800.0, 3600.0), ("2m .. 5m", 120.0, 300.0), ("1h30m", 5400.0, 5400.0)]
)
def test_a_range_is_two_durations_or_one_for_exactly_that(text: str, low: float, high: float) -> None:
    assert parse_duration_range(text) == DurationRange(low, high)


@pytest.mark.parametrize("text", ["", "..", "30m..", "..60m", "30m...60m", "30", 30, None, "60m..30m", "a..b"])
def test_anything_else_is_no_range(text: object) -> None:
    with pytest.raises(ValueError, match=r"\.\."):
        parse_duration_range(text)


def test_measurements_are_a_list_in_any_order() -> None:
    assert parse_duration_range(["180s", "95s", "400s", "2m"]) == DurationRange(95.0, 400.0, (120.0, 180.0))


def test_one_measurement_is_exactly_that_and_two_are_a_range() -> None:
    assert parse_duration_range(["95s"]) == parse_duration_range("95s")
    assert parse_duration_range(["5m", "2m"]) == parse_duration_range("2m..5m")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "expected at least one measured duration"),
        (["95s", "120"], "measurement 2 is 120; expected a duration with its unit"),
        ([95], "measurement 1 is 95; expected a duration"),
        (["1m..2m"], "measurement 1 is 1m..2m"),
    ],
)
def test_a_bad_measurement_is_told_with_its_place_and_value(value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse_duration_range(value)


@pytest.mark.parametrize(
    ("fraction", "seconds"), [(0.0, 95.0), (1 / 6, 107.5), (0.5, 150.0), (2 / 3, 180.0), (1.0, 400.0)]
)
def test_between_measurements_the_quantile_is_interpolated(fraction: float, seconds: float) -> None:
    assert DurationRange(95.0, 400.0, (120.0, 180.0)).at(fraction) == pytest.approx(seconds)


@given(MEASURED, st.integers(2, 40))
def test_the_quantiles_are_those_of_the_standard_library(seconds: list[float], parts: int) -> None:
    expected = statistics.quantiles(seconds, n=parts, method="inclusive")
    drawn = [measured(seconds).at(cut / parts) for cut in range(1, parts)]
    assert drawn == pytest.approx(expected, abs=1e-5, rel=1e-9)


@given(MEASURED)
def test_the_mean_is_that_of_what_is_drawn(seconds: list[float]) -> None:
    durations, pieces = measured(seconds), 100 * (len(seconds) - 1)
    midpoints = [durations.at((piece + 0.5) / pieces) for piece in range(pieces)]
    assert durations.mean == pytest.approx(statistics.fmean(midpoints), rel=1e-9, abs=1e-9)


@given(SECONDS, SECONDS, st.floats(0.0, 1.0))
def test_a_range_is_drawn_from_evenly(one: float, other: float, fraction: float) -> None:
    low, high = sorted((one, other))
    durations = DurationRange(low, high)
    assert durations.at(fraction) == low + (high - low) * fraction
    assert durations.mean == pytest.approx((low + high) / 2)


async def test_boots_take_as_long_as_those_that_were_measured() -> None:
    boots = DurationRange(60.0, 900.0, (60.0, 60.0, 120.0))
    bench = Bench(replace(CALM, setup=boots))
    drawn = []
    for _ in range(400):
        machine = await bench.rent()
        drawn.append(bench.market.due - bench.now)
        await bench.provider.release(machine)
    assert sum(each == pytest.approx(60.0) for each in drawn) == pytest.approx(200, abs=50)
    assert sum(each > 120.0 for each in drawn) == pytest.approx(100, abs=45)
    assert statistics.fmean(drawn) == pytest.approx(boots.mean, rel=0.15)


def test_measurements_in_a_configuration_read_back_from_its_full_form() -> None:
    config = load_config(CONFIG.replace("SETUP", "[95s, 6m40s, 2m, 180s]"), {})
    full = full_yaml(config)
    assert load_config(full, {}) == config
    assert "- 95s\n" in full
    assert "- 400s\n" in full


@pytest.mark.parametrize(
    ("setup", "problem"),
    [
        ("[95s, 120]", "providers.mock.setup: measurement 2 is 120; expected a duration with its unit"),
        ("[]", "providers.mock.setup: expected at least one measured duration"),
        ("fast", "providers.mock.setup: fast - expected a range of durations such as 30m..60m, one duration"),
    ],
)
def test_bad_measurements_in_a_configuration_are_told_with_their_key(setup: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_config(CONFIG.replace("SETUP", setup), {})
    [told] = caught.value.problems
    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("setup", "valid"), [("5m", True), ("1m..2m", True), (["95s", "2m"], True), (95, False), ([95], False)]
)
def test_the_schema_knows_ranges_and_measurements(setup: object, valid: bool) -> None:
    schema = json_schema()
    mock = schema | {"$ref": "#/$defs/MockSettings"}
    mock = {key: value for key, value in mock.items() if key in {"$ref", "$defs"}}
    assert jsonschema.Draft202012Validator(mock).is_valid({"setup": setup}) is valid
