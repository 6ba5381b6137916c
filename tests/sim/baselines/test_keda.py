"""KEDA and the HPA, rule by rule."""

from __future__ import annotations

import pytest

from autoscaler.core.units import Span
from tests.support.peers import Obeyed, at_work, booting, idle, peer, view, workers


def keda(low: int = 0, **settings: object) -> Obeyed:
    return Obeyed(peer("keda-all", Span(low, 100), list_length=1.0, **settings))


@pytest.mark.parametrize(("jobs", "replicas"), [(19, 20), (21, 20), (23, 23)])
def test_a_ratio_within_10_percent_of_1_changes_nothing(jobs: int, replicas: int) -> None:
    hpa = keda(stabilization_window=0.0)
    hpa.looks(6, jobs=20)

    assert hpa.look(jobs=jobs) == replicas


def test_up_by_at_most_4_or_to_twice_as_many_within_15_seconds() -> None:
    assert keda(low=1).looks(5, jobs=100) == [5, 10, 20, 40, 80]


def test_the_15_seconds_count_from_what_was_there_before_them() -> None:
    hpa = keda(low=1, sync_period=5.0)

    assert hpa.looks(5, jobs=100) == [5, 5, 5, 10, 10]


def test_down_to_the_highest_recommendation_of_the_last_300_seconds() -> None:
    hpa = keda(low=1)
    assert hpa.looks(6, jobs=10)[-1] == 10

    assert hpa.looks(22, jobs=3) == [10] * 19 + [3] * 3


def test_one_high_recommendation_holds_the_count_for_300_seconds_more() -> None:
    hpa = keda(low=1)
    hpa.looks(6, jobs=10)

    assert hpa.looks(19, jobs=3)[-1] == 10
    hpa.look(jobs=8)
    assert hpa.looks(20, jobs=3) == [8] * 19 + [3]


def test_from_none_to_one_when_keda_polls_and_the_hpa_does_the_rest_in_the_same_look() -> None:
    looks = keda().looks(4, jobs=7)

    assert looks == [5, 7, 7, 7]


def test_keda_polls_every_30_seconds_and_the_hpa_looks_every_15() -> None:
    scaler = keda()
    assert scaler.look(jobs=0) == 0

    assert scaler.looks(2, jobs=1) == [0, 1]


def test_no_jobs_for_more_than_300_seconds_takes_all_replicas_at_once() -> None:
    scaler = keda(stabilization_window=3600.0)
    scaler.looks(7, jobs=10)

    assert scaler.looks(22, jobs=0) == [10] * 21 + [0]


def test_replicas_never_fall_to_zero_where_the_fewest_is_one() -> None:
    assert keda(low=1).looks(100, jobs=0)[-1] == 1


def test_the_length_of_the_list_leaves_out_jobs_that_were_popped() -> None:
    by_list, by_all = (peer(name, Span(1, 100), list_length=1.0) for name in ("keda-llen", "keda-all"))
    seen = view(0.0, workers(4), waiting=1)

    assert len(by_list.step(seen).end) == 3
    assert by_all.step(seen).rent == 1


def test_its_default_target_is_5_jobs_per_replica() -> None:
    assert Obeyed(peer("keda-llen", Span(1, 100))).look(jobs=20) == 4


def test_pods_that_boot_go_first_then_those_ready_for_the_shortest_time_even_at_work() -> None:
    machines = [
        idle("old-idle", since=500.0, ready_at=10.0),
        at_work("young-busy", created_at=5.0, ready_at=300.0),
        booting("boots", created_at=1.0),
    ]

    orders = peer("keda-all", Span(1, 100), list_length=1.0).step(view(600.0, machines))

    assert orders.end == ("boots", "young-busy")


def test_a_pod_told_to_end_has_30_seconds() -> None:
    assert peer("keda-all").grace_s == 30.0
