from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Action, Outcome, Result
from autoscaler.core.instance import Instance
from autoscaler.core.lessons import Lesson, PlaceMemory, lesson_of
from autoscaler.core.lifecycle import Phase
from autoscaler.core.trouble import DAY_S, HOST, REGION, Places, Trouble, booting, held_by
from autoscaler.runtime.documents import fields_of, read_places
from tests.support.build import NOW, instance, offer

P = Phase
MINUTE, HOUR = 60.0, 3600.0
EMPTY: frozenset[tuple[str, str]] = frozenset()


def failing(*times: float, patience: Any = REGION) -> Trouble:
    trouble = Trouble()
    for at in times:
        trouble = trouble.failed(at, "why", patience)
    return trouble


# --- one place --------------------------------------------------------------------------------------------------------


def test_a_host_is_avoided_after_one_failure_and_longer_each_time_up_to_four_hours() -> None:
    trouble, now, pauses = Trouble(), NOW, []
    for _ in range(4):
        trouble = trouble.failed(now, "why", HOST)
        pauses.append(trouble.until - now)
        now = trouble.until

    assert pauses == [HOUR, 2 * HOUR, 4 * HOUR, 4 * HOUR]


def test_a_region_is_avoided_after_five_failures_within_half_an_hour() -> None:
    assert failing(*(NOW + n * MINUTE for n in range(4))).until == 0.0
    assert failing(*(NOW + n * MINUTE for n in range(5))).until == NOW + 4 * MINUTE + 600.0
    assert failing(*(NOW + n * 8 * MINUTE for n in range(5))).until == 0.0


def test_what_fails_while_a_place_is_avoided_prolongs_nothing() -> None:
    trouble = failing(*(NOW + n for n in range(5)))

    assert trouble.failed(NOW + 60.0, "why", REGION).until == trouble.until


def test_on_trial_one_failure_is_enough_and_the_pause_is_doubled() -> None:
    trouble = failing(*(NOW + n for n in range(5)))
    later = trouble.until + 45 * MINUTE  # all others have left the window by then

    assert trouble.failed(later, "why", REGION).until == later + 1200.0


def test_a_success_makes_a_place_good_again_and_its_rate_remembers() -> None:
    trouble = failing(NOW, patience=HOST).eased()

    assert (trouble.on_trial, trouble.until) == (False, 0.0)
    assert trouble.per_hour(NOW) == pytest.approx(1 / 24)
    assert trouble.failed(NOW + HOUR, "why", HOST).until == NOW + 2 * HOUR, "the first time again"


def test_a_day_without_trouble_is_as_good_as_a_success() -> None:
    trouble = failing(NOW, NOW + HOUR, patience=HOST)

    assert trouble.failed(NOW + HOUR + DAY_S, "why", HOST).until == NOW + 2 * HOUR + DAY_S
    assert trouble.is_past(NOW + HOUR + DAY_S)


def test_the_rate_of_troubles_decays_with_a_day() -> None:
    assert failing(NOW, patience=HOST).per_hour(NOW + 12 * HOUR) == pytest.approx(0.6065 / 24, rel=1e-3)


@given(st.lists(st.floats(0, 1e5), max_size=20), st.sampled_from([HOST, REGION]))
def test_a_place_is_never_avoided_for_longer_than_its_patience_says_and_little_is_kept(
    gaps: list[float], patience: Any
) -> None:
    trouble, now = Trouble(), NOW
    for gap in gaps:
        now += gap
        trouble = trouble.failed(now, "why", patience)
        assert trouble.until <= now + patience.most_s
        assert len(trouble.at) <= 8


# --- what is learned --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "lesson"),
    [
        (P.BOOTING, P.HOT, Lesson.CAME_UP),
        (P.LOST, P.BOOTING, None),
        (P.BOOTING, P.RELEASING, Lesson.BROKE),
        (P.RENTING, P.RELEASING, Lesson.BROKE),
        (P.HOT, P.RELEASING, Lesson.BROKE),
        (P.HOT, P.LOST, Lesson.BROKE),
        (P.DRAINING, P.LOST, Lesson.BROKE),
        (P.HOT, P.WARM, Lesson.INTERRUPTED),
        (P.DRAINING, P.WARM, Lesson.INTERRUPTED),
        (P.STOPPING, P.WARM, None),
        (P.DRAINING, P.STOPPING, None),
        (P.WARM, P.LOST, None),
        (P.WARM, P.RELEASING, None),
        (P.LOST, P.RELEASING, None),
        (P.PLANNED, P.GONE, None),
    ],
)
def test_what_a_change_of_phase_teaches(before: P, after: P, lesson: Lesson | None) -> None:
    assert lesson_of(instance(before), instance(after)) is lesson


