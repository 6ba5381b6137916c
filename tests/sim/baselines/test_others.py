"""Nomad, Celery, Woodpecker, square-root staffing and a fixed number, rule by rule."""

from __future__ import annotations

import math

import pytest

from autoscaler.core.units import Span
from tests.support.peers import Obeyed, at_work, booting, idle, peer, view, workers


def test_nomad_multiplies_the_count_by_metric_over_target_per_instance() -> None:
    assert peer("nomad", Span(2, 100)).step(view(0.0, workers(2), waiting=3)).rent == 3
    assert peer("nomad").step(view(waiting=7)).rent == 7


def test_nomad_does_not_explode_because_its_metric_is_per_instance() -> None:
    nomad = Obeyed(peer("nomad", Span(1, 1000), cooldown=0.0))

    assert set(nomad.looks(50, jobs=30)) == {30}


def test_nomad_leaves_a_factor_within_1_percent_alone() -> None:
    nomad = Obeyed(peer("nomad", Span(0, 1000), cooldown=0.0))
    nomad.look(jobs=200)

    assert nomad.look(jobs=201) == 200
    assert nomad.look(jobs=203) == 203


def test_nomad_changes_nothing_for_5_minutes_after_a_change() -> None:
    nomad = Obeyed(peer("nomad"))
    nomad.look(jobs=2)

    assert nomad.looks(31, jobs=9) == [2] * 29 + [9] * 2


def test_nomad_kills_the_newest_allocation_after_5_seconds_at_work_or_not() -> None:
    nomad = peer("nomad", Span(1, 100))
    machines = [idle("old", since=5.0), at_work("new", created_at=3.0)]

    assert nomad.grace_s == 5.0
    assert nomad.step(view(100.0, machines)).end == ("new",)


def test_celery_grows_at_once_and_shrinks_30_seconds_after_it_has_grown() -> None:
    celery = Obeyed(peer("celery"))

    assert celery.look(jobs=5) == 5
    assert celery.looks(32, jobs=2) == [5] * 30 + [2] * 2


def test_celery_never_shrinks_when_it_has_never_grown() -> None:
    celery = peer("celery")

    assert celery.step(view(1e6, [idle("a"), idle("b")])).end == ()


def test_celery_takes_no_busy_process() -> None:
    celery = peer("celery")
    celery.step(view(0.0, waiting=3))

    assert celery.step(view(100.0, [at_work("a", busy=1), booting("b"), idle("c")])).end == ("c",)


def test_woodpecker_adds_an_agent_for_each_that_boots_again_at_each_look() -> None:
    woodpecker = peer("woodpecker")

    assert woodpecker.step(view(waiting=2)).rent == 2
    assert woodpecker.step(view(60.0, [booting("a"), booting("b")], waiting=2)).rent == 2


def test_woodpecker_subtracts_the_free_slots_of_agents_that_are_connected() -> None:
    machines = [at_work("a", busy=1), idle("b")]

    assert peer("woodpecker").step(view(0.0, machines, waiting=9, slots=4)).rent == 1


def test_woodpecker_ends_an_agent_idle_for_10_minutes() -> None:
    machines = [at_work("a"), idle("b", since=0.0)]

    assert peer("woodpecker").step(view(599.0, machines)).end == ()
    assert peer("woodpecker").step(view(600.0, machines)).end == ("b",)


@pytest.mark.parametrize(
    ("per_s", "waiting", "slots", "machines"), [(0.25, 0, 1, 20), (0.25, 25, 1, 25), (0.25, 0, 4, 6)]
)
def test_square_root_staffing_adds_the_root_of_the_load_and_the_backlog_over_its_horizon(
    per_s: float, waiting: int, slots: int, machines: int
) -> None:
    """16 machines of load need 4 more; 25 jobs of 64 s within 300 s need 5.3 more."""
    wanted = peer("sqrt-staffing").step(view(1e4, waiting=waiting, per_s=per_s, mean_service_s=64.0, slots=slots)).rent

    load = per_s * 64.0 / slots
    assert wanted == math.ceil(load + math.sqrt(load) + waiting * 64.0 / slots / 300.0)
    assert wanted == pytest.approx(machines, abs=1)


def test_square_root_staffing_ends_idle_machines_only() -> None:
    assert peer("sqrt-staffing").step(view(1e4, [at_work("a"), idle("b"), booting("c")])).end == ("b",)


def test_a_fixed_number_is_kept_within_the_limits_and_lost_machines_are_replaced() -> None:
    assert peer("static", Span(0, 3), n=8).step(view()).rent == 3
    assert peer("static", n=3).step(view(0.0, workers(2))).rent == 1
