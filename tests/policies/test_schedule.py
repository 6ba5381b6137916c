"""Windows of time: when they open, what they want, and what is ordered before they do."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import NO_CEILING, Decision
from autoscaler.core.demand import Unknown
from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Limits
from autoscaler.core.units import Span
from policies import combine, thresholds
from policies.base import State
from policies.schedule import POLICY, Schedule, decide
from policies.windows import Window, starts
from tests.support.build import NOW, demand, instance, pool, snapshot

P = Phase
HOUR = 3600.0
BERLIN = "Europe/Berlin"
LEARNED = {
    "mock-on-demand": PlacementHistory(setup=Estimate(45 * 60.0, 0.0, 9), resume=Estimate(180.0, 0.0, 9)),
}


def at(text: str, zone: str = BERLIN, *, fold: int = 0) -> float:
    """Epoch seconds of a wall clock's time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def window(cron: str = "0 8 * * 1-5", hours: float = 10.0, **changes: Any) -> Window:
    values: dict[str, Any] = {"cron": cron, "lasts": hours * HOUR, "zone": BERLIN, "floor": 3}
    return Window(**(values | changes))


def fleet(*phases: Phase) -> list[Instance]:
    return [instance(phase, id=f"i{n}", created_at=NOW + n) for n, phase in enumerate(phases)]


def seen(*phases: Phase, **changes: Any) -> PoolSnapshot:
    return snapshot(*fleet(*phases), **({"history": LEARNED} | changes))


def decided(now: float, *windows: Window, view: PoolSnapshot | None = None, state: State | None = None) -> Decision:
    return decide(view or seen(P.HOT), state or {}, now, Schedule(windows=windows))[0]


def is_open(now: float, each: Window) -> bool:
    return any(reason.rule == "schedule.open" for reason in decided(now, each).why)


# --- when a window is open --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "opened"),
    [
        ("2027-01-04T07:59:59", False),
        ("2027-01-04T08:00:00", True),
        ("2027-01-04T17:59:59", True),
        ("2027-01-04T18:00:00", False),
        ("2027-01-03T12:00:00", False),  # a Sunday
    ],
)
def test_a_window_is_open_from_its_start_for_as_long_as_it_lasts(moment: str, opened: bool) -> None:
    assert is_open(at(moment), window()) == opened


@pytest.mark.parametrize(
    ("moment", "opened"),
    [
        ("2027-03-27T21:59:59", False),
        ("2027-03-27T22:00:00", True),
        ("2027-03-28T08:59:59", True),  # 02:00 became 03:00: ten hours end at 09:00
        ("2027-03-28T09:00:00", False),
        ("2027-10-31T06:59:59", True),  # 03:00 became 02:00: ten hours end at 07:00
        ("2027-10-31T07:00:00", False),
    ],
)
def test_a_window_that_spans_a_change_of_the_clocks_lasts_as_long_as_any_other(moment: str, opened: bool) -> None:
    assert is_open(at(moment), window("0 22 * * *")) == opened


@pytest.mark.parametrize("day", ["2027-03-27", "2027-03-28", "2027-03-29", "2027-10-30", "2027-10-31", "2027-11-01"])
def test_a_window_opens_by_the_clock_on_the_wall_before_and_after_a_change(day: str) -> None:
    morning = window("0 8 * * *")
    assert not is_open(at(f"{day}T07:59:59"), morning)
    assert is_open(at(f"{day}T08:00:00"), morning)


def test_a_start_in_the_hour_that_does_not_exist_comes_right_after_it() -> None:
    night = window("30 2 * * *", 1)
    before, after = at("2027-03-28T01:00:00"), at("2027-03-28T06:00:00")

    assert list(starts(night, before, after)) == [at("2027-03-28T03:00:00")]


def test_a_start_in_the_hour_that_exists_twice_comes_once_the_first_time() -> None:
    night = window("30 2 * * *", 1)
    first, second = at("2027-10-31T02:30:00"), at("2027-10-31T02:30:00", fold=1)

    assert second - first == HOUR
    assert list(starts(night, at("2027-10-31T01:00:00"), at("2027-10-31T06:00:00"))) == [first]
    assert is_open(first, night)
    assert not is_open(second, night)


