"""Modal, beta9, Buildkite and RunPod, rule by rule."""

from __future__ import annotations

import math

import pytest

from autoscaler.core.units import Span
from tests.support.peers import Obeyed, at_work, booting, idle, peer, view, workers

IN_FLIGHT = ("modal", "beta9", "buildkite")


@pytest.mark.parametrize("name", IN_FLIGHT)
def test_one_machine_per_slotful_of_jobs_waiting_or_running_and_booting_ones_count(name: str) -> None:
    machines = [at_work("a", busy=4), booting("b")]

    assert peer(name).step(view(0.0, machines, waiting=9, slots=4)).rent == math.ceil(13 / 4) - 2


@pytest.mark.parametrize(
    ("name", "seconds"), [("modal", 60.0), ("beta9", 10.0), ("buildkite", 600.0), ("runpod-count", 5.0)]
)
def test_a_machine_goes_when_it_was_idle_for_the_idle_time(name: str, seconds: float) -> None:
    machines = [at_work("busy"), idle("short", since=1000.1), idle("long", since=1000.0)]

    assert peer(name).step(view(1000.0 + seconds - 0.1, machines)).end == ()
    assert peer(name).step(view(1000.0 + seconds, machines)).end == ("long",)


def test_modals_buffer_stands_by_only_while_there_is_work() -> None:
    modal = Obeyed(peer("modal", buffer_containers=2))

    assert modal.look(jobs=0) == 0
    assert modal.look(jobs=3) == 5
    assert modal.look(jobs=1) == 3
    assert modal.look(jobs=0) == 0


def test_buildkites_buffer_is_at_most_as_many_again() -> None:
    agents = Obeyed(peer("buildkite", instance_buffer=3))

    assert agents.look(jobs=2) == 4
    assert agents.look(jobs=9) == 12


def test_runpods_request_count_divides_waiting_and_running_jobs_by_the_scaler_value() -> None:
    assert peer("runpod-count").step(view(waiting=9)).rent == 3
    assert peer("runpod-count", scaler_value=1.0).step(view(0.0, workers(2), waiting=9)).rent == 9


def test_runpods_queue_delay_adds_one_worker_each_check_while_the_oldest_job_waits_too_long() -> None:
    runpod = peer("runpod-delay", check_period=10.0)

    rented = [runpod.step(view(float(second), waiting=1, oldest_wait_s=4.1)).rent for second in range(25)]

    assert [second for second, count in enumerate(rented) if count] == [0, 10, 20]
    assert set(rented) == {0, 1}


def test_runpods_queue_delay_goes_on_adding_while_the_first_worker_boots() -> None:
    runpod = peer("runpod-delay", Span(0, 3))
    boots = [booting("a"), booting("b")]

    assert runpod.step(view(100.0, boots, waiting=1, oldest_wait_s=100.0)).rent == 1
    boots.append(booting("c"))
    assert runpod.step(view(110.0, boots, waiting=1, oldest_wait_s=110.0)).rent == 0


def test_runpods_queue_delay_of_4_seconds_is_not_yet_too_long() -> None:
    assert peer("runpod-delay").step(view(waiting=1, oldest_wait_s=4.0)).rent == 0


def test_runpod_keeps_its_fewest_workers_though_they_are_idle() -> None:
    machines = [idle("a"), idle("b")]

    assert peer("runpod-delay", Span(1, 3)).step(view(100.0, machines)).end == ("a",)
    assert peer("runpod-delay", Span(1, 3)).step(view()).rent == 1