@pytest.mark.parametrize(("before", "after"), [(P.RESUMING, P.STOPPING), (P.RESUMING, P.WARM), (P.BOOTING, P.WARM)])
def test_a_resume_that_did_not_come_up_is_a_refusal(before: P, after: P) -> None:
    assert lesson_of(instance(before), instance(after, refusals=1)) is Lesson.REFUSED


def here(**changes: Any) -> Instance:
    return instance(P.RELEASING, **({"host": "h-1", "region": "US", "reason": "failed: no GPU"} | changes))


def outcome(result: Result) -> Outcome:
    return Outcome(action=Action.RENT, instance="aaaa", result=result, started_at=NOW, ended_at=NOW, detail="word")


def places(memory: PlaceMemory) -> Places:
    return memory.places(EMPTY, EMPTY)


def test_a_broken_machine_makes_its_host_avoided_by_all_pools_and_one_that_came_up_makes_it_good() -> None:
    memory = PlaceMemory()

    memory.learn(here(), Lesson.BROKE, NOW)
    assert places(memory).avoid_host("mock", "h-1", NOW) == "host h-1 is avoided for 1h (aaaa: failed: no GPU)"
    assert not places(memory).avoid_host("other", "h-1", NOW)

    memory.learn(here(), Lesson.CAME_UP, NOW + 60.0)
    assert not places(memory).avoid_host("mock", "h-1", NOW + 60.0)


@pytest.mark.parametrize("lesson", [Lesson.INTERRUPTED, Lesson.REFUSED])
def test_what_the_market_does_makes_a_host_count_as_dearer_and_not_avoided(lesson: Lesson) -> None:
    memory = PlaceMemory()

    memory.learn(here(), lesson, NOW)

    assert not places(memory).avoid_host("mock", "h-1", NOW)
    assert places(memory).host("mock", "h-1").per_hour(NOW) > 0


def test_failures_of_any_kind_in_a_row_open_the_breaker_of_a_region_and_a_success_closes_it() -> None:
    memory = PlaceMemory()
    for result in (Result.REJECTED, Result.TRANSIENT, Result.UNCLEAR):
        memory.learn_rent(here(), outcome(result))
    memory.learn(here(host="h-2"), Lesson.BROKE, NOW)
    assert not places(memory).avoid_region("mock", "US", NOW)

    memory.learn(here(host="h-3"), Lesson.BROKE, NOW)
    assert "region US is avoided for 10m" in places(memory).avoid_region("mock", "US", NOW)
    assert not places(memory).avoid_region("mock", "DE", NOW)

    memory.learn(here(host="h-4"), Lesson.CAME_UP, NOW)
    assert not places(memory).avoid_region("mock", "US", NOW)


@pytest.mark.parametrize("result", [Result.AUTH_FAILED, Result.INSUFFICIENT_FUNDS, Result.RATE_LIMITED, Result.OK])
def test_what_concerns_the_account_says_nothing_of_a_place(result: Result) -> None:
    memory = PlaceMemory()
    for _ in range(9):
        memory.learn_rent(here(), outcome(result))

    assert places(memory) == Places()


@pytest.mark.parametrize("result", [Result.PARTIAL, Result.REJECTED])
def test_a_host_that_makes_half_a_machine_or_refuses_the_request_is_avoided(result: Result) -> None:
    memory = PlaceMemory()

    memory.learn_rent(here(), outcome(result))

    assert places(memory).avoid_host("mock", "h-1", NOW)


IN_EUROPE = {"provider": "mock", "gpu": "RTX 4090", "region": "EU-RO-1", "host": ""}


