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
