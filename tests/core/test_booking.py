"""Each second's money is booked once, and for what it was for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.instance import Instance
from autoscaler.core.ledger import DAY_S, KEPT_DAYS, DayLedger, Spent, book, day_of, month_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.purposes import PURPOSES, AtWork, Line, Purpose
from autoscaler.runtime.accounts import Accounts
from tests.support.build import NOW, instance

P = Phase
HOUR = 3600.0
MIDNIGHT = (day_of(NOW) + 1) * DAY_S


def opened(at: float = NOW) -> Accounts:
    """Books that begin now."""
    accounts = Accounts()
    accounts.book([], at)
    return accounts


def purposes(accounts: Accounts, pool: str = "images") -> dict[str, Any]:
    """USD by purpose, of all days."""
    found: dict[str, float] = {}
    for ledger in accounts.books.values():
        for line, usd in ledger.pools.get(pool, Spent()).lines.items():
            found[line.purpose.value] = found.get(line.purpose.value, 0.0) + usd
    return {name: pytest.approx(usd) for name, usd in found.items() if usd}


def booked(machines: list[Instance], at_work: AtWork | None = None, hours: float = 1.0) -> dict[str, Any]:
    accounts = opened()
    accounts.book(machines, NOW + hours * HOUR, at_work)
    return purposes(accounts)


# --- purposes ---------------------------------------------------------------------------------------------------------


def test_every_phase_has_a_purpose() -> None:
    assert PURPOSES.keys() == set(Phase)


@pytest.mark.parametrize(
    ("phase", "purpose"),
    [
        (P.PLANNED, "boot"),
        (P.RENTING, "boot"),
        (P.BOOTING, "boot"),
        (P.RESUMING, "boot"),
        (P.DRAINING, "leaving"),
        (P.STOPPING, "leaving"),
        (P.RELEASING, "leaving"),
        (P.WARM, "stopped"),
        (P.LOST, "lost"),
    ],
)
def test_money_is_booked_for_what_the_machine_was_doing(phase: Phase, purpose: str) -> None:
    assert booked([instance(phase, burn_usd_per_hour=0.8)]) == {purpose: 0.8}


def test_a_hot_machine_serves_with_its_busy_slots_and_idles_with_the_others() -> None:
    machine = instance(burn_usd_per_hour=0.8, slots=4)
    assert booked([machine], AtWork(busy={"aaaa": 1})) == {"serving": 0.2, "idle": 0.6}
    assert booked([machine], AtWork(busy={"aaaa": 0})) == {"idle": 0.8}
    assert booked([machine], AtWork(busy={"aaaa": 9})) == {"serving": 0.8}


def test_a_hot_machine_of_which_nobody_speaks_is_neither_serving_nor_idle() -> None:
    assert booked([instance(burn_usd_per_hour=0.8)]) == {"unseen": 0.8}


def test_machines_that_nobody_speaks_for_hold_the_jobs_that_the_others_do_not() -> None:
    names = [instance(id=name, burn_usd_per_hour=1.0) for name in ("told", "a", "b", "c", "d")]
    leaving = instance(P.DRAINING, id="leaving", burn_usd_per_hour=1.0)
    at_work = AtWork(busy={"told": 1, "leaving": 1}, in_flight={"images": 3})
    assert booked([*names, leaving], at_work) == {"serving": 1.0 + 4 * 0.25, "idle": 4 * 0.75, "leaving": 1.0}
    assert booked(names[1:], AtWork(in_flight={"images": 99})) == {"serving": 4.0}


def test_a_machine_set_apart_is_booked_to_its_tier_and_others_to_none() -> None:
    accounts = opened()
    machines = [instance(burn_usd_per_hour=1.0, tier="pro"), instance(id="b", burn_usd_per_hour=0.5)]
    accounts.book(machines, NOW + HOUR, AtWork(busy={"aaaa": 1, "b": 1}))
    [ledger] = accounts.books.values()
    assert ledger.pools["images"].lines == {
        Line("mock-on-demand", "mock", "pro", Purpose.SERVING): pytest.approx(1.0),
        Line("mock-on-demand", "mock", "", Purpose.SERVING): pytest.approx(0.5),
    }


def test_hours_that_the_daemon_was_away_are_booked_and_said_to_be_unseen() -> None:
    accounts = Accounts([DayLedger(day=day_of(NOW), booked_until=NOW)])  # as the store remembers it
    accounts.book([instance(burn_usd_per_hour=0.5), instance(P.WARM, id="b", burn_usd_per_hour=0.02)], NOW + 7 * HOUR)
    assert purposes(accounts) == {"unseen": 3.5, "stopped": 0.14}


@pytest.mark.parametrize("ahead_s", [DAY_S, -DAY_S, 365 * DAY_S, -NOW], ids=["a day", "back", "a year", "1970"])
def test_each_hour_is_booked_once_though_the_clock_is_set_and_put_right_again(ahead_s: float) -> None:
    accounts, machines = opened(), [instance(burn_usd_per_hour=1.0)]
    accounts.book(machines, NOW + HOUR)
    accounts.go_on(ahead_s, NOW + HOUR + ahead_s)
    accounts.book(machines, NOW + 2 * HOUR + ahead_s)
    accounts.go_on(-ahead_s, NOW + 2 * HOUR)
    accounts.book(machines, NOW + DAY_S)
    assert sum(ledger.usd() for ledger in accounts.books.values()) == pytest.approx(24.0)
    assert accounts.newest == accounts.books[day_of(NOW + DAY_S)]


# --- every life -------------------------------------------------------------------------------------------------------

LIVES = st.lists(
    st.tuples(
        st.floats(0.5, 90_000.0),
        st.dictionaries(
            st.sampled_from(["a", "b", "c", "d"]),
            st.fixed_dictionaries(
                {
                    "phase": st.sampled_from(Phase),
                    "burn": st.floats(0.0, 20.0),
                    "tier": st.sampled_from([None, "pro"]),
                    "busy": st.none() | st.integers(0, 6),
                }
            ),
        ),
        st.none() | st.integers(0, 9),
    ),
    min_size=1,
    max_size=12,
)


def record(name: str, told: Mapping[str, Any]) -> Instance:
    pool = "images" if name in "ab" else "speech"
    return instance(told["phase"], id=name, pool=pool, burn_usd_per_hour=told["burn"], tier=told["tier"], slots=4)


@given(LIVES, st.booleans())
def test_lines_add_up_to_the_totals_and_to_price_times_time_whatever_the_lives(lives: Any, ordered: bool) -> None:
    accounts, now, expected = opened(), NOW, 0.0
    before: dict[str, Instance] = {}
    for seconds, told, in_flight in lives:
        machines = {name: record(name, each) for name, each in told.items()}
        for name, machine in machines.items():
            if name in before and before[name].phase is not machine.phase:
                accounts.changed(before[name], machine, now, ordered=ordered)
        before = machines
        busy = {name: each["busy"] for name, each in told.items() if each["busy"] is not None}
        now += seconds
        expected += sum(machine.burn_usd_per_hour for machine in machines.values()) * seconds / 3600.0
        accounts.book(
            machines.values(), now, AtWork(busy=busy, in_flight={} if in_flight is None else {"images": in_flight})
        )
    for ledger in accounts.books.values():
        for spent in ledger.pools.values():
            assert sum(spent.lines.values()) == pytest.approx(spent.usd, abs=1e-9)
            assert all(usd >= -1e-9 for usd in spent.lines.values())
            assert all(usd >= -1e-9 for usd in spent.decided().values())
    assert sum(ledger.usd() for ledger in accounts.books.values()) == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.floats(1.0, 200_000.0), min_size=1, max_size=6))
def test_midnights_and_the_end_of_a_month_cut_the_lines_where_they_cut_the_days(steps: list[float]) -> None:
    end_of_month = month_of(day_of(NOW)).stop * DAY_S
    now = start = end_of_month - 100_000.0
    machine, newest, days = instance(burn_usd_per_hour=1.0), DayLedger(day=day_of(start), booked_until=start), {}
    for step in steps:
        now += step
        for each in book(newest, [machine], now, AtWork(busy={"aaaa": 1})):
            days[each.day] = newest = each
    for day, ledger in days.items():
        seconds = min(now, (day + 1) * DAY_S) - max(start, day * DAY_S)
        lines = ledger.pools["images"].lines if seconds else {}
        assert sum(lines.values()) == pytest.approx(max(0.0, seconds) / 3600.0)


# --- boots and disks --------------------------------------------------------------------------------------------------


def boot(until: Phase, *, ordered: bool = False, start: float = NOW, **changes: Any) -> Accounts:
    """Books of a boot of an hour at 0.60 USD that ended in a phase."""
    accounts, booting = opened(start), instance(P.BOOTING, burn_usd_per_hour=0.6, phase_since=start)
    accounts.book([booting], start + HOUR)
    ended = booting.moved(until, start + HOUR, "", **changes)
    accounts.changed(booting, ended, start + HOUR, ordered=ordered)
    return accounts


def wasted(accounts: Accounts) -> dict[str, tuple[int, Any]]:
    """Times and USD by reason, of all days."""
    found: dict[str, tuple[int, float]] = {}
    for ledger in accounts.books.values():
        for why, each in ledger.pools.get("images", Spent()).wasted.items():
            times, usd = found.get(why.value, (0, 0.0))
            found[why.value] = times + each.times, usd + each.usd
    return found


def test_a_boot_that_came_up_stays_a_boot() -> None:
    accounts = boot(P.HOT)
    assert purposes(accounts) == {"boot": 0.6}
    assert wasted(accounts) == {}


def test_a_boot_that_was_lost_may_still_come_up() -> None:
    accounts = boot(P.LOST, boot_since=NOW)
    assert purposes(accounts) == {"boot": 0.6}
    lost = instance(P.LOST, boot_since=NOW)
    accounts.changed(lost, lost.moved(P.RELEASING, NOW + HOUR, ""), NOW + HOUR, ordered=False)
    assert purposes(accounts) == {"failed_boot": 0.6}
    assert wasted(accounts) == {"lost": (1, pytest.approx(0.6))}


@pytest.mark.parametrize(
    ("until", "ordered", "changes", "why"),
    [
        (P.RELEASING, False, {"diagnosis": "crash_loop"}, "crash_loop"),
        (P.RELEASING, False, {"diagnosis": "slow_pull"}, "slow_pull"),
        (P.RELEASING, False, {}, "failed"),
        (P.RELEASING, True, {}, "not_wanted"),
        (P.STOPPING, True, {}, "not_wanted"),
        (P.WARM, False, {}, "interrupted"),
        (P.WARM, False, {"refusals": 1}, "refused"),
    ],
)
def test_what_a_failed_boot_had_cost_is_moved_with_its_reason(
    until: Phase, ordered: bool, changes: dict[str, Any], why: str
) -> None:
    accounts = boot(until, ordered=ordered, **changes)
    assert purposes(accounts) == {"failed_boot": 0.6}
    assert wasted(accounts) == {why: (1, pytest.approx(0.6))}


def test_a_failed_boot_over_midnight_is_moved_on_both_days_and_counted_once() -> None:
    accounts = boot(P.RELEASING, start=MIDNIGHT - HOUR / 4)
    first, second = (accounts.books[day].pools["images"] for day in sorted(accounts.books))
    assert [*first.lines.values()] == [0.0, pytest.approx(0.15)]
    assert [*second.lines.values()] == [0.0, pytest.approx(0.45)]
    assert wasted(accounts) == {"failed": (1, pytest.approx(0.6))}
    assert {ledger.day for ledger in accounts.take_unsaved()} == set(accounts.books)


def test_one_machines_failed_boot_leaves_those_of_others_alone() -> None:
    accounts = opened()
    machines = [instance(P.BOOTING, id=name, burn_usd_per_hour=0.6) for name in ("a", "b")]
    accounts.book(machines, NOW + HOUR)
    accounts.changed(machines[0], machines[0].moved(P.RELEASING, NOW + HOUR, ""), NOW + HOUR, ordered=False)
    assert purposes(accounts) == {"boot": 0.6, "failed_boot": 0.6}
    accounts.changed(machines[0], machines[0].moved(P.RELEASING, NOW + HOUR, ""), NOW + HOUR, ordered=False)
    assert purposes(accounts) == {"boot": 0.6, "failed_boot": 0.6}


def test_the_disk_of_a_stopped_machine_that_is_given_up_was_kept_in_vain() -> None:
    accounts, warm = opened(), instance(P.WARM, burn_usd_per_hour=0.02, phase_since=NOW - 10 * HOUR)
    accounts.book([warm], NOW + HOUR)
    accounts.changed(warm, warm.moved(P.RELEASING, NOW + HOUR, ""), NOW + HOUR, ordered=True)
    assert purposes(accounts) == {"stopped": 0.02}
    assert wasted(accounts) == {"dropped_disk": (1, pytest.approx(0.22))}


def test_what_a_day_knows_by_line_does_not_change_what_it_has_cost() -> None:
    machine = instance(P.BOOTING, burn_usd_per_hour=0.6)
    accounts = opened()
    accounts.book([machine], NOW + HOUR)
    before = accounts.spent_today("images").usd
    accounts.changed(machine, machine.moved(P.RELEASING, NOW + HOUR, ""), NOW + HOUR, ordered=False)
    accounts.downloads(machine, 3.0)
    accounts.billed("mock", day_of(NOW), 9.0)
    assert accounts.spent_today("images").usd == before == pytest.approx(0.6)


# --- months of books --------------------------------------------------------------------------------------------------


def test_a_day_that_leaves_the_books_is_stored_once_more_with_its_totals_alone() -> None:
    accounts, machine = opened(), instance(burn_usd_per_hour=1.0)
    first = day_of(NOW)
    for day in range(KEPT_DAYS):
        accounts.book([machine], NOW + day * DAY_S)
        accounts.take_unsaved()
    assert first in accounts.books
    accounts.book([machine], NOW + KEPT_DAYS * DAY_S)
    closed, *_ = accounts.take_unsaved()
    assert (first in accounts.books, len(accounts.books)) == (False, KEPT_DAYS)
    assert (closed.day, closed.pools["images"].lines) == (first, {})
    assert closed.usd() == pytest.approx((MIDNIGHT - NOW) / 3600.0)
    accounts.not_stored([first])
    assert closed in accounts.take_unsaved(), "it is not lost where the store was away"