def refusing(result: Result = Result.NO_CAPACITY) -> PlaceMemory:
    memory = PlaceMemory()
    memory.learn_rent(here(**IN_EUROPE), outcome(result))
    return memory


def test_what_was_sold_out_is_avoided_by_all_pools_and_nothing_else_is() -> None:
    known, refused = places(refusing()), offer(**IN_EUROPE)

    assert known.avoid_stock(refused, NOW) == "on-demand RTX 4090 in EU-RO-1 is avoided for 5m (no_capacity word)"
    assert not known.avoid_stock(refused, NOW + 300.0)
    for other in (
        replace(refused, region="US-KS-2"),
        replace(refused, gpu="L40S"),
        replace(refused, buy="spot"),
        replace(refused, host="h-1"),
        replace(refused, provider="other"),
    ):
        assert not known.avoid_stock(other, NOW)
    assert not known.regions
    assert not known.hosts


def test_what_a_vendor_refuses_in_words_that_nobody_knows_is_tried_elsewhere_first_too() -> None:
    assert places(refusing(Result.REJECTED)).avoid_stock(offer(**IN_EUROPE), NOW)
    assert not places(refusing(Result.UNCLEAR)).stocks


def test_where_hosts_have_no_names_a_broken_machine_makes_its_gpu_in_its_region_avoided_for_a_while() -> None:
    memory, other = PlaceMemory(), offer(**IN_EUROPE)

    memory.learn(here(**IN_EUROPE), Lesson.BROKE, NOW)
    assert "is avoided for 5m (aaaa: failed: no GPU)" in places(memory).avoid_stock(other, NOW)

    memory.learn(here(**IN_EUROPE), Lesson.CAME_UP, NOW)
    assert not places(memory).avoid_stock(other, NOW)
    memory.learn(here(), Lesson.BROKE, NOW)
    assert len(places(memory).stocks) == 1, "where it has a name, the host is avoided"


def test_a_rent_that_is_accepted_ends_it_and_the_memory_of_it_is_stored() -> None:
    memory, again, refused = refusing(), PlaceMemory(), offer(**IN_EUROPE)
    again.take("mock", read_places(json.loads(json.dumps(memory.document("mock"), default=fields_of))))

    assert places(again).avoid_stock(refused, NOW)
    again.learn_rent(here(**IN_EUROPE), outcome(Result.OK))
    assert not places(again).avoid_stock(refused, NOW)
    assert places(again).stock(refused).per_hour(NOW) > 0.0


def test_hosts_without_a_name_are_not_taken_for_one() -> None:
    memory = PlaceMemory()

    memory.learn(here(host=""), Lesson.BROKE, NOW)

    assert not places(memory).avoid_host("mock", "", NOW)
    assert not places(memory).hosts


def test_what_is_stored_is_read_again_and_what_is_past_is_forgotten() -> None:
    memory, again = PlaceMemory(), PlaceMemory()
    memory.learn(here(host="old"), Lesson.BROKE, NOW - 2 * DAY_S)
    memory.learn(here(), Lesson.BROKE, NOW)
    memory.learn(here(provider="other"), Lesson.BROKE, NOW)

    again.take("mock", read_places(json.loads(json.dumps(memory.document("mock"), default=fields_of))))

    assert {place: t for place, t in places(memory).hosts.items() if place[0] == "mock"} == places(again).hosts
    assert list(places(again).hosts) == [("mock", "h-1")]
    assert places(again).regions == {("mock", "US"): places(memory).regions["mock", "US"]}


def test_a_clock_set_back_avoids_nothing_for_longer() -> None:
    memory = PlaceMemory()
    memory.learn(here(), Lesson.BROKE, NOW)

    memory.not_after(NOW - DAY_S)

    assert not places(memory).avoid_host("mock", "h-1", NOW - DAY_S)


def test_where_machines_stand_and_where_they_boot_for_the_first_time() -> None:
    fleet = [
        instance(P.BOOTING, host="a", region="US"),
        instance(P.BOOTING, host="b", region="DE", resumed=True),
        instance(P.GONE, host="c", region="CA"),
        instance(P.HOT, host="", region="FR"),
    ]

    assert held_by(fleet) == {("mock", "a"), ("mock", "b")}
    assert booting(fleet) == {("mock", "US")}
