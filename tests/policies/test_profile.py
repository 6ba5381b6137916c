"""The usual week: fallbacks, fading, smoothing."""

from __future__ import annotations

import pytest

from policies.profile import DAY, SLOT_S, WEEK, Outlook, Profile, say_slot, slot_of

TUESDAY = 5 * DAY
"""The first slot of the first Tuesday of the epoch."""
TIME = 35
"""08:45, counted in slots from midnight."""


def taught(*seen: tuple[int, float]) -> Profile:
    """A profile that has seen slots with so much work, in its own neighbourhood: each of them three slots wide."""
    profile = Profile()
    for slot, work in seen:
        for near in (slot - 1, slot, slot + 1):
            profile = profile.learned(near, work, work)
    return profile


def usual(profile: Profile, slot: int) -> float:
    return profile.outlook(slot, 1).work[0]


@pytest.mark.parametrize(
    ("at", "slot", "said"),
    [
        (0.0, 0, "Thursday 00:00 UTC"),
        (899.9, 0, "Thursday 00:00 UTC"),
        (900.0, 1, "Thursday 00:15 UTC"),
        (1_800_000_000.0, 2_000_000, "Friday 08:00 UTC"),
        ((TUESDAY + TIME) * SLOT_S, TUESDAY + TIME, "Tuesday 08:45 UTC"),
    ],
)
def test_a_slot_is_a_quarter_of_an_hour_in_utc(at: float, slot: int, said: str) -> None:
    assert slot_of(at) == slot
    assert say_slot(slot) == said


def test_with_one_week_a_slot_is_the_mean_of_itself_and_its_time_of_day() -> None:
    # Five days took 2 on average, Tuesday among them 3; all that was seen took 2.
    profile = taught(*[(TUESDAY + (day * DAY) + TIME, work) for day, work in enumerate([3.0, 1.0, 2.0, 2.0, 2.0])])

    assert usual(profile, TUESDAY + TIME) == pytest.approx((3.0 + (5 * 2.0 + 2.0) / 6) / 2)


def test_a_day_of_the_week_that_was_never_seen_takes_the_time_of_day() -> None:
    profile = taught((TUESDAY + TIME, 4.0), (TUESDAY + TIME + 12, 0.0))
    mean = 2.0

    assert usual(profile, TUESDAY + DAY + TIME) == pytest.approx((4.0 + mean) / 2)


def test_a_time_of_day_that_was_never_seen_takes_the_mean_of_all_times() -> None:
    assert usual(taught((TUESDAY + TIME, 4.0), (TUESDAY + TIME + 12, 2.0)), TUESDAY + 80) == pytest.approx(3.0)


def test_with_many_weeks_the_day_of_the_week_counts_for_most() -> None:
    seen = [
        (week * WEEK + TUESDAY + day * DAY + TIME, 8.0 if day == 0 else 1.0) for week in range(9) for day in range(7)
    ]
    profile = taught(*seen)

    assert usual(profile, TUESDAY + TIME) > 6.0
    assert usual(profile, TUESDAY + DAY + TIME) == pytest.approx(1.3, abs=0.3)


def test_older_weeks_fade() -> None:
    slot = TUESDAY + TIME
    profile = taught(*[(slot + week * WEEK, 1.0) for week in range(8)])
    after = [usual(profile := taught_more(profile, slot + (8 + week) * WEEK, 5.0), slot) for week in range(6)]

    assert after == sorted(after)
    assert after[0] < 2.5
    assert after[-1] > 4.0


def taught_more(profile: Profile, slot: int, work: float) -> Profile:
    for near in (slot - 1, slot, slot + 1):
        profile = profile.learned(near, work, work)
    return profile


def test_neighbours_are_averaged() -> None:
    profile = Profile()
    for slot, work in ((9, 0.0), (10, 4.0), (11, 0.0)):
        profile = profile.learned(slot, work, work)

    before, peak, after = profile.outlook(9, 3).work
    assert peak > before == after > 0.0


def test_spread_is_how_far_work_strays_from_what_was_usual() -> None:
    profile = Profile()
    for week in range(20):
        for near in (9, 10, 11):
            profile = profile.learned(near + week * WEEK, 3.0 + (-1.0) ** week, 3.0)

    outlook = profile.outlook(10, 1)
    assert outlook.spread[0] == pytest.approx(1.0, abs=0.01)
    assert outlook.work[0] == pytest.approx(3.0, abs=0.5)


def test_the_profile_that_was_is_left_as_it_was() -> None:
    before = Profile()
    before.learned(5, 3.0, 1.0)

    assert before == Profile()


OUTLOOK = Outlook(100, [0.0, 2.0, 6.0, 4.0], [0.0, 1.0, 0.0, 3.0])


@pytest.mark.parametrize(
    ("slots", "margin", "expected"),
    [
        (100.5, 0.0, 0.0),
        (101.0, 0.0, 1.0),
        (101.5, 0.0, 2.0),
        (101.5, 2.0, 4.0),
        (102.25, 0.0, 5.0),
        (90.0, 0.0, 0.0),
        (200.0, 1.0, 7.0),
    ],
)
def test_between_the_middles_of_two_slots_work_is_on_a_line(slots: float, margin: float, expected: float) -> None:
    assert OUTLOOK.at(slots * SLOT_S, margin) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("since", "until", "margin", "expected"),
    [
        (100.5, 103.5, 0.0, (102.5, 6.0)),
        (100.5, 103.5, 1.0, (103.5, 7.0)),
        (100.5, 101.0, 0.0, (101.0, 1.0)),
        (103.0, 103.2, 0.0, (103.0, 5.0)),
        (100.5, 900.0, 0.0, (102.5, 6.0)),
    ],
)
def test_the_peak_is_in_a_middle_or_at_an_end(
    since: float, until: float, margin: float, expected: tuple[float, float]
) -> None:
    at, work = OUTLOOK.peak(since * SLOT_S, until * SLOT_S, margin)

    assert (at / SLOT_S, work) == pytest.approx(expected)
