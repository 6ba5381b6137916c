"""Words of strangers become one short printable line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.words import one_line

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=400)


@given(ANYTHING, st.integers(min_value=1, max_value=50))
def test_what_is_left_is_printable_short_and_can_be_stored(text: str, most: int) -> None:
    line = one_line(text, most)

    assert line.isprintable()
    assert len(line) <= most
    line.encode()
    assert one_line(line, most) == line


@given(st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=20))
def test_what_was_harmless_stays_as_it_was(text: str) -> None:
    assert one_line(f"{text}  {text}", 50) == f"{text}  {text}"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("\x1b[2J\x1b[31mgone", "[2J [31mgone"),
        ("line\r\nforged line", "line forged line"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\u2066b\u2069c\u200fd", "a b c d"),
        ("half \ud800 pair", "half pair"),
        ("zero\x00byte", "zero byte"),
        ("x" * 1_000_000, "x" * 19 + "…"),
        ("\n" * 1_000_000, ""),
    ],
)
def test_nothing_acts_on_a_terminal_or_hides(told: str, shown: str) -> None:
    assert one_line(told, 20) == shown