def test_a_line_of_every_hour_goes_on_through_both_changes() -> None:
    hourly = window("0 * * * *", 1)

    assert len(list(starts(hourly, at("2027-03-27T23:30:00"), at("2027-03-28T23:30:00")))) == 23
    assert len(list(starts(hourly, at("2027-10-30T23:30:00"), at("2027-10-31T23:30:00")))) == 25


def test_a_zone_whose_change_is_half_an_hour_is_read_right() -> None:
    island = window("30 8 * * *", 1, zone="Australia/Lord_Howe")
    days = [at(f"2027-10-0{day}T08:30:00", "Australia/Lord_Howe") for day in (2, 3, 4)]  # the change is on the 3rd

    assert list(starts(island, days[0] - 1, days[-1])) == days
    assert days[1] - days[0] == 23.5 * HOUR


lines = st.sampled_from(["0 8 * * 1-5", "30 2 * * *", "0 22 * * *", "*/20 2 * * *", "0 * * * *", "15 3 1 * *"])
zones = st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "America/Havana"])
moments = st.integers(int(at("2027-01-01T00:00")), int(at("2028-01-01T00:00"))).map(float)


@given(lines, zones, moments, st.floats(0, 3 * 86400), st.floats(0, 3 * 86400))
def test_the_starts_of_two_spans_are_those_of_both_together(
    cron: str, zone: str, after: float, one: float, other: float
) -> None:
    each = window(cron, 1, zone=zone)
    middle, until = after + one, after + one + other

    assert [*starts(each, after, middle), *starts(each, middle, until)] == list(starts(each, after, until))


@given(lines, zones, moments)
def test_no_start_comes_twice(cron: str, zone: str, after: float) -> None:
    found = list(starts(window(cron, 1, zone=zone), after, after + 5 * 86400))

    assert found == sorted(set(found))


# --- what an open window wants ----------------------------------------------------------------------------------------

MONDAY_NOON = at("2027-01-04T12:00:00")


def test_an_open_window_sets_floor_ceiling_spare_and_standby_and_says_so() -> None:
    decision = decided(MONDAY_NOON, window(floor=2, ceiling=6, spare=1, standby=1))

    assert (decision.hot, decision.ceiling, decision.spare, decision.standby) == (2, 6, 1, 1)
    [reason] = decision.why
    assert reason.text == (
        "the window of 0 8 * * 1-5 Europe/Berlin is open for another 6h: at least 2, at most 6, spare 1, standby 1"
    )


def test_a_closed_window_wants_nothing_and_says_when_it_opens() -> None:
    decision = decided(at("2027-01-04T19:00:00"), window(ceiling=6))

    assert (decision.hot, decision.ceiling, decision.keep, decision.standby) == (0, NO_CEILING, 0, 0)
    [reason] = decision.why_not
    assert reason.text == "the window of 0 8 * * 1-5 Europe/Berlin opens in 13h; a set-up takes 45m"


def test_of_overlapping_windows_the_highest_floor_and_the_strictest_ceiling_win() -> None:
    decision = decided(
        MONDAY_NOON, window(floor=2, ceiling=6, spare=1), window("0 9 * * *", floor=4, ceiling=5, standby=2)
    )

    assert (decision.hot, decision.ceiling, decision.spare, decision.standby) == (4, 5, 1, 2)


def test_an_unknown_queue_changes_nothing_of_a_window() -> None:
    assert decided(MONDAY_NOON, window(), view=seen(P.HOT, demand=Unknown("timeout", NOW))).hot == 3


def test_a_ceiling_holds_back_what_other_policies_want() -> None:
    busy = seen(P.HOT, P.WARM, demand=demand(500))
    entries = (
        ("thresholds", thresholds.POLICY, thresholds.Thresholds()),
        ("schedule", POLICY, Schedule(windows=(window(floor=0, ceiling=1),))),
    )
    decision, _ = combine.decide(entries, busy, {}, MONDAY_NOON)

    assert decision.hot == 1


