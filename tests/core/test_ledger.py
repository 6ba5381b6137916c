from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.ledger import DAY_S, DayLedger, Spent, book, day_of, newest
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
    assert first.usd == pytest.approx(0.5)
    assert second.usd == pytest.approx(0.25)


def test_a_new_ledger_starts_empty_now() -> None:
    [day] = book(None, [instance(burn_usd_per_hour=1.0)], NOW)

    assert (day.day, day.booked_until, day.usd) == (DAY, NOW, 0.0)


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

    assert sum(day.usd for day in days.values()) == pytest.approx(price * (now - NOW) / 3600, abs=1e-8)
    assert all(day.booked_until <= (day.day + 1) * DAY_S for day in days.values())


def test_of_two_ledgers_the_one_that_knows_more_is_kept() -> None:
    empty, spent = ledger(NOW + 60), replace(ledger(NOW), pools={"images": Spent(running_usd=3.0)})
    tomorrow = ledger(MIDNIGHT + 60)
    assert newest(None, None) is None
    assert newest(spent, None) is newest(None, spent) is newest(empty, spent) is newest(spent, empty) is spent
    assert newest(spent, tomorrow) is newest(tomorrow, spent) is tomorrow
