"""Our books of each machine and day, held against what providers bill."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autoscaler.core.bills import Leaks, MachineBooks, is_more
from autoscaler.core.instance import Instance
from autoscaler.core.journal import Kind
from autoscaler.core.ledger import DAY_S, day_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.statements import bill_entry, low_entry, notice_entry
from autoscaler.runtime.documents import fields_of, read_machine_books
from tests.support.build import NOW, instance

HOUR = 3600.0
TODAY = day_of(NOW)
MIDNIGHT = TODAY * DAY_S
P = Phase


def machine(name: str = "m-1", phase: Phase = P.HOT, **changes: Any) -> Instance:
    """A machine that burns 1 USD an hour since today's midnight."""
    fields = {"id": name, "provider_id": name, "created_at": MIDNIGHT, "booked_at": MIDNIGHT, "burn_usd_per_hour": 1.0}
    return instance(phase, **(fields | changes))


def begun() -> MachineBooks:
    """Books of a fleet that has never had a machine before today."""
    books = MachineBooks()
    assert books.turn([], MIDNIGHT)
    return books


def test_a_day_of_a_machine_is_what_it_cost_more_since_the_day_began() -> None:
    books, running = begun(), machine()
    assert books.costs("mock", TODAY, [running], MIDNIGHT + 20 * HOUR) == {"m-1": 20.0}

    assert books.turn([running], MIDNIGHT + 24.001 * HOUR)
    later = MIDNIGHT + 27 * HOUR
    assert books.costs("mock", TODAY, [running], later) == {"m-1": 24.0}
    assert books.costs("mock", TODAY + 1, [running], later) == {"m-1": 3.0}
    assert books.costs("other", TODAY, [running], later) == {}


def test_a_day_is_turned_once() -> None:
    books = begun()
    assert not books.turn([machine()], MIDNIGHT + 1)
    assert not books.turn([machine()], MIDNIGHT - 1), "the clock was set back"


def test_a_machine_that_was_forgotten_during_the_day_counts() -> None:
    books = begun()
    books.turn([machine(usd_spent=4.0, burn_usd_per_hour=0.0)], MIDNIGHT + DAY_S)
    books.forget(machine(usd_spent=6.5, burn_usd_per_hour=0.0))
    books.forget(machine("m-2", usd_spent=0.5, burn_usd_per_hour=0.0))
    books.forget(machine("m-3", provider_id=None, usd_spent=9.0))
    today = {"m-1": 2.5, "m-2": 0.5}
    assert books.costs("mock", TODAY + 1, [], MIDNIGHT + 30 * HOUR) == today
    books.turn([], MIDNIGHT + 2 * DAY_S)
    assert books.costs("mock", TODAY + 1, [], MIDNIGHT + 49 * HOUR) == today
    assert books.costs("mock", TODAY + 2, [], MIDNIGHT + 49 * HOUR) == {}


def test_a_day_that_the_books_do_not_cover_is_not_known() -> None:
    found, running = MachineBooks(), machine(usd_spent=7.0)
    found.turn([running], NOW)  # they begin with machines there
    assert found.costs("mock", TODAY, [running], NOW) is None
    found.turn([running], MIDNIGHT + DAY_S)
    assert found.costs("mock", TODAY, [running], MIDNIGHT + DAY_S) is None
    found.turn([running], MIDNIGHT + 3 * DAY_S)  # a day was missed
    for day in range(TODAY, TODAY + 4):
        assert found.costs("mock", day, [running], MIDNIGHT + 3 * DAY_S) is None


def test_a_machine_found_during_the_day_is_left_out_of_it() -> None:
    books, found = begun(), machine(adopted=True, created_at=NOW)
    assert books.costs("mock", TODAY, [found], NOW) == {}
    books.turn([found], MIDNIGHT + DAY_S)
    assert books.costs("mock", TODAY + 1, [found], MIDNIGHT + 25 * HOUR) == {"m-1": 1.0}


def test_the_books_outlive_the_daemon() -> None:
    books = begun()
    books.forget(machine("m-2", usd_spent=0.5))
    books.turn([machine()], MIDNIGHT + DAY_S)
    books.forget(machine("m-3", usd_spent=0.5))
    assert books.compare("mock", TODAY)

    again = read_machine_books(json.loads(json.dumps(fields_of(books))))
    assert again == books
    assert not again.compare("mock", TODAY)
    assert again.compare("mock", TODAY + 1)


