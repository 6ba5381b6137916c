from __future__ import annotations

import math

import pytest

from autoscaler.core.load import RATE_S, Finished, Load, TierLoad
from autoscaler.core.samples import PoolSample, TierSample

MINUTE = 60.0


def minute(arrived: int = 0, started: int = 0, **changes: object) -> PoolSample:
    values = {"tiers": {"pro": TierSample(arrived, started, 0, None)}, "seen_s": MINUTE}
    return PoolSample(**(values | changes))  # type: ignore[arg-type]


def after(*samples: PoolSample, done: tuple[int, float] | None = None) -> Load:
    load = Load()
    for number, sample in enumerate(samples):
        load = load.learned(sample, {"pro": done} if done else {}, MINUTE * (number + 1))
    return load


def test_the_first_minute_counts_in_full() -> None:
    assert after(minute(30)).tiers["pro"].per_s == pytest.approx(0.5)


def test_the_first_minutes_are_a_plain_mean() -> None:
    assert after(minute(30), minute(0)).tiers["pro"].per_s == pytest.approx(0.25)


def test_an_old_rate_fades() -> None:
    load = after(*[minute(60)] * 200)
    assert load.tiers["pro"].per_s == pytest.approx(1.0)

    for _ in range(20):
        load = load.learned(minute(0), {}, 0.0)

    assert load.tiers["pro"].per_s == pytest.approx(math.exp(-20 * MINUTE / RATE_S))


def test_a_minute_that_was_not_seen_is_no_quiet_minute() -> None:
    load = after(minute(60))

    assert load.learned(PoolSample(), {}, 120.0).tiers["pro"].per_s == load.tiers["pro"].per_s


def test_arrivals_and_time_only_rise() -> None:
    load = after(minute(3), minute(4))

    assert (load.tiers["pro"].arrived, load.seen_s, load.until) == (7, 120.0, 120.0)


def test_the_service_time_is_what_workers_say_it_took() -> None:
    assert after(minute(), done=(10, 300.0)).service_s("pro", 5.0) == 30.0


def test_the_guess_makes_up_for_jobs_that_were_not_seen_yet() -> None:
    assert Load().service_s("pro", 5.0) == 5.0
    assert after(minute(), done=(1, 45.0)).service_s("pro", 20.0) == pytest.approx((45 + 4 * 20) / 5)


def test_old_service_times_fade() -> None:
    load = after(minute(), done=(1000, 10_000.0))
    for _ in range(10):
        load = load.learned(minute(), {"pro": (100, 4000.0)}, 0.0)

    assert load.service_s("pro", 5.0) == pytest.approx(40.0, rel=0.03)


def test_where_no_worker_tells_the_work_done_is_shared_out_among_the_jobs_started() -> None:
    told = minute(started=4, counted=True, busy_s=100.0)

    assert after(told, told).service_s("pro", 5.0) == 25.0


def test_work_of_jobs_that_were_not_counted_tells_nothing() -> None:
    assert after(minute(started=4, counted=False, busy_s=100.0)).service_s("pro", 5.0) == 5.0


def test_what_workers_finish_is_added_up_from_their_second_word_on() -> None:
    finished = Finished()
    finished.hear({"a": "images", "b": "images"}, {"a": {"pro": (7, 70.0)}, "b": {"pro": (1, 9.0)}})
    finished.hear({"a": "images", "b": "images"}, {"a": {"pro": (9, 100.0)}, "b": {"pro": (1, 9.0)}})

    assert finished.take("images") == {"pro": (2, 30.0)}
    assert finished.take("images") == {}


def test_a_count_that_falls_is_that_of_a_new_worker() -> None:
    finished = Finished()
    finished.hear({"a": "images"}, {"a": {"pro": (7, 70.0)}})
    finished.hear({"a": "images"}, {"a": {"pro": (2, 25.0)}})

    assert finished.take("images") == {"pro": (2, 25.0)}


def test_a_worker_that_does_not_say_and_one_that_is_none_of_ours_count_for_nothing() -> None:
    finished = Finished()
    for jobs in (1, 2):
        finished.hear({"a": "images"}, {"a": None, "x": {"pro": (jobs, 10.0 * jobs)}})

    assert finished.take("images") == {}


def test_a_tier_keeps_what_it_knew_when_it_is_not_heard_of() -> None:
    known = Load(tiers={"pro": TierLoad(per_s=1.0, jobs=50.0, work_s=500.0)}, seen_s=MINUTE)

    assert known.learned(PoolSample(seen_s=MINUTE), {}, 0.0).service_s("pro", 1.0) == 10.0


def test_workers_cannot_invent_tiers() -> None:
    load = Load().learned(minute(), {"pro": (1, 9.0)} | {f"x{number}": (1, 9.0) for number in range(100)}, 0.0)

    assert set(load.tiers) == {"pro"}
