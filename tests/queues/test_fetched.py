from __future__ import annotations

from typing import Any

import pytest

from autoscaler.link import Command
from autoscaler.queues.age import Age
from autoscaler.queues.fetched import FetchedJob
from tests.support.queues import NOW, driven

SMALL, LARGE = b"1799999990", b"1799999990".rjust(100_000)


def fetched_job() -> FetchedJob:
    return FetchedJob(lambda job: ("GET", job), lambda job: ("STRLEN", job), float)


def look(stamp: FetchedJob, head: object, jobs: dict[bytes, bytes | None]) -> tuple[Age, list[str]]:
    def answer(command: Command) -> Any:
        job = jobs[command[1]]  # type: ignore[index]
        return job if command[0] == "GET" or job is None else len(job)

    age, asked = driven(stamp.read(head, NOW), answer)
    return age, [str(command[0]) for commands in asked for command in commands]


def test_a_job_is_fetched_once() -> None:
    stamp = fetched_job()
    age, asked = look(stamp, b"a", {b"a": SMALL})
    assert (age.wait_s, asked) == (10.0, ["GET"])
    age, asked = look(stamp, b"a", {})
    assert (age.wait_s, asked) == (10.0, [])


def test_after_a_large_job_sizes_are_asked_until_one_is_small() -> None:
    stamp = fetched_job()
    jobs: dict[bytes, bytes | None] = {b"a": LARGE, b"b": LARGE, b"c": SMALL, b"d": SMALL}
    assert look(stamp, b"a", jobs)[0].wait_s == 10.0
    age, asked = look(stamp, b"b", jobs)
    assert (age.wait_s, set(age.cautions), asked) == (None, {"payload_too_large"}, ["STRLEN"])
    assert look(stamp, b"b", jobs)[1] == []
    age, asked = look(stamp, b"c", jobs)
    assert (age.wait_s, set(age.cautions), asked) == (None, set(), ["STRLEN"])
    assert look(stamp, b"c", jobs)[1] == ["GET"]
    assert look(stamp, b"d", jobs)[1] == ["GET"]


def test_a_job_that_broke_a_tick_off_is_not_fetched_again_unmeasured() -> None:
    stamp = fetched_job()
    broken = stamp.read(b"a", NOW)
    assert list(next(broken)) == [("GET", b"a")]
    broken.close()
    age, asked = look(stamp, b"a", {b"a": LARGE})
    assert (age.wait_s, asked) == (None, ["STRLEN"])


def test_a_job_that_comes_again_after_none_waited_is_fetched_again() -> None:
    stamp = fetched_job()
    look(stamp, b"a", {b"a": b"1799999000"})
    assert look(stamp, None, {}) == (Age(), [])
    age, asked = look(stamp, b"a", {b"a": SMALL})
    assert (age.wait_s, asked) == (10.0, ["GET"])


@pytest.mark.parametrize("head", [5, b"x" * 2000])
def test_what_is_no_id_is_not_asked_for(head: object) -> None:
    age, asked = look(fetched_job(), head, {})
    assert (set(age.cautions), asked) == ({"age_unreadable"}, [])


def test_a_job_that_is_not_there_is_asked_for_again() -> None:
    stamp = fetched_job()
    assert set(look(stamp, b"a", {b"a": None})[0].cautions) == {"age_unreadable"}
    assert look(stamp, b"a", {b"a": SMALL})[0].wait_s == 10.0