def test_who_is_gone_and_since_when() -> None:
    books = begun()
    books.forget(machine("m-1", phase_since=NOW - 5.0))
    books.forget(machine("m-2", phase_since=NOW - 6.0))
    records = [machine("m-1"), machine("m-3", P.GONE, phase_since=NOW), machine("m-4", P.RELEASING)]
    assert books.gone_at("mock", records) == {"m-2": NOW - 6.0, "m-3": NOW}, "m-1 was listed again"
    assert books.gone_at("other", records) == {}


def test_what_is_kept_is_bounded() -> None:
    books = begun()
    for day in range(20):
        for number in range(10):
            books.forget(machine(f"m-{day}-{number}", phase_since=MIDNIGHT + day * DAY_S + HOUR))
        books.turn([], MIDNIGHT + (day + 1) * DAY_S)
    assert len(books.gone_at("mock", [])) == 10
    assert len(json.dumps(fields_of(books))) < 2000


# --- bills ------------------------------------------------------------------------------------------------------------

MORE = [
    # billed, booked, whether that is more than the books explain
    (12.31, 11.90, False),
    (1.0, 0.6, False),
    (1.2, 0.6, True),
    (11.0, 10.0, False),
    (11.1, 10.0, True),
    (0.6, 0.0, True),
    (5.0, 50.0, False),
]


@pytest.mark.parametrize(("billed", "booked", "more"), MORE)
def test_a_bill_is_an_alarm_above_the_books_by_a_tenth_and_half_a_dollar(
    billed: float, booked: float, more: bool
) -> None:
    assert is_more(billed, booked) is more
    entry = bill_entry("vastai", TODAY, billed, booked, NOW)
    assert entry.kind is (Kind.ALARM if more else Kind.ACCOUNT)
    assert entry.text.startswith(f"vastai billed {billed:.2f} USD for 2027-01-15, the books say {booked:.2f}")


def test_what_is_added_to_the_bill_of_a_machine_long_gone_is_a_leak_told_once() -> None:
    leaks, gone = Leaks(), {"m-1": NOW}
    assert leaks.read(TODAY, {"m-1": 1.0}, gone, NOW + 0.5 * HOUR) == {}, "the bill runs behind"
    assert leaks.read(TODAY, {"m-1": 1.25}, gone, NOW + 1.5 * HOUR) == {}, "for all we know it was added before"
    assert leaks.read(TODAY, {"m-1": 1.25}, gone, NOW + 2.5 * HOUR) == {}
    assert leaks.read(TODAY, {"m-1": 1.75, "m-2": 9.0}, gone, NOW + 3.5 * HOUR) == {"m-1": 0.5}
    assert leaks.read(TODAY, {"m-1": 2.0}, gone, NOW + 4.5 * HOUR) == {}


def test_on_a_new_day_a_machine_gone_before_may_not_be_billed_at_all() -> None:
    leaks, gone = Leaks(), {"m-1": MIDNIGHT - 2 * HOUR, "m-2": MIDNIGHT - 60.0}
    leaks.read(TODAY - 1, {"m-1": 9.0}, {}, MIDNIGHT - HOUR)
    assert leaks.read(TODAY, {"m-1": 0.02, "m-2": 0.02}, gone, MIDNIGHT + HOUR) == {"m-1": 0.02}


# --- words ------------------------------------------------------------------------------------------------------------


def test_a_notice_is_one_short_line_whatever_the_vendor_writes() -> None:
    entry = notice_entry("vastai", "price\n\x1b[2Jrises  \t to " + "x" * 1000, NOW)
    assert entry.text.startswith("vastai wants you to decide: price [2Jrises to xxx")
    assert entry.text.isprintable()
    assert len(entry.text) < 350


def test_a_low_balance_says_what_is_left_what_burns_until_when_and_what_then() -> None:
    text = low_entry("runpod", 4.2, 1.4, NOW).text
    assert text.startswith("runpod: 4.20 USD left, 1.400 USD/h burn: that lasts 3h, until 2027-01-15 11:00 UTC; then ")
    assert low_entry("runpod", -1.0, 1.4, NOW).text.startswith(
        "runpod: -1.00 USD left, 1.400 USD/h burn: that lasts 0s"
    )
