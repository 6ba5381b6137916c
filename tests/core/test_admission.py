"""Who is let in: the strategy's line, no flapping, and open whenever in doubt."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.admission import (
    CALM_S,
    LONGEST_RETRY_S,
    LOW_SHARE,
    NO_NOTICE,
    Admission,
    admit,
    notice,
    refused_by,
)
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.lifecycle import Phase
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Tier
from tests.support.build import NOW, instance, pool, snapshot

LIMIT_S = 60.0
TIERS = (Tier(name="pro", wait_target=30.0), Tier(name="free", wait_target=300.0, refuse_above=LIMIT_S))
POOL = pool(tiers=TIERS)
REFUSED = {"free": None}


def waited(wait_s: float, **changes: Any) -> PoolSnapshot:
    """One idle machine, so that a job would start at once, but the next one in line has waited for so long."""
    tiers = (TierDemand(tier="pro", waiting=0), TierDemand(tier="free", waiting=0, oldest_wait_s=wait_s))
    return snapshot(instance(), **{"pool": POOL, "demand": Demand(taken_at=NOW, tiers=tiers, in_flight=0)} | changes)


def queued(pro: int, free: int, *machines: Any, **changes: Any) -> PoolSnapshot:
    """Jobs of 20 s in both tiers and one busy slot on each machine."""
    tiers = (TierDemand(tier="pro", waiting=pro), TierDemand(tier="free", waiting=free))
    return snapshot(
        *machines,
        **{"pool": POOL, "demand": Demand(taken_at=NOW, tiers=tiers, in_flight=len(machines))} | changes,
    )


def free_of(tiers: Iterable[Admission]) -> Admission:
    return next(each for each in tiers if each.tier == "free")


def course(waits: Iterable[float], *, tick_s: float = 10.0) -> list[bool]:
    """Whether `free` is open, tick by tick."""
    refused: dict[str, float | None] = {}
    opened = []
    for number, wait_s in enumerate(waits):
        tiers = admit(waited(wait_s), refused, NOW + number * tick_s)
        refused = refused_by(tiers)
        opened.append(free_of(tiers).accept)
    return opened


def flips(opened: list[bool]) -> int:
    return sum(before != after for before, after in zip([True, *opened], opened, strict=False))


# --- the strategy's line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait_s", "accept"), [(0.0, True), (59.0, True), (60.0, True), (60.1, False), (3600.0, False)]
)
def test_if_queue_wait_time_is_over_60s_and_tier_is_free_return_server_busy(wait_s: float, accept: bool) -> None:
    answer = free_of(admit(waited(wait_s), {}, NOW))
    assert answer.accept is accept
    assert answer.message == ("" if accept else "Server busy, try again in a few minutes")


def test_the_message_is_the_users_own_where_there_is_one() -> None:
    tiers = (Tier(name="free", refuse_above=LIMIT_S, refuse_message="Come back tomorrow"),)
    [answer] = admit(queued(0, 9, instance(), pool=pool(tiers=tiers)), {}, NOW)
    assert answer.message == "Come back tomorrow"


def test_the_expected_wait_refuses_before_any_job_has_waited_that_long() -> None:
    pro, free = admit(queued(0, 3, instance()), {}, NOW)
    assert [pro.accept, free.accept] == [True, False]
    assert [pro.expected_wait_s, free.expected_wait_s] == pytest.approx([10.0, 70.0])
    assert free.why.startswith("a job that comes now would wait 1m 10s")


def test_a_tier_without_a_limit_is_never_refused() -> None:
    for each in (waited(1e6), queued(50, 50)):
        assert admit(each, {"pro": None}, NOW)[0].accept


def test_a_tier_sees_the_jobs_of_more_urgent_ones_and_not_of_less_urgent_ones() -> None:
    tiers = (Tier(name="pro", refuse_above=LIMIT_S), Tier(name="free", refuse_above=LIMIT_S))
    answers = admit(queued(0, 9, instance(), pool=pool(tiers=tiers)), {}, NOW)
    assert [each.accept for each in answers] == [True, False]
    answers = admit(queued(9, 0, instance(), pool=pool(tiers=tiers)), {}, NOW)
    assert [each.accept for each in answers] == [False, False]


def test_machines_set_apart_for_a_tier_are_no_capacity_for_a_lower_one() -> None:
    tiers = (Tier(name="pro", reserve=1), Tier(name="free", refuse_above=LIMIT_S))
    apart, shared = instance(id="a", tier="pro"), instance(id="b")
    waiting = (TierDemand(tier="pro", waiting=0), TierDemand(tier="free", waiting=3))
    seen = snapshot(
        *(apart, shared),
        pool=pool(tiers=tiers),
        demand=Demand(taken_at=NOW, tiers=waiting, in_flight=1),
        busy={"a": 0, "b": 1},
    )
    pro, free = admit(seen, {}, NOW)
    assert [pro.expected_wait_s, free.expected_wait_s] == pytest.approx([0.0, 70.0])


# --- when to try again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait_s", "seconds"),
    [(61.0, 45), (95.0, 80), (48.0, 30), (10_000.0, LONGEST_RETRY_S)],
)
def test_retry_after_is_until_the_wait_was_low_for_long_enough_in_steps_of_five_seconds(
    wait_s: float, seconds: int
) -> None:
    assert free_of(admit(waited(wait_s), REFUSED, NOW)).retry_after_s == seconds


@given(wait_s=st.floats(0.0, 1e9), calm_s=st.none() | st.floats(0.0, 60.0))
def test_retry_after_is_a_whole_second_at_least_where_a_tier_is_refused_and_only_there(
    wait_s: float, calm_s: float | None
) -> None:
    answer = free_of(admit(waited(wait_s), {"free": None if calm_s is None else NOW - calm_s}, NOW))
    if answer.accept:
        assert (answer.retry_after_s, answer.calm_since) == (None, None)
    else:
        assert answer.retry_after_s is not None
        assert 1 <= answer.retry_after_s <= LONGEST_RETRY_S


# --- no flapping ------------------------------------------------------------------------------------------------------


@given(wait_s=st.floats(0.0, 1e6), before=st.booleans(), tick_s=st.floats(0.1, 120.0))
def test_a_constant_wait_never_flips_twice(wait_s: float, before: bool, tick_s: float) -> None:
    lead_in = [1e6] if before else []
    opened = course([*lead_in, *[wait_s] * 50], tick_s=tick_s)[len(lead_in) :]
    assert sum(a != b for a, b in zip([not before, *opened], opened, strict=False)) <= 1


@given(waits=st.lists(st.floats(LOW_SHARE * LIMIT_S, LIMIT_S), max_size=50), before=st.booleans())
def test_between_low_and_limit_nothing_changes(waits: list[float], before: bool) -> None:
    assert flips(course([*([1e6] if before else []), *waits])) == before


@given(waits=st.lists(st.floats(0.0, 120.0), min_size=1, max_size=200))
def test_a_tier_opens_only_after_half_a_minute_of_low_waits(waits: list[float]) -> None:
    opened = course(waits, tick_s=10.0)
    for now in range(1, len(opened)):
        if opened[now] and not opened[now - 1]:
            assert all(wait_s < LOW_SHARE * LIMIT_S for wait_s in waits[now - 3 : now + 1])


def test_a_wait_that_rises_again_begins_the_half_minute_anew() -> None:
    assert course([61, 40, 40, 50, 40, 40, 40, 40]) == [False] * 7 + [True]


def test_a_clock_that_was_set_back_does_not_put_the_end_of_a_refusal_off() -> None:
    first = admit(waited(10.0), REFUSED, NOW)
    back = admit(waited(10.0), refused_by(first), NOW - 86400.0)
    assert free_of(admit(waited(10.0), refused_by(back), NOW - 86400.0 + CALM_S)).accept


# --- open in doubt ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refused", [{}, REFUSED], ids=["open", "refused"])
@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (waited(1e6, demand=Unknown("connection refused", NOW)), "cannot be read (connection refused)"),
        (queued(0, 0), "the next job is what one is started for"),
        (queued(0, 0, instance(Phase.WARM)), "the next job is what one is started for"),
    ],
    ids=["queue unknown", "all is cold", "all is stopped"],
)
def test_in_doubt_all_are_let_in(seen: PoolSnapshot, words: str, refused: dict[str, float | None]) -> None:
    answer = free_of(admit(seen, refused, NOW))
    assert answer.accept
    assert words in answer.why


def test_a_daemon_that_has_just_started_refuses_nobody_new() -> None:
    fresh = waited(1e6, running_for_s=20.0)
    answer = free_of(admit(fresh, {}, NOW))
    assert (answer.accept, answer.why) == (True, "open in doubt: the daemon took the lead 20s ago")
    assert not free_of(admit(fresh, REFUSED, NOW)).accept, "what was refused before a restart stays so"
    assert not free_of(admit(waited(1e6, running_for_s=60.0), {}, NOW)).accept


def test_where_jobs_wait_and_no_machine_is_to_come_more_are_refused() -> None:
    answer = free_of(admit(queued(0, 1), {}, NOW))
    assert (answer.accept, answer.expected_wait_s, answer.retry_after_s) == (False, math.inf, LONGEST_RETRY_S)
    assert answer.why.startswith("no machine is HOT or on its way")


@given(refused=st.dictionaries(st.sampled_from(["pro", "free"]), st.none()), wait_s=st.floats(0.0, 1e3))
def test_the_same_is_decided_of_the_same_and_nothing_given_is_changed(refused: dict[str, None], wait_s: float) -> None:
    before = dict(refused)
    assert admit(waited(wait_s), refused, NOW) == admit(waited(wait_s), refused, NOW)
    assert refused == before


# --- what is published ------------------------------------------------------------------------------------------------


def told(wait_s: float | None, at: float = NOW, *, accept: bool = True) -> Any:
    return notice([Admission(pool="images", tier="free", expected_wait_s=wait_s, accept=accept)], at, tick_s=10.0)


@pytest.mark.parametrize(
    ("wait_s", "later_s", "old"),
    [
        (100.0, 3600.0, False),
        (109.0, 3600.0, False),
        (111.0, 3600.0, True),
        (111.0, 9.0, False),
        (89.0, 10.0, True),
        (math.inf, 10.0, True),
        (None, 10.0, True),
        (111.0, -3600.0, True),
    ],
)
def test_a_notice_is_old_once_a_wait_changed_by_a_tenth_and_ten_seconds_have_passed(
    wait_s: float | None, later_s: float, old: bool
) -> None:
    assert told(100.0).is_old(told(wait_s, NOW + later_s)) is old


def test_a_notice_misleads_as_soon_as_somebody_else_is_refused() -> None:
    assert told(1.0).misleads(told(1.0, accept=False))
    assert told(1.0, accept=False).misleads(told(1.0))
    assert not told(1.0).misleads(told(100.0))
    assert NO_NOTICE.misleads(told(1.0, accept=False))
    assert not NO_NOTICE.misleads(told(1.0)), "who finds nothing lets everybody in"
    assert NO_NOTICE.is_old(told(0.0))


@pytest.mark.parametrize(("tick_s", "valid_s"), [(1.0, 180.0), (10.0, 180.0), (300.0, 900.0)])
def test_a_notice_outlives_three_lost_writes(tick_s: float, valid_s: float) -> None:
    assert notice([], NOW, tick_s).valid_for_s == valid_s
