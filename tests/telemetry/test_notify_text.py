"""A message is a few lines, whatever there is to tell and whoever wrote it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.runtime.concerns import Severity
from autoscaler.telemetry.notify_news import Change, News
from autoscaler.telemetry.notify_text import compose, line_of
from tests.support.news import HOSTILE, message, news
from tests.support.reports import NOW


def downs(count: int) -> list[News]:
    return [news(subject=f"m{number}", text=f"m{number} is down") for number in range(count)]


def test_five_hundred_machines_at_once_are_a_few_lines_and_a_count() -> None:
    provider = news("provider_failing", Severity.CRITICAL, subject="mock", text="mock cannot be listed")
    told = message(*downs(500), provider)

    assert told.title == "[attic] critical: machine_down × 500, provider_failing"
    assert told.lines[0] == "critical: mock cannot be listed"
    assert len(told.lines) == 5
    assert told.lines[-1] == "and 497 more: 497 machine_down"
    assert len(told.news) == 501


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f", "g"]), min_size=1, max_size=80))
def test_there_are_never_more_than_ten_lines_and_every_piece_is_counted(names: list[str]) -> None:
    told = compose(
        [news(name, subject=str(number)) for number, name in enumerate(names)], id="x", fleet="attic", at=NOW
    )
    *shown, last = told.lines

    assert len(told.lines) <= 10
    assert len(told.lines) == len(names) or len(shown) + int(last.split()[1]) == len(names)


def test_what_had_no_room_is_counted() -> None:
    assert compose(downs(1), id="x", fleet="attic", at=NOW, dropped=7).lines[-1] == "7 older ones were dropped"


def test_the_most_severe_comes_first_and_ends_come_after_what_lasts() -> None:
    told = message(
        news(change=Change.ENDED, severity=Severity.CRITICAL, text="after 5m: a", subject="a"),
        news(text="b", subject="b"),
        news(severity=Severity.CRITICAL, text="c", subject="c"),
    )

    assert told.lines == ("critical: c", "resolved after 5m: a", "warning: b")
    assert told.title == "[attic] critical: machine_down × 2"


def test_ends_alone_are_said_to_be_resolved() -> None:
    told = message(news(change=Change.ENDED, text="after 12m: images: …"))

    assert told.title == "[attic] resolved: machine_down"


def test_a_line_says_what_became_of_it_and_what_to_type() -> None:
    about: dict[str, Any] = {"text": "m1 is down", "command": "autoscaler why", "at": NOW, "since": NOW - 21600.0}

    assert line_of(news(change=Change.BEGUN, **about)) == "warning: m1 is down → autoscaler why"
    assert line_of(news(change=Change.WORSE, **about)) == "now warning: m1 is down → autoscaler why"
    assert line_of(news(change=Change.LASTS, **about)) == "still warning, for 6h: m1 is down → autoscaler why"
    assert line_of(news(change=Change.ORDER, text="order given: pause")) == "order given: pause"


def test_words_of_strangers_stay_on_one_line_are_printable_and_never_in_the_title() -> None:
    told = message(news(text=HOSTILE * 50))

    assert all(line.isprintable() and len(line) <= 401 for line in told.lines)
    assert told.title == "[attic] warning: machine_down"
