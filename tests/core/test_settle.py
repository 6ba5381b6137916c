from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.decision import Action, Command, Outcome, Result
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import InvalidTransition, Phase
from autoscaler.core.settle import begin, begin_rent, owed, settle
from tests.support.build import NOW, instance, offer, pool

P = Phase


def outcome(action: Action, result: Result, **changes: Any) -> Outcome:
    values: dict[str, Any] = {
        "action": action,
        "instance": "aaaa",
        "result": result,
        "started_at": NOW - 1,
        "ended_at": NOW,
        "detail": "word",
    }
    return Outcome(**(values | changes))


def settled(phase: Phase, action: Action, result: Result, **changes: Any) -> Instance:
    return settle(instance(phase), outcome(action, result, **changes))[0]


PLANNED = instance(P.PLANNED, provider_id=None)
NOTHING_MADE = [
    Result.NO_CAPACITY,
    Result.RATE_LIMITED,
    Result.AUTH_FAILED,
    Result.INSUFFICIENT_FUNDS,
    Result.REJECTED,
    Result.TRANSIENT,
    Result.NOT_SENT,
]


def test_an_intent_reserves_the_offers_price_and_carries_a_token() -> None:
    command = Command(
        action=Action.RENT, pool="images", placement="mock-on-demand", offer=offer(usd_per_hour=0.7), reason="why"
    )

    record = begin_rent(command, pool(), "token", NOW)

    assert (record.id, record.phase, record.usd_per_hour) == ("token", P.PLANNED, 0.7)


def test_an_intent_is_booked_at_its_full_price_until_it_is_known_that_nothing_was_made() -> None:
    command = Command(
        action=Action.RENT, pool="images", placement="mock-on-demand", offer=offer(usd_per_hour=0.7), reason="why"
    )
    planned = begin_rent(command, pool(), "token", NOW - 3600.0)

    [refused] = settle(planned, outcome(Action.RENT, Result.NO_CAPACITY))

    assert planned.cost_usd(NOW) == pytest.approx(0.7), "a daemon that died before the answer may have rented it"
    assert refused.burn_usd_per_hour == 0.0


@pytest.mark.parametrize("result", NOTHING_MADE)
def test_a_rent_that_certainly_made_nothing_leaves_nothing(result: Result) -> None:
    [record] = settle(PLANNED, outcome(Action.RENT, result))

    assert record.phase is P.GONE


def test_an_accepted_rent_is_known_by_its_id_and_billed_from_now_on() -> None:
    [record] = settle(PLANNED, outcome(Action.RENT, Result.OK, provider_id="m-9"))

    assert (record.phase, record.provider_id, record.burn_usd_per_hour) == (P.RENTING, "m-9", 0.8)


def test_an_unclear_rent_is_looked_for_and_reserved_at_its_full_price() -> None:
    [record] = settle(PLANNED, outcome(Action.RENT, Result.UNCLEAR))

    assert (record.phase, record.provider_id, record.burn_usd_per_hour) == (P.RENTING, None, 0.8)


def test_every_machine_that_a_failed_rent_left_behind_is_released() -> None:
    left = settle(PLANNED, outcome(Action.RENT, Result.PARTIAL, stray_ids=("m-1", "m-2")))

    assert [(r.phase, r.provider_id) for r in left] == [(P.RELEASING, "m-1"), (P.RELEASING, "m-2")]
    assert len({r.id for r in left}) == 2


def test_a_machine_that_is_resumed_is_booked_at_its_full_price_before_the_call() -> None:
    warm = instance(P.WARM, burn_usd_per_hour=0.02)

    record = begin(Command(action=Action.RESUME, pool="images", instance=warm.id, reason="wanted"), warm, NOW)

    assert (record.phase, record.burn_usd_per_hour) == (P.RESUMING, 0.8)


@pytest.mark.parametrize("result", [Result.NO_CAPACITY, Result.REJECTED])
def test_a_refused_resume_is_cancelled_because_it_may_have_been_queued(result: Result) -> None:
    record = settled(P.RESUMING, Action.RESUME, result)

    assert (record.phase, record.refusals) == (P.STOPPING, 1)
    assert [c.action for c in owed([record], frozenset(), {}, NOW)] == [Action.STOP]


def test_an_accepted_resume_is_not_ordered_again() -> None:
    record = settled(P.RESUMING, Action.RESUME, Result.OK)

    assert record.phase is P.RESUMING
    assert not owed([record], frozenset(), {}, NOW + 1e6)


