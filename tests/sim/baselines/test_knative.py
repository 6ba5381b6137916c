"""The KPA, rule by rule."""

from __future__ import annotations

import math

import pytest

from autoscaler.core.units import Span
from tests.support.peers import Obeyed, at_work, booting, peer, view, workers


def test_it_aims_at_70_percent_of_what_a_container_does_at_a_time() -> None:
    assert Obeyed(peer("knative")).looks(40, jobs=6)[-1] == math.ceil(6 / 0.7)


@pytest.mark.parametrize(("slots", "wanted"), [(1, 100), (4, 25), (200, 1)])
def test_the_machines_slots_cap_the_documented_target_of_100(slots: int, wanted: int) -> None:
    kpa = peer("knative", container_concurrency_target_percentage=100.0)

    assert 1 + kpa.step(view(0.0, [at_work("m")], waiting=99, slots=slots)).rent == wanted


def test_a_short_window_that_wants_twice_the_ready_pods_is_a_panic_and_nothing_goes_down_in_it() -> None:
    kpa = Obeyed(peer("knative"))
    kpa.looks(40, jobs=2)
    assert kpa.count == 3

    peak = max(kpa.looks(4, jobs=7))
    assert kpa.looks(25, jobs=1) == [peak] * 25


def test_the_panic_ends_60_seconds_after_the_last_cause_and_the_count_at_most_halves_at_once() -> None:
    kpa = Obeyed(peer("knative"))
    kpa.looks(40, jobs=2)
    kpa.looks(3, jobs=14)
    peak = kpa.count

    looks = kpa.looks(60, jobs=1)
    first_down = next(count for count in looks if count < peak)
    assert first_down >= peak // 2
    assert looks[-1] == 2


def test_less_than_twice_the_ready_pods_is_no_panic() -> None:
    kpa = Obeyed(peer("knative"))
    kpa.looks(40, jobs=7)
    assert kpa.count == 10

    assert kpa.looks(3, jobs=13)[-1] < 13


def test_machines_that_boot_do_not_count_so_the_panic_lasts_for_the_whole_boot() -> None:
    kpa = peer("knative")
    boots = [booting(f"b{n}") for n in range(3)]
    for look in range(300):
        assert not kpa.step(view(2.0 * look, boots, waiting=2)).end

    assert not kpa.step(view(600.0, boots, waiting=0)).end


def test_the_last_pod_goes_30_seconds_after_the_window_is_empty() -> None:
    kpa = Obeyed(peer("knative"))
    kpa.looks(40, jobs=1)

    looks = kpa.looks(60, jobs=0)
    assert looks.index(0) * 2.0 == pytest.approx(60.0 + 30.0, abs=4.0)


def test_from_none_the_first_job_brings_a_pod_at_the_next_look() -> None:
    kpa = Obeyed(peer("knative"))
    kpa.looks(60, jobs=0)
    assert kpa.count == 0

    assert kpa.look(jobs=1) == 1


def test_a_scale_down_delay_holds_the_highest_wish() -> None:
    kpa = Obeyed(peer("knative", Span(1, 100), scale_down_delay=300.0))
    kpa.looks(60, jobs=7)
    assert kpa.count == 10

    looks = kpa.looks(400, jobs=1)
    assert set(looks[:150]) == {10}
    assert looks[-1] == 2


def test_pods_have_300_seconds_to_finish_and_the_youngest_ready_go_first() -> None:
    kpa = peer("knative", Span(1, 100))
    orders = kpa.step(view(1000.0, workers(4), running=0))

    assert kpa.grace_s == 300.0
    assert orders.end == ("m3", "m2")
