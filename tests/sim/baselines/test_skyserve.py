"""SkyServe's two autoscalers, rule by rule."""

from __future__ import annotations

import math

import pytest

from autoscaler.core.units import Span
from tests.support.peers import Obeyed, at_work, booting, idle, peer, view

TWICE = 2 / 60.0
"""Requests per second that keep two machines at work when a job takes 60 s."""


def rate(low: int = 1) -> Obeyed:
    return Obeyed(peer("skyserve-rate", Span(low, 100), utilization=1.0))


def test_15_looks_in_a_row_above_the_target_take_it_up() -> None:
    assert rate().looks(16, per_s=TWICE) == [1] * 14 + [2, 2]


def test_60_looks_in_a_row_below_the_target_take_it_down() -> None:
    sky = rate()
    sky.looks(15, per_s=TWICE)

    assert sky.looks(61, per_s=TWICE / 2) == [2] * 59 + [1, 1]


@pytest.mark.parametrize("contrary", [0.0, TWICE / 2])
def test_one_contrary_or_equal_look_starts_the_count_again(contrary: float) -> None:
    sky = rate()
    sky.looks(14, per_s=TWICE)
    sky.look(per_s=contrary)

    assert sky.looks(15, per_s=TWICE) == [1] * 14 + [2]


def test_from_none_it_follows_at_once_and_looks_every_5_seconds() -> None:
    sky = rate(low=0)
    assert sky.peer.every_s == 5.0

    assert sky.look(per_s=3 * TWICE) == 6
    assert sky.peer.every_s == 20.0


def test_the_rate_per_replica_is_a_share_of_what_a_machine_with_its_slots_can_do() -> None:
    sky = peer("skyserve-rate")

    assert sky.step(view(per_s=0.1, mean_service_s=600.0, slots=2)).rent == math.ceil(0.1 / (0.8 * 2 / 600.0))


def test_one_long_job_within_a_minute_looks_like_many_machines() -> None:
    assert peer("skyserve-rate").step(view(per_s=1 / 60.0, mean_service_s=600.0)).rent == 13


def test_services_end_replicas_not_ready_first_then_the_newest_at_work_or_not_within_120_seconds() -> None:
    sky = peer("skyserve-rate", Span(1, 100))
    machines = [
        idle("old", since=50.0, created_at=0.0),
        booting("boots", created_at=1.0),
        at_work("new", created_at=2.0),
    ]

    assert sky.grace_s == 120.0
    assert sky.step(view(100.0, machines)).end == ("boots", "new")


def test_a_pool_gets_one_worker_more_when_more_than_one_job_waited_for_300_seconds() -> None:
    sky = Obeyed(peer("skyserve-queue", Span(1, 100)))

    assert sky.looks(30, jobs=50) == [1] * 14 + [2] * 15 + [3]


def test_one_waiting_job_is_just_right() -> None:
    sky = Obeyed(peer("skyserve-queue", Span(1, 100)))

    assert set(sky.looks(200, jobs=2)) == {1}


def test_an_empty_queue_wants_none_and_only_idle_workers_go() -> None:
    sky = peer("skyserve-queue", Span(0, 100), downscale_delay_seconds=20.0, upscale_delay_seconds=20.0)
    for _ in range(3):
        sky.step(view(0.0, [at_work("a")], waiting=5))
    machines = [at_work("busy", created_at=9.0), idle("idle", created_at=1.0), booting("boots", created_at=2.0)]

    orders = sky.step(view(100.0, machines))

    assert orders.end == ("boots", "idle")
    assert sky.grace_s == math.inf


def test_a_pool_never_wants_none_while_a_job_waits() -> None:
    assert peer("skyserve-queue").step(view(waiting=1)).rent == 1
