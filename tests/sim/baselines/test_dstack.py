"""dstack's autoscaler, rule by rule."""

from __future__ import annotations

from autoscaler.core.units import Span
from tests.support.peers import Obeyed, at_work, booting, idle, peer, view

ONE = 1 / 60.0
"""Requests per second that keep one machine at work when a job takes 60 s."""


def dstack(low: int = 0, **settings: object) -> Obeyed:
    return Obeyed(peer("dstack", Span(low, 100), utilization=1.0, **settings))


def test_from_none_it_goes_up_at_once() -> None:
    scaler = dstack()
    scaler.look()

    assert scaler.look(per_s=3 * ONE) == 3


def test_up_only_when_the_last_change_is_5_minutes_ago() -> None:
    scaler = dstack()
    scaler.look(per_s=ONE)

    assert scaler.looks(31, per_s=4 * ONE) == [1] * 29 + [4] * 2


def test_down_only_when_the_last_change_is_10_minutes_ago() -> None:
    scaler = dstack(low=1)
    scaler.look(per_s=4 * ONE)

    assert scaler.looks(61, per_s=ONE) == [4] * 59 + [1] * 2


def test_one_low_look_is_enough_after_10_minutes_without_a_change() -> None:
    scaler = dstack(low=1)
    scaler.looks(100, per_s=4 * ONE)

    assert scaler.look(per_s=ONE) == 1


def test_the_rate_per_replica_is_80_percent_of_what_a_machine_with_its_slots_can_do() -> None:
    assert peer("dstack").step(view(per_s=0.4, mean_service_s=600.0, slots=4)).rent == 75


def test_the_least_ready_and_newest_replicas_go_at_work_or_not_within_300_seconds() -> None:
    scaler = peer("dstack", Span(1, 100))
    machines = [
        idle("old", since=50.0),
        at_work("new", created_at=2.0),
        booting("boots", created_at=1.0),
    ]

    assert scaler.grace_s == 300.0
    assert scaler.step(view(100.0, machines)).end == ("boots", "new")
