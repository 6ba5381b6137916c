"""Vast Serverless, rule by rule."""

from __future__ import annotations

import pytest

from autoscaler.core.units import Span
from autoscaler.sim.baselines.base import PeerMachine
from tests.support.peers import asleep, at_work, booting, idle, peer, view, workers


def sleepers(count: int) -> tuple[PeerMachine, ...]:
    return tuple(asleep(f"s{n}") for n in range(count))


@pytest.mark.parametrize(("jobs", "workers_wanted"), [(0, 5), (1, 6), (4, 15), (9, 16)])
def test_three_workers_per_active_one_within_5_and_16(jobs: int, workers_wanted: int) -> None:
    """Active: load / 0.9, rounded up, and at least one."""
    assert peer("vast-serverless").step(view(waiting=jobs)).rent == workers_wanted


def test_active_workers_stay_within_the_pools_limits() -> None:
    vast = peer("vast-serverless", Span(0, 2))

    assert vast.step(view(0.0, sleepers(6), waiting=50)).resume == ("s0", "s1")


def test_stopped_workers_are_resumed_for_load_and_idle_ones_stopped_without() -> None:
    vast = peer("vast-serverless", Span(0, 4))
    machines = [at_work("busy"), idle("long", since=1.0), idle("short", since=2.0), *sleepers(9)]

    assert vast.step(view(10.0, machines, waiting=3)).resume == ("s0",)
    assert vast.step(view(320.0, machines)).suspend == ("long",)


def test_the_load_foreseen_is_the_highest_of_five_minutes() -> None:
    vast = peer("vast-serverless", Span(0, 4))
    machines = [at_work("busy"), idle("a"), idle("b"), *sleepers(9)]
    vast.step(view(0.0, machines, waiting=3))

    assert vast.step(view(299.0, machines)).suspend == ()
    assert vast.step(view(300.0, machines)).suspend == ("a",)


def test_a_worker_that_is_up_is_not_stopped_for_one_that_boots() -> None:
    machines = [idle("up"), *(booting(f"b{n}") for n in range(4))]

    assert peer("vast-serverless").step(view(10.0, machines)).suspend == ()


def test_a_worker_on_its_way_back_is_not_resumed_twice() -> None:
    vast = peer("vast-serverless", Span(0, 2))
    vast.step(view(0.0, sleepers(6), waiting=2))

    on_their_way = (booting("s0"), booting("s1"), *sleepers(6)[2:])
    assert vast.step(view(2.0, on_their_way, waiting=2)).resume == ()


def test_a_worker_that_did_not_come_back_is_given_back_and_replaced() -> None:
    vast = peer("vast-serverless", Span(0, 1))
    assert vast.step(view(0.0, sleepers(5), waiting=1)).resume == ("s0",)

    orders = vast.step(view(2.0, sleepers(5), waiting=1))

    assert (orders.end, orders.resume, orders.rent) == (("s0",), ("s1",), 1)


def test_stopped_workers_beyond_all_that_are_wanted_are_given_back() -> None:
    orders = peer("vast-serverless").step(view(0.0, [idle("up"), *sleepers(8)]))

    assert len(orders.end) == 4


def test_workers_at_work_are_never_stopped_or_given_back() -> None:
    orders = peer("vast-serverless", Span(0, 1)).step(view(0.0, workers(16)))

    assert orders.end == orders.suspend == ()


def test_the_last_active_worker_stays_for_the_inactivity_timeout() -> None:
    vast = peer("vast-serverless", min_load=0.0, min_workers=1, inactivity_timeout=60.0, anticipation=0.0)
    vast.step(view(0.0, [at_work("m")]))

    assert vast.step(view(59.0, [idle("m", since=1.0)])).suspend == ()
    assert vast.step(view(61.0, [idle("m", since=1.0)])).suspend == ("m",)
