from __future__ import annotations

import math

import pytest

from policies.break_even import break_even

MINUTE, HOUR = 60.0, 3600.0
DISK_60_GB = 60 * 0.15 / 720.0
SETUP_USD = 0.40 * 240 / 3600 + 25 * 5 / 1000


@pytest.mark.parametrize(
    ("disk", "chance", "stop_s", "release_s"),
    [
        (DISK_60_GB, 0.8, 5.3 * MINUTE, 9.4 * HOUR),
        (DISK_60_GB, 0.3, 17 * MINUTE, 3.5 * HOUR),
        (60 * 0.40 / 720.0, 0.3, 17.6 * MINUTE, 1.3 * HOUR),
    ],
)
def test_times_are_those_of_the_published_example(disk: float, chance: float, stop_s: float, release_s: float) -> None:
    times = break_even(
        usd_per_hour=0.40, disk_usd_per_hour=disk, resume_s=45.0, setup_usd=SETUP_USD, resume_chance=chance
    )

    assert times.stop_s == pytest.approx(stop_s, rel=0.02)
    assert times.release_s == pytest.approx(release_s, rel=0.02)


def test_a_machine_that_never_comes_back_is_kept_hot_for_a_set_up_and_warm_for_nothing() -> None:
    times = break_even(usd_per_hour=0.4, disk_usd_per_hour=0.0125, resume_s=45.0, setup_usd=0.1, resume_chance=0.0)

    assert times.stop_s == pytest.approx(0.1 / 0.3875 * HOUR)
    assert times.release_s == 0.0


def test_stopping_what_costs_as_much_when_stopped_never_pays() -> None:
    times = break_even(usd_per_hour=0.4, disk_usd_per_hour=0.4, resume_s=45.0, setup_usd=0.1, resume_chance=0.9)

    assert times.stop_s == math.inf


def test_a_free_disk_is_kept_for_ever() -> None:
    times = break_even(usd_per_hour=0.4, disk_usd_per_hour=0.0, resume_s=45.0, setup_usd=0.1, resume_chance=0.9)

    assert times.release_s == math.inf
