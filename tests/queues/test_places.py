from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.demand import AgeSource
from autoscaler.link import Command
from autoscaler.queues.places import PartlyStampedList, Ration, StampedList
from autoscaler.queues.stamp import InJob
from tests.support.queues import NOW, driven

MIB = 1024 * 1024


@pytest.mark.parametrize(("size", "rest_s"), [(MIB, 64.0), (65_537, 65_537 / 16_384), (65_536, 0.0)])
def test_jobs_above_64_kib_are_fetched_at_16_kib_a_second(size: int, rest_s: float) -> None:
    ration = Ration()
    assert ration.allows(NOW)
    ration.fetched(NOW, b"x" * size, None)
    assert ration.allows(NOW) == (rest_s == 0.0)
    assert ration.allows(NOW + rest_s - 0.5) == (rest_s == 0.0)
    assert ration.allows(NOW + rest_s)


def test_a_stamp_that_is_absurd_gives_way_to_the_estimate_and_is_told() -> None:
    place = PartlyStampedList("k", "right", InJob(lambda _: 1.0))
    lengths = iter((0, 0, 1, 1))

    def answer(command: Command) -> Any:
        return next(lengths) if command[0] == "LLEN" else b"job"

    driven(place.read(NOW), answer)
    jobs, _ = driven(place.read(NOW + 5), answer)
    assert (jobs.age.wait_s, jobs.age.source) == (5.0, AgeSource.ESTIMATED)
    assert jobs.cautions | jobs.age.cautions == {"absurd_timestamp"}


def test_a_job_that_comes_right_after_none_was_counted_has_no_age_yet() -> None:
    place = StampedList("k", "left", InJob(lambda _: NOW - 5))
    jobs, _ = driven(place.read(NOW), lambda command: 0 if command[0] == "LLEN" else b"job")
    assert (jobs.waiting, jobs.age.wait_s) == (0, None)
