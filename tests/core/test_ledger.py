from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.ledger import (
    DAY_S,
    DayLedger,
    Spent,
    book,
    day_name,
    day_of,
    forecast_usd,
    merged,
    month_of,
    month_usd,
)
from autoscaler.core.lifecycle import Phase
from tests.support.build import NOW, instance

DAY = day_of(NOW)
MIDNIGHT = (DAY + 1) * DAY_S


def ledger(until: float) -> DayLedger:
    return DayLedger(day=day_of(until), booked_until=until)


def test_running_and_stopped_machines_are_booked_apart_at_their_present_price() -> None:
    fleet = [
        instance(Phase.HOT, burn_usd_per_hour=0.8),
        instance(Phase.WARM, burn_usd_per_hour=0.02),
        instance(Phase.RELEASING, burn_usd_per_hour=0.5),
        instance(Phase.GONE, burn_usd_per_hour=0.0),
    ]

    [day] = book(ledger(NOW), fleet, NOW + 3600)

    assert day.pools["images"].running_usd == pytest.approx(1.3)
    assert day.pools["images"].stopped_usd == pytest.approx(0.02)


def test_midnight_splits_an_interval_between_two_days() -> None:
    machine = instance(burn_usd_per_hour=1.0)

    first, second = book(ledger(MIDNIGHT - 1800), [machine], MIDNIGHT + 900)

    assert (first.day, second.day) == (DAY, DAY + 1)
    assert first.usd() == pytest.approx(0.5)
    assert second.usd() == pytest.approx(0.25)


def test_a_new_ledger_starts_empty_now() -> None:
    [day] = book(None, [instance(burn_usd_per_hour=1.0)], NOW)

    assert (day.day, day.booked_until, day.usd()) == (DAY, NOW, 0.0)


@given(st.lists(st.floats(0.1, 2e5), min_size=1, max_size=8), st.floats(0, 20))
def test_the_books_are_price_times_time_however_the_time_is_cut(steps: list[float], price: float) -> None:
    machine = instance(burn_usd_per_hour=price)
    days = {DAY: ledger(NOW)}
    now, newest = NOW, days[DAY]
    for step in steps:
        now += step
        booked = book(newest, [machine], now)
        days |= {day.day: day for day in booked}
        newest = booked[-1]

    assert sum(day.usd() for day in days.values()) == pytest.approx(price * (now - NOW) / 3600, abs=1e-8)
    assert all(day.booked_until <= (day.day + 1) * DAY_S for day in days.values())


def test_of_each_day_the_books_that_know_more_are_kept() -> None:
    empty, spent = ledger(NOW + 60), replace(ledger(NOW), pools={"images": Spent(running_usd=3.0)})
    tomorrow = ledger(MIDNIGHT + 60)
    assert merged({}, {}) == {}
    for books in ({DAY: empty}, {}), ({}, {DAY: empty}), ({DAY: empty}, {DAY: ledger(NOW)}):
        assert merged(*books) == {DAY: empty}
    for kept, stored in ({DAY: empty}, {DAY: spent}), ({DAY: spent}, {DAY: empty}):
        assert merged(kept, stored) == {DAY: spent}
    assert merged({DAY: spent}, {DAY + 1: tomorrow}) == {DAY: spent, DAY + 1: tomorrow}


# --- months -----------------------------------------------------------------------------------------------------------


def day(name: str) -> int:
    """The first of September 2026 is day 20697."""
    return 20697 + (date.fromisoformat(name) - date(2026, 9, 1)).days


def days_of_12_usd(first: str, last: str, until: float) -> dict[int, DayLedger]:
    """Books of 0.50 USD an hour, two thirds of it of one pool."""
    books = {}
    for each in range(day(first), day(last) + 1):
        end = min(until, (each + 1) * DAY_S)
        usd = 0.5 * (end - each * DAY_S) / 3600
        pools = {"images": Spent(running_usd=usd * 2 / 3), "speech": Spent(stopped_usd=usd / 3)}
        books[each] = DayLedger(day=each, booked_until=end, pools=pools)
    return books


NOON = day("2026-09-21") * DAY_S + DAY_S / 2


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("2026-09-01", "2026-09-01", "2026-09-30"),
        ("2026-09-30", "2026-09-01", "2026-09-30"),
        ("2026-12-31", "2026-12-01", "2026-12-31"),
        ("2027-02-10", "2027-02-01", "2027-02-28"),
        ("2028-02-29", "2028-02-01", "2028-02-29"),
    ],
)
def test_a_month_has_all_its_days(name: str, first: str, last: str) -> None:
    assert month_of(day(name)) == range(day(first), day(last) + 1)
    assert day_name(day(name)) == name


def test_the_month_costs_what_its_days_cost() -> None:
    books = days_of_12_usd("2026-08-20", "2026-09-21", NOON)

    assert month_usd(books, day("2026-09-21")) == pytest.approx(246.0)
    assert month_usd(books, day("2026-09-21"), "images") == pytest.approx(164.0)
    assert month_usd(books, day("2026-09-21"), "unheard-of") == 0.0
    assert month_usd(books, day("2026-08-31")) == pytest.approx(144.0)


def test_the_months_end_is_foretold_at_the_pace_of_the_last_7_days() -> None:
    # The worked example of the docstring, and then a week at thrice the pace.
    books = days_of_12_usd("2026-09-01", "2026-09-21", NOON)
    assert forecast_usd(books, NOON) == pytest.approx(360.0)
    assert forecast_usd(books, NOON, "images") == pytest.approx(240.0)

    for each in range(day("2026-09-14"), day("2026-09-21") + 1):
        usd = books[each].usd()
        books[each] = replace(books[each], pools={"images": Spent(running_usd=3 * usd)})
    assert forecast_usd(books, NOON) == pytest.approx(13 * 12 + 7.5 * 36 + 9.5 * 36)


def test_the_pace_of_a_daemon_that_has_just_begun_is_that_of_its_own_time() -> None:
    [begun] = book(None, [], NOON)
    assert forecast_usd({begun.day: begun}, NOON) is None

    [later] = book(begun, [instance(burn_usd_per_hour=0.5)], NOON + 3600)
    assert forecast_usd({later.day: later}, NOON + 3600) == pytest.approx(9.5 * 12)


def test_books_that_knew_no_beginning_began_with_their_day() -> None:
    assert DayLedger(day=DAY, booked_until=MIDNIGHT - DAY_S / 4).booked_s == pytest.approx(DAY_S * 3 / 4)