# --- before it opens --------------------------------------------------------------------------------------------------


def before(minutes: float) -> float:
    return at("2027-01-04T08:00:00") - minutes * 60.0


@pytest.mark.parametrize(("minutes", "hot"), [(45.1, 0), (45.0, 3), (1.0, 3)])
def test_without_stopped_machines_a_floor_is_ordered_a_set_up_before(minutes: float, hot: int) -> None:
    assert decided(before(minutes), window()).hot == hot


@pytest.mark.parametrize(("minutes", "hot"), [(45.0, 0), (3.1, 0), (3.0, 3)])
def test_with_stopped_machines_enough_a_floor_is_ordered_a_resume_before(minutes: float, hot: int) -> None:
    assert decided(before(minutes), window(), view=seen(P.HOT, P.WARM, P.WARM)).hot == hot


def test_one_stopped_machine_too_few_takes_a_set_up() -> None:
    assert decided(before(45.0), window(), view=seen(P.HOT, P.WARM)).hot == 3


def test_spare_machines_come_on_top_of_whatever_is_up() -> None:
    spare = window(floor=0, spare=1)

    assert decided(before(45.0), spare, view=seen(P.HOT, P.HOT)).spare == 1
    assert decided(before(45.0), spare, view=seen(P.HOT, P.HOT, P.WARM)).spare == 0


def test_a_standby_is_made_a_set_up_before() -> None:
    assert decided(before(46.0), window(floor=0, standby=1)).standby == 0
    assert decided(before(45.0), window(floor=0, standby=1)).standby == 1


def test_a_ceiling_is_never_early() -> None:
    assert decided(before(1.0), window(ceiling=4)).ceiling == NO_CEILING


def test_what_runs_or_is_stopped_is_not_let_go_shortly_before() -> None:
    decision = decided(before(40.0), window(), view=seen(P.HOT, P.HOT, P.WARM))

    assert (decision.keep, decision.standby) == (2, 1)
    assert decided(before(50.0), window(), view=seen(P.HOT, P.HOT, P.WARM)).keep == 0


def test_the_slowest_placement_counts_and_an_unlearned_one_takes_what_is_usual() -> None:
    assert decided(before(44.0), window(), view=seen(P.HOT, history={})).hot == 3
    quick = {"mock-on-demand": PlacementHistory(setup=Estimate(300.0, 0.0, 9))}
    assert decided(before(44.0), window(), view=seen(P.HOT, history=quick)).hot == 0
    assert decided(before(5.0), window(), view=seen(P.HOT, history=quick)).hot == 3


def test_a_set_up_learned_to_be_quicker_does_not_close_a_window_that_was_opened_early() -> None:
    schedule = Schedule(windows=(window(),))
    first, state = decide(seen(P.HOT), {}, before(45.0), schedule)
    quick = {"mock-on-demand": PlacementHistory(setup=Estimate(300.0, 0.0, 9))}

    second, _ = decide(seen(P.HOT, P.HOT, P.HOT, history=quick), state, before(40.0), schedule)

    assert (first.hot, second.hot) == (3, 3)


def test_an_early_opening_is_forgotten_once_the_window_has_closed() -> None:
    schedule = Schedule(windows=(window(),))
    _, early = decide(seen(P.HOT), {}, before(10.0), schedule)
    _, opened = decide(seen(P.HOT), early, MONDAY_NOON, schedule)

    assert (len(early), opened) == (1, {})


@given(st.lists(st.sampled_from([P.HOT, P.WARM, P.BOOTING, P.DRAINING]), max_size=5), st.floats(-700, 60))
def test_the_floor_never_falls_from_its_order_to_the_end_of_the_window(phases: list[Phase], minutes: float) -> None:
    schedule = Schedule(windows=(window(),))
    ordered, state = decide(seen(*phases), {}, before(10.0), schedule)
    later = before(minutes)
    if ordered.hot == 3 and before(10.0) <= later < at("2027-01-04T18:00:00"):
        assert decide(seen(*phases), state, later, schedule)[0].hot == 3


