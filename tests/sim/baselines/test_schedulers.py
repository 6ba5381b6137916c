"""Peers that add machines for jobs that fit nowhere, or for idle slots: GitLab, cluster-autoscaler, Ray, DelayedOff."""

from __future__ import annotations

import pytest

from autoscaler.core.units import Span
from tests.support.peers import Obeyed, at_work, booting, idle, peer, view, workers

BY_PLACE = ("cluster-autoscaler", "ray", "delayed-off")


@pytest.mark.parametrize("name", BY_PLACE)
def test_machines_only_for_jobs_that_fit_on_none_that_is_up_or_boots(name: str) -> None:
    machines = [at_work("a"), booting("b"), booting("c")]

    assert peer(name).step(view(0.0, machines, waiting=2)).rent == 0
    assert peer(name).step(view(0.0, machines, waiting=5)).rent == 3
    assert peer(name).step(view(0.0, [at_work("a", busy=3), booting("b")], waiting=9, slots=4)).rent == 1


@pytest.mark.parametrize(("name", "seconds"), [("cluster-autoscaler", 600.0), ("ray", 300.0), ("delayed-off", 120.0)])
def test_an_idle_machine_goes_after_its_time_and_one_at_work_never(name: str, seconds: float) -> None:
    machines = [at_work("busy"), idle("idle", since=10.0)]

    assert peer(name).step(view(9.0 + seconds, machines)).end == ()
    assert peer(name).step(view(10.0 + seconds, machines)).end == ("idle",)


def test_cluster_autoscaler_removes_no_node_for_10_minutes_after_it_added_one() -> None:
    scaler = peer("cluster-autoscaler")
    machines = [idle("idle", since=-1e4), at_work("busy")]
    assert scaler.step(view(0.0, machines, waiting=2)).rent == 1

    assert scaler.step(view(590.0, machines)).end == ()
    assert scaler.step(view(600.0, machines)).end == ("idle",)


def test_cluster_autoscaler_removes_at_most_10_empty_nodes_at_once() -> None:
    machines = [idle(f"m{n}", since=float(n)) for n in range(15)]

    assert len(peer("cluster-autoscaler").step(view(1e4, machines)).end) == 10


def test_ray_has_at_most_five_nodes_pending_or_as_many_as_run() -> None:
    ray = peer("ray")

    assert ray.step(view(waiting=20)).rent == 5
    assert ray.step(view(0.0, [booting("a"), booting("b")], waiting=20)).rent == 3
    assert ray.step(view(0.0, workers(8), waiting=20)).rent == 8


def test_ray_serve_goes_up_after_30_seconds_and_down_after_600() -> None:
    serve = Obeyed(peer("ray-serve", Span(1, 100), target_ongoing_requests=1.0))

    assert serve.looks(6, jobs=4)[2:] == [1, 4, 4, 4]
    down = serve.looks(70, jobs=1)
    assert down.index(1) in (60, 61)
    assert down[59] == 4


def test_ray_serve_starts_the_delay_again_when_the_direction_changes() -> None:
    serve = Obeyed(peer("ray-serve", Span(1, 100), target_ongoing_requests=1.0, look_back_period_s=10.0))
    serve.looks(3, jobs=4)
    serve.look(jobs=1)

    assert serve.looks(4, jobs=4) == [1, 1, 1, 4]


def test_ray_serve_takes_the_mean_of_the_last_30_seconds() -> None:
    serve = peer("ray-serve", target_ongoing_requests=1.0)
    serve.step(view(0.0, waiting=0))
    serve.step(view(10.0, waiting=0))

    assert serve.step(view(20.0, waiting=9)).rent == 3


def test_ray_serve_goes_from_none_at_once_by_2_requests_per_replica() -> None:
    assert peer("ray-serve").step(view(waiting=5)).rent == 3


def test_ray_serve_gives_a_replica_20_seconds() -> None:
    assert peer("ray-serve").grace_s == 20.0


@pytest.mark.parametrize(
    ("idle_count", "factor", "limit", "in_use", "instances"),
    [
        (0, 0.0, 0, 3, 3),
        (2, 0.0, 0, 3, 5),
        (2, 0.25, 0, 20, 25),
        (2, 0.25, 4, 20, 24),
        (6, 0.25, 4, 20, 26),
    ],
)
def test_gitlab_keeps_idle_slots_by_count_or_by_a_limited_share_of_those_in_use(
    idle_count: int, factor: float, limit: int, in_use: int, instances: int
) -> None:
    gitlab = peer("gitlab", idle_count=idle_count, scale_factor=factor, scale_factor_limit=limit)

    assert gitlab.step(view(0.0, workers(in_use))).rent == instances - in_use


def test_gitlab_counts_jobs_not_machines() -> None:
    gitlab = peer("gitlab", idle_count=2)

    assert gitlab.step(view(0.0, [at_work("a", busy=4)], waiting=3, slots=4)).rent == 2


def test_gitlab_ends_an_instance_idle_for_its_time_unless_the_idle_target_needs_it() -> None:
    machines = [at_work("busy"), idle("a", since=0.0), idle("b", since=1.0)]

    assert peer("gitlab").step(view(300.0, machines)).end == ("a",)
    assert peer("gitlab", idle_count=1).step(view(400.0, machines)).end == ("a",)
    assert peer("gitlab", idle_count=2).step(view(400.0, machines)).end == ()
