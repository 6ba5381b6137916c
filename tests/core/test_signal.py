"""Which readings of a queue are believed, and when one alarm is raised."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Decision
from autoscaler.core.demand import Demand, TierDemand, Unknown
from autoscaler.core.guards import guard
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import Load, TierLoad
from autoscaler.core.signal import HOLD_S, Signal, hear
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap, Fallback, Limits
from autoscaler.core.units import Span
from autoscaler.runtime.documents import fields_of, read_signal
from tests.support.build import NOW, demand, instance, pool, snapshot

TICK_S = 10.0
BLIND = "connection refused"
Seen = int | Demand | None
"""Jobs waiting, a whole reading, or None: it failed."""


def fleet(count: int, phase: Phase = Phase.HOT) -> tuple[Instance, ...]:
    return tuple(instance(phase, id=f"m{number}", burn_usd_per_hour=0.8) for number in range(count))


def jobs_of(service_s: float) -> Load:
    return Load(tiers={"pro": TierLoad(jobs=100.0, work_s=100.0 * service_s)})


class Ear:
    """Takes one reading a tick."""

    def __init__(self, machines: Sequence[Instance] = (), load: Load | None = None, **fallback: Any) -> None:
        self.signal = Signal()
        self.now = NOW
        self.machines, self.load, self.fallback = tuple(machines), load or jobs_of(20.0), Fallback(**fallback)
        self.alarms: list[str] = []
        self.relief: list[str] = []

    def hear(self, *readings: Seen) -> None:
        for seen in readings:
            told: Demand | Unknown = demand(seen) if isinstance(seen, int) else seen or Unknown(BLIND, self.now)
            heard = hear(
                self.signal, told, machines=self.machines, load=self.load, fallback=self.fallback, now=self.now
            )
            self.signal = heard.signal
            self.alarms += heard.alarms
            self.relief += heard.relief
            self.now += TICK_S

    def doubts(self) -> bool:
        return self.signal.fall is not None

    def live(self, seconds: float, seen: Seen) -> None:
        self.hear(*[seen] * int(seconds / TICK_S))


def ear_that_heard(*readings: Seen, machines: int = 3, **changes: Any) -> Ear:
    ear = Ear(fleet(machines), **changes)
    ear.hear(*readings)
    return ear


# --- readings that fail -----------------------------------------------------------------------------------------------


def test_one_alarm_is_raised_however_long_the_queue_cannot_be_read() -> None:
    ear = ear_that_heard(12, *[None] * 500)

    [alarm] = ear.alarms
    assert alarm == (
        "the queue cannot be read (connection refused): 3 readings in a row failed, last read 30s ago with 12 jobs; "
        "what runs stays and nothing more is started for it"
    )


def test_a_reading_that_fails_now_and_then_tells_nothing() -> None:
    ear = ear_that_heard(*[12, None, None] * 50)

    assert (ear.alarms, ear.relief) == ([], [])
    assert ear.signal.failing_since == ear.now - 2 * TICK_S, "each time it is away anew"


def test_a_queue_that_comes_and_goes_is_told_once() -> None:
    ear = ear_that_heard(12, None, None, None, *[12, None, None, 12, None, None, None] * 50)

    assert (len(ear.alarms), ear.relief) == (1, [])


def test_the_end_is_told_with_how_long_it_was_away() -> None:
    ear = ear_that_heard(12, *[None] * 60, 12, 12)
    assert not ear.relief

    ear.hear(12)

    assert ear.relief == ["the queue can be read again, after 10m"]
    ear.hear(None, None, None)
    assert len(ear.alarms) == 2


def test_a_fallback_may_stand_from_the_first_failure() -> None:
    ear = ear_that_heard(12, None, after=1)

    assert len(ear.alarms) == 1
    ear.hear(12)
    assert ear.relief == ["the queue can be read again, after 10s"]


def test_a_queue_that_was_never_read_says_so() -> None:
    assert "it was never read" in ear_that_heard(None, None, None).alarms[0]


# --- the fallback -----------------------------------------------------------------------------------------------------


def after_failures(count: int, hot: int = 0, up: int = 2, **changes: Any) -> Decision:
    """What guards make of a decision when so many readings failed since one that led to 3 machines."""
    fallback = Fallback(**changes.pop("fallback", {}))
    limits = changes.pop("limits", Limits(hot=Span(1, 6), usd_per_day=Cap(warn=1e3, stop=1e4)))
    ear = Ear(fleet(up))
    ear.fallback = fallback
    ear.hear(12)
    ear.signal = replace(ear.signal, wanted=3)
    ear.hear(*[None] * count)
    seen = blind(pool(limits=limits, fallback=fallback), up, ear.signal)
    return guard(Decision(hot=hot or up, warm=0, **changes), seen, 0.0, ear.now)


def blind(of: Any, up: int, signal: Signal) -> PoolSnapshot:
    return snapshot(*fleet(up), pool=of, demand=Unknown(BLIND, NOW), signal=signal)


@pytest.mark.parametrize(
    ("failures", "fallback", "hot"),
    [
        (2, {}, 3),
        (3, {}, 2),
        (3, {"then": "last_good"}, 3),
        (3, {"then": "floor", "floor": 4}, 4),
        (2, {"then": "floor", "floor": 4}, 3),
        (3, {"then": "floor", "floor": 1}, 2),
        (9, {"after": 10}, 3),
        (10, {"after": 10}, 2),
    ],
)
def test_what_is_wanted_after_failures_in_a_row(failures: int, fallback: dict[str, Any], hot: int) -> None:
    decision = after_failures(failures, fallback=fallback)

    assert (decision.hot, decision.hold_down, decision.hold_up) == (hot, True, False)


def test_a_floor_starts_machines_from_none() -> None:
    limits = Limits(hot=Span(0, 6), usd_per_day=Cap(warn=1e3, stop=1e4))

    assert after_failures(3, up=0, limits=limits, fallback={"then": "floor", "floor": 2}).hot == 2


def test_the_fallback_stays_within_limits_and_money() -> None:
    floor = {"then": "floor", "floor": 5}

    assert after_failures(3, limits=Limits(hot=Span(1, 4)), fallback=floor, up=2).hot <= 4
    poor = Limits(hot=Span(1, 6), usd_per_day=Cap(warn=0.0, stop=0.0))
    assert after_failures(3, limits=poor, fallback=floor, up=1).hot == 1


def test_the_reason_says_since_when_what_is_done_and_what_it_costs() -> None:
    [said] = [reason.text for reason in after_failures(12).why if reason.rule == "unknown"]

    assert said == (
        "the queue cannot be read for 2m (connection refused; reading 12 in a row failed, last read 2m 10s ago with 12 "
        "jobs): nothing is stopped, what runs stays and nothing more is started for it; 2 up, 1.60 USD/h"
    )


@given(st.integers(0, 50), st.integers(0, 6), st.integers(1, 9), st.sampled_from(["hold", "floor", "last_good"]))
def test_no_fallback_ever_wants_less_than_the_policies_do(failures: int, up: int, wanted: int, then: str) -> None:
    fallback = {"then": then, "floor": 3 if then == "floor" else None}

    decision = after_failures(failures, hot=min(wanted, 6), up=up, fallback=fallback)

    assert decision.hot >= min(wanted, 6)
    assert decision.hold_down


# --- falls ------------------------------------------------------------------------------------------------------------


def test_a_queue_that_comes_back_empty_stops_nothing_for_five_minutes_and_is_told_once() -> None:
    ear = ear_that_heard(1000, 0)

    assert ear.alarms == ["jobs in the queue fell from 1,000 to 0 within 10s; 3 slots can have done at most 30"]
    held = snapshot(*fleet(3), signal=ear.signal)
    decision = guard(Decision(hot=1, warm=0), held, 0.0, ear.now)
    assert decision.hold_down
    assert "nothing is stopped for another 4m 50s" in decision.why[0].text
    ear.live(HOLD_S - TICK_S, 0)
    assert ear.doubts()
    ear.hear(0)
    assert not ear.doubts()
    assert (len(ear.alarms), ear.relief) == (
        1,
        ["1,000 jobs stay gone and are held for done, 5m after they fell from 1,000 to 0"],
    )


def test_what_readings_that_fail_hide_is_seen_by_the_next_good_one() -> None:
    ear = ear_that_heard(1000, None, None, None, None, 0)

    assert ear.doubts()
    assert "fell from 1,000 to 0 within 50s" in ear.alarms[-1]


def test_the_doubt_ends_when_the_jobs_are_there_again() -> None:
    ear = ear_that_heard(1000, 0, 0, 980)

    assert not ear.doubts()
    assert ear.relief == ["980 jobs are in the queue again, 20s after they fell from 1,000 to 0"]


def test_the_doubt_ends_when_the_machines_can_have_done_the_jobs_by_then() -> None:
    ear = ear_that_heard(200, 0, load=jobs_of(2.0))
    assert ear.doubts(), "3 slots have 165 done by now, at most; on average 15 and 1.5 a second"

    ear.hear(*[0] * 11)
    assert ear.doubts()
    ear.hear(0)

    assert not ear.doubts()
    assert ear.relief == [
        "by now the machines can have done the 200 jobs that are gone, 2m after they fell from 200 to 0"
    ]


@pytest.mark.parametrize(
    ("jobs", "service_s"),
    [(24, 20.0), (1000, 0.01), (300, 1.0), (40, 10.0)],
    ids=["few jobs", "1,000 jobs of 10 ms", "short jobs", "with what workers prefetch"],
)
def test_what_the_machines_can_have_done_is_believed(jobs: int, service_s: float) -> None:
    assert not ear_that_heard(jobs, 0, load=jobs_of(service_s)).alarms


@pytest.mark.parametrize(
    ("phase", "doubted"),
    [(Phase.BOOTING, False), (Phase.DRAINING, False), (Phase.LOST, False), (Phase.WARM, True), (Phase.RENTING, True)],
)
def test_whoever_may_have_a_worker_explains_a_fall_and_nobody_else(phase: Phase, doubted: bool) -> None:
    ear = Ear(fleet(4, phase))
    ear.hear(60, 20)

    assert ear.doubts() == doubted


@pytest.mark.parametrize(("before", "after"), [(4, 0), (0, 4)])
def test_machines_that_came_or_went_between_two_readings_may_have_worked(before: int, after: int) -> None:
    ear = Ear(fleet(before))
    ear.hear(60)
    ear.machines = fleet(after)
    ear.hear(20)

    assert not ear.doubts()


@pytest.mark.parametrize(("jobs", "doubted"), [(24, False), (25, True)])
def test_a_few_jobs_that_are_gone_are_no_alarm(jobs: int, doubted: bool) -> None:
    assert ear_that_heard(jobs, 0, machines=0).doubts() == doubted


def test_jobs_that_are_taken_put_off_or_put_back_are_still_there() -> None:
    def of(waiting: int, in_flight: int, delayed: int) -> Demand:
        return demand(tiers=(TierDemand(tier="pro", waiting=waiting, delayed=delayed),), in_flight=in_flight)

    ear = ear_that_heard(of(1000, 0, 0), of(0, 1000, 0), of(0, 0, 1000), of(1000, 0, 0), machines=1)

    assert not ear.alarms


@pytest.mark.parametrize(
    "other",
    [demand(0, in_flight=0), demand(tiers=(TierDemand(tier="pro", waiting=0, waiting_is_lower_bound=True),))],
    ids=["now it shows those in flight", "now it tells a lower bound"],
)
def test_readings_that_count_other_things_are_not_compared(other: Demand) -> None:
    assert not ear_that_heard(1000, other).alarms


def test_readings_of_which_another_tier_tells_its_delayed_jobs_are_not_compared() -> None:
    def of(**delayed: int | None) -> Demand:
        return demand(tiers=tuple(TierDemand(tier=name, waiting=0, delayed=count) for name, count in delayed.items()))

    assert not ear_that_heard(of(pro=1000, free=None), of(pro=None, free=0)).alarms


def test_a_doubt_ends_in_time_though_no_reading_can_be_compared_any_more() -> None:
    bound = demand(tiers=(TierDemand(tier="pro", waiting=0, waiting_is_lower_bound=True),))
    ear = ear_that_heard(1000, 0)

    ear.live(HOLD_S - TICK_S, bound)
    assert ear.doubts()
    ear.hear(bound)

    assert not ear.doubts()
    assert len(ear.relief) == 1


def test_part_of_a_queue_that_somebody_takes_away_is_not_doubted() -> None:
    assert not ear_that_heard(1000, 600, 350).alarms


def test_a_nightly_purge_is_told_the_first_time() -> None:
    ear = ear_that_heard(*[1000, *[0] * 40])
    for _ in range(10):
        ear.now += 86400.0
        ear.machines = ()
        ear.hear(1200)
        ear.hear(0)

    assert len(ear.alarms) == 1


def test_workers_that_are_not_ours_are_told_once_and_hold_nothing_for_long() -> None:
    ear = Ear(())
    held = 0
    for _ in range(1000):
        ear.hear(300, 10)
        held += ear.doubts()

    assert len(ear.alarms) == 1
    assert held * TICK_S <= HOLD_S


def test_two_servers_that_answer_in_turns_make_one_alarm() -> None:
    ear = ear_that_heard(*[1000, 0] * 100)

    assert (len(ear.alarms), len(ear.relief)) == (1, 1)


def test_what_a_queue_is_used_to_is_forgotten_within_a_week() -> None:
    ear = ear_that_heard(1000, *[0] * 40)
    ear.now += 8 * 86400.0
    ear.hear(1000, 0)

    assert len(ear.alarms) == 2


def test_what_was_forgotten_does_not_come_back_with_a_smaller_fall() -> None:
    ear = ear_that_heard(10_000, *[0] * 40)
    ear.now += 8 * 86400.0
    ear.hear(100, *[0] * 40)
    ear.now += 86400.0
    ear.hear(1000, 0)

    assert len(ear.alarms) == 3


def test_the_quickest_tier_says_what_the_machines_can_have_done() -> None:
    both = Load(tiers={name: TierLoad(jobs=100.0, work_s=100.0 * took) for name, took in (("a", 2.0), ("b", 200.0))})

    assert not ear_that_heard(50, 0, machines=1, load=both).alarms


def test_what_a_queue_is_used_to_is_forgotten_within_a_week_though_the_clock_was_set_back() -> None:
    ear = ear_that_heard(1000, *[0] * 40)
    ear.now -= 30 * 86400.0
    ear.hear(1000)
    ear.now += 8 * 86400.0
    ear.hear(1000, 0)

    assert len(ear.alarms) == 2


def test_a_clock_that_is_set_back_makes_no_fall_and_prolongs_none() -> None:
    ear = ear_that_heard(1000)
    ear.now -= 3600.0
    ear.hear(0)
    assert not ear.alarms

    ear = ear_that_heard(1000, 0)
    ear.now -= 3600.0
    ear.live(HOLD_S + 2 * TICK_S, 0)
    assert not ear.doubts()


def test_a_rise_from_many_to_a_few_more_is_none() -> None:
    assert not ear_that_heard(90_000, 150_000).alarms


def test_a_rise_holds_nothing_and_is_told_once() -> None:
    ear = ear_that_heard(12, 10**12, 10**12)

    assert not ear.doubts()
    [alarm] = ear.alarms
    assert alarm.startswith("jobs in the queue rose from 12 to 1,000,000,000,000 within 10s; limits and budget bound")
    assert not ear_that_heard(12, 90_000).alarms


@given(
    st.lists(st.integers(0, 100), min_size=2, max_size=60),
    st.integers(1, 8),
    st.sampled_from([0.5, 2.0, 20.0, 60.0]),
)
def test_workers_of_any_usual_speed_are_never_doubted(arriving: list[int], slots: int, service_s: float) -> None:
    """Each slot does up to 10 times what it does on average, and jobs come as they will."""
    left, depths = 0.0, []
    for came in arriving:
        left = max(0.0, left + came - slots * 10.0 * TICK_S / service_s)
        depths.append(int(left))

    assert not ear_that_heard(*depths, machines=slots, load=jobs_of(service_s)).alarms


# --- the store --------------------------------------------------------------------------------------------------------


def stored(signal: Signal) -> Signal:
    return read_signal(json.loads(json.dumps(signal, default=fields_of)))


@given(st.lists(st.none() | st.integers(0, 5000), max_size=12))
def test_a_daemon_that_takes_over_goes_on_where_the_other_was(readings: list[Seen]) -> None:
    whole, parts = Ear(fleet(2)), Ear(fleet(2))
    whole.hear(*readings)
    for reading in readings:
        parts.hear(reading)
        parts.signal = stored(parts.signal)

    assert parts.signal == whole.signal
    assert (parts.alarms, parts.relief) == (whole.alarms, whole.relief)


def test_a_record_of_an_older_daemon_has_nothing_to_tell() -> None:
    assert read_signal({}) == Signal()