@given(moments)
def test_the_decision_is_the_same_for_the_same_input_which_it_leaves_alone(now: float) -> None:
    schedule, state = Schedule(windows=(window(), window("0 22 * * *", ceiling=4))), {"other": 1.0}

    assert decide(seen(P.HOT), state, now, schedule) == decide(seen(P.HOT), state, now, schedule)
    assert state == {"other": 1.0}


# --- what is wrong with it --------------------------------------------------------------------------------------------

POOL = pool(limits=Limits(hot=Span(1, 4), warm=Span(0, 2)))


def wrong(*windows: Window) -> list[tuple[str, str]]:
    found = POLICY.check(Schedule(windows=windows), POOL)
    return [(".".join(map(str, where)), text) for where, text in found]


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"cron": "0 25 * * *"}, "cron", "bad hour; expected minute, hour, day of the month"),
        ({"cron": "0 8 * *"}, "cron", "wrong number of fields; expected"),
        ({"cron": "0 0 8 * * *"}, "cron", "expected five fields; seconds are not known"),
        ({"cron": "@daily"}, "cron", "wrong number of fields"),
        ({"cron": "0 8 31 2 *"}, "cron", "bad day-of-month"),
        ({"zone": "Europe/Berln"}, "zone", 'there is no such time zone; did you mean "Europe/Berlin"?'),
        ({"zone": "../etc"}, "zone", "there is no such time zone"),
        ({"zone": ""}, "zone", "expected one such as Europe/Berlin"),
        ({"lasts": 0.0}, "lasts", "expected more than 0s and at most 31d"),
        ({"lasts": 32 * 86400.0}, "lasts", "at most 31d"),
        ({"floor": -1}, "floor", "expected 0 or more"),
        ({"floor": 5}, "floor", "above limits.hot (1..4)"),
        ({"standby": 3}, "standby", "above limits.warm (0..2)"),
        ({"floor": 0, "ceiling": 0}, "ceiling", "below limits.hot (1..4); raise it, or lower the limit"),
        ({"floor": 3, "ceiling": 2}, "ceiling", "below the floor (3) of the same window"),
        ({"floor": 0}, "cron", "this window changes nothing"),
    ],
)
def test_a_mistake_says_where_and_what_would_resolve_it(changes: dict[str, Any], key: str, said: str) -> None:
    [(where, text)] = wrong(window(**changes) if "cron" in changes else window("0 8 * * *", **changes))

    assert where == f"windows.0.{key}"
    assert said in text


def test_all_mistakes_are_found_together() -> None:
    found = wrong(window("61 8 * * *", zone="Mars", lasts=0.0), window(floor=9), window(floor=3, ceiling=0))

    assert [where for where, _ in found] == [
        "windows.0.cron",
        "windows.0.zone",
        "windows.0.lasts",
        "windows.1.floor",
        "windows.2.ceiling",
        "windows.2.ceiling",
    ]


def test_a_schedule_without_windows_is_a_mistake() -> None:
    assert [where for where, _ in wrong()] == ["windows"]


def test_a_floor_above_the_ceiling_of_a_window_that_is_open_at_the_same_time_is_a_mistake() -> None:
    [(where, text)] = wrong(window(floor=4), window("0 17 * * *", 2, floor=0, ceiling=2))

    assert where == "windows.0.floor"
    assert text.startswith(
        "above the ceiling (2) of windows[1], which is open at the same time, as on Fri 01 Jan 17:00"
    )


def test_windows_that_never_meet_do_not_contradict_each_other() -> None:
    assert wrong(window(floor=4), window("0 18 * * *", 2, floor=0, ceiling=2)) == []


def test_a_good_schedule_has_no_mistake() -> None:
    assert wrong(window(floor=2, ceiling=4, spare=1, standby=1), window("0 0 1 1 *", 24 * 31)) == []
