from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.history import Estimate, PlacementHistory
from tests.support.build import NOW


@given(st.lists(st.floats(1, 1e4), min_size=1, max_size=5))
def test_the_first_observations_make_the_plain_mean_and_variance(times: list[float]) -> None:
    estimate = Estimate()
    for seconds in times:
        estimate = estimate.learn(seconds)

    assert estimate.mean_s == pytest.approx(statistics.fmean(times))
    assert estimate.variance == pytest.approx(statistics.pvariance(times), abs=1e-3)


def test_old_observations_decay() -> None:
    estimate = Estimate()
    for seconds in [3600.0] * 50 + [600.0] * 20:
        estimate = estimate.learn(seconds)

    assert estimate.mean_s == pytest.approx(600.0, rel=0.1)


def test_setup_and_resume_are_learned_apart() -> None:
    history = PlacementHistory().came_up(1800.0, resumed=False).came_up(120.0, resumed=True)

    assert (history.setup.mean_s, history.resume.mean_s) == (1800.0, 120.0)


def test_the_chance_of_a_resume_starts_at_a_half_and_follows_what_happened() -> None:
    history = PlacementHistory()
    assert history.resume_chance() == 0.5

    for _ in range(20):
        history = history.resume_refused()
    assert history.resume_chance() < 0.15

    for _ in range(40):
        history = history.came_up(120.0, resumed=True)
    assert history.resume_chance() > 0.8


def test_an_exhausted_placement_is_left_alone_longer_each_time_up_to_half_an_hour() -> None:
    history, pauses = PlacementHistory(), []
    for _ in range(5):
        history = history.blocked(NOW, "no_capacity")
        pauses.append(history.blocked_until - NOW)

    assert pauses == [300.0, 600.0, 1200.0, 1800.0, 1800.0]


def test_a_success_makes_the_next_refusal_a_first_one_again() -> None:
    history = PlacementHistory().blocked(NOW, "x").blocked(NOW, "x").came_up(1800.0, resumed=False).blocked(NOW, "x")

    assert history.blocked_until == NOW + 300.0


def test_refusals_are_forgotten_one_for_each_half_hour_without_another() -> None:
    history = PlacementHistory().blocked(NOW, "x").blocked(NOW + 300.0, "x").blocked(NOW + 900.0, "x")
    over = history.blocked_until
    assert over == NOW + 900.0 + 1200.0

    assert history.blocked(over + 1799.0, "x").blocked_until == over + 1799.0 + 1800.0
    assert history.blocked(over + 1800.0, "x").blocked_until == over + 1800.0 + 1200.0
    assert history.blocked(over + 7200.0, "x").blocked_until == over + 7200.0 + 300.0


def test_the_third_rent_in_a_row_without_capacity_blocks_the_placement_and_then_it_counts_anew() -> None:
    history, pauses = PlacementHistory(), []
    for planned_at in range(6):
        history = history.missed(NOW, "no_capacity", planned_at=NOW + planned_at)
        pauses.append(max(0.0, history.blocked_until - NOW))
    assert pauses == [0.0, 0.0, 300.0, 300.0, 300.0, 600.0]


def test_rents_that_chose_from_the_same_old_offers_count_once() -> None:
    history = PlacementHistory()
    for ended_at in range(1, 10):
        history = history.missed(NOW + ended_at, "no_capacity", planned_at=NOW)
    assert (history.misses, history.blocked_until) == (1, 0.0)
    assert history.missed(NOW + 20.0, "no_capacity", planned_at=NOW + 1.5).misses == 2
    assert history.not_after(NOW - 1e6).missed(NOW, "no_capacity", planned_at=NOW - 1e5).misses == 2


def test_interruptions_start_at_what_is_usual_and_follow_what_happened() -> None:
    history = PlacementHistory()
    assert history.interruptions_per_hour("spot") == pytest.approx(1 / 20)
    assert history.interruptions_per_hour("on_demand") == pytest.approx(1 / 500)

    calm = history
    for _ in range(100):
        history, calm = history.was_hot(2.0, interrupted=True), calm.was_hot(2.0, interrupted=False)

    assert history.interruptions_per_hour("spot") == pytest.approx(0.5, rel=0.1)
    assert calm.interruptions_per_hour("spot") < 1 / 150


def test_old_interruptions_decay_with_the_hours_that_machines_ran() -> None:
    history = PlacementHistory()
    for hours, interrupted in [(1.0, True)] * 100 + [(50.0, False)] * 40:
        history = history.was_hot(hours, interrupted=interrupted)

    assert history.interruptions_per_hour("spot") < 0.01


def test_a_resume_is_late_two_deviations_above_its_mean_and_at_least_half_above_it() -> None:
    assert PlacementHistory().resume_late_s() == pytest.approx(210.0 * 1.5)
    assert PlacementHistory(resume=Estimate(200.0, 100.0**2, 9)).resume_late_s() == pytest.approx(400.0)
    assert PlacementHistory(resume=Estimate(200.0, 1.0, 9)).resume_late_s() == pytest.approx(300.0)