@pytest.mark.parametrize("action", [Action.STOP, Action.RELEASE, Action.RESUME])
@pytest.mark.parametrize("result", [Result.TRANSIENT, Result.UNCLEAR, Result.RATE_LIMITED, Result.NOT_SENT])
def test_a_call_that_failed_for_now_is_owed_again_later(action: Action, result: Result) -> None:
    phase = {Action.STOP: P.STOPPING, Action.RELEASE: P.RELEASING, Action.RESUME: P.RESUMING}[action]
    record = settled(phase, action, result)

    assert record.phase is phase
    assert not owed([record], frozenset(), {}, NOW)
    assert [c.action for c in owed([record], frozenset(), {}, NOW + 400)] == [action]


def test_releasing_is_tried_for_ever() -> None:
    record = instance(P.RELEASING)
    for _ in range(200):
        [record] = settle(record, outcome(Action.RELEASE, Result.TRANSIENT))

    assert record.phase is P.RELEASING
    assert [c.action for c in owed([record], frozenset(), {}, NOW + 301)] == [Action.RELEASE]


def test_a_release_is_not_done_because_the_provider_says_so() -> None:
    assert settled(P.RELEASING, Action.RELEASE, Result.OK).phase is P.RELEASING
    assert settled(P.RELEASING, Action.RELEASE, Result.NOT_FOUND).phase is P.RELEASING


def test_a_rate_limit_is_waited_out() -> None:
    record = settled(P.RELEASING, Action.RELEASE, Result.RATE_LIMITED, retry_after_s=900.0)

    assert not owed([record], frozenset(), {}, NOW + 899)
    assert owed([record], frozenset(), {}, NOW + 900)


@pytest.mark.parametrize(
    ("phase", "action"), [(P.RELEASING, Action.RELEASE), (P.STOPPING, Action.STOP), (P.RESUMING, Action.RESUME)]
)
def test_no_rate_limit_holds_an_order_up_for_more_than_an_hour(phase: Phase, action: Action) -> None:
    record = settled(phase, action, Result.RATE_LIMITED, retry_after_s=86400.0)

    assert [due.action for due in owed([record], frozenset(), {}, NOW + 3600)] == [action]


def test_a_machine_that_cannot_be_stopped_is_released() -> None:
    assert settled(P.STOPPING, Action.STOP, Result.REJECTED).phase is P.RELEASING


def test_a_machine_that_the_provider_denies_is_lost_until_the_listing_proves_it() -> None:
    assert settled(P.STOPPING, Action.STOP, Result.NOT_FOUND).phase is P.LOST
    assert settled(P.RESUMING, Action.RESUME, Result.NOT_FOUND).phase is P.LOST


def test_an_answer_that_comes_after_the_listing_moved_the_record_on_changes_no_phase() -> None:
    assert settled(P.BOOTING, Action.RESUME, Result.NO_CAPACITY).phase is P.BOOTING


def test_one_call_at_a_time_is_owed_for_a_machine() -> None:
    assert not owed([instance(P.STOPPING)], frozenset({"aaaa"}), {}, NOW)


@pytest.mark.parametrize("phase", [P.STOPPING, P.RELEASING])
def test_no_end_is_ordered_while_a_worker_says_that_it_works(phase: P) -> None:
    assert not owed([instance(phase)], frozenset(), {"aaaa": 1}, NOW)
    assert owed([instance(phase)], frozenset(), {"aaaa": 0}, NOW)
    assert owed([instance(phase)], frozenset(), {}, NOW), "whoever is silent was asked before"
    assert owed([instance(P.RESUMING)], frozenset(), {"aaaa": 1}, NOW)


@pytest.mark.parametrize(
    ("action", "phase"),
    [(Action.STOP, P.HOT), (Action.STOP, P.RELEASING), (Action.RESUME, P.HOT), (Action.UNDRAIN, P.STOPPING)],
)
def test_a_command_that_does_not_fit_the_phase_is_a_bug_and_raises(action: Action, phase: Phase) -> None:
    with pytest.raises(InvalidTransition):
        begin(Command(action=action, pool="images", instance="aaaa", reason="why"), instance(phase), NOW)


def test_a_call_that_failed_is_made_again_after_five_seconds_then_ten_then_twenty() -> None:
    record, waits = instance(Phase.RELEASING), []
    for _ in range(3):
        (record,) = settle(record, outcome(Action.RELEASE, Result.TRANSIENT))
        waits.append((record.retry_at or 0.0) - record.called_at)

    assert waits == [5.0, 10.0, 20.0]


def test_a_bid_below_the_price_that_stands_frees_no_money() -> None:
    lower = Command(action=Action.SET_BID, pool="images", instance="aaaa", bid_usd_per_hour=0.1, reason="")

    assert begin(lower, instance(usd_per_hour=0.8), NOW).usd_per_hour == 0.8
