from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.units import Secret, Span, format_duration, parse_duration, parse_name, parse_span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("2m", 120.0),
        ("24h", 86400.0),
        ("7d", 604800.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
    ],
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", 30, 1.5, None, "s", "-5s", "5 parsecs", "30s!", "1h nonsense", ["30s"]])
def test_anything_else_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="such as 30s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.4, "59s"), (59.6, "1m"), (150, "2m 30s"), (3900, "1h 05m"), (86400 * 3 + 3600 * 4, "3d 4h")],
)
def test_a_duration_reads_as_a_person_would_say_it(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_span_is_two_bounds_or_one_number() -> None:
    assert parse_span("1..6") == Span(1, 6)
    assert parse_span(3) == parse_span("3") == parse_span("3..3") == Span(3, 3)


@pytest.mark.parametrize("value", ["6..1", "1-6", "a..b", -1, True, None, 1.5, "..", "1..6..9"])
def test_a_span_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected|exceeds"):
        parse_span(value)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(-100, 100))
def test_clamping_gives_the_nearest_number_within(low: int, width: int, value: int) -> None:
    span = Span(low, low + width)

    assert span.low <= span.clamp(value) <= span.high
    assert span.clamp(value) == value or value not in range(span.low, span.high + 1)


@pytest.mark.parametrize("value", ["Images", "a b", "-a", "a-", "", "a" * 25, "a.b", None, 5])
def test_a_name_must_fit_a_label(value: object) -> None:
    with pytest.raises(ValueError, match="expected a name"):
        parse_name(value)


@pytest.mark.parametrize("written", ["a-key\n", "a-key\r\n", " a-key "])
def test_the_line_break_at_the_end_of_a_keys_file_is_no_part_of_the_key(written: str) -> None:
    assert Secret.parse(written).reveal() == "a-key"


@pytest.mark.parametrize("written", ["", " \n", None, 7])
def test_what_is_no_text_is_no_secret_and_is_not_repeated(written: object) -> None:
    with pytest.raises(ValueError, match="expected a secret that is not empty"):
        Secret.parse(written)
