"""What the policy `forecast` remembers, and what it says of the last machine."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest

from autoscaler.core.decision import Decision
from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.samples import PoolSample, TierSample
from autoscaler.core.spec import Limits
from autoscaler.core.units import Span
from policies.forecast import decide
from tests.support.build import demand, instance, pool
from tests.support.days import (
    HOUR,
    MINUTE,
    SETTINGS,
    Daemon,
    P,
    after_four_days,
    office,
    rules,
)


@pytest.fixture(scope="module")
def four_days() -> Daemon:
    return after_four_days()


# --- the last machine -------------------------------------------------------------------------------------------------

TO_NONE: dict[str, Any] = {
    "pool": pool(limits=Limits(hot=Span(0, 6), warm=Span(0, 3))),
    "history": {"mock-on-demand": PlacementHistory(resume=Estimate(120.0, 0.0, 9), resumed=7.0, refused=1.0)},
}
"""A resume takes two minutes and succeeds in four cases of five: stopping pays for more than eleven minutes."""


def pulse(daemon: Daemon, minutes: int) -> Decision:
    """So many minutes of a pool whose jobs come at the full hour and take five minutes; gives the last decision."""
    decision = None
    for minute in range(minutes):
        if minute % 60 < 5:
            decision = daemon.minute(1.0, demand=demand(1))
        else:
            ended_at = daemon.now + MINUTE - (minute % 60 - 5) * MINUTE
            decision = daemon.minute(0.0, idle_since={daemon.fleet[0].id: ended_at})
    assert decision
    return decision


def hourly(*fleet: Instance) -> Daemon:
    """A pool with no floor after half a day of it."""
    daemon = Daemon(*fleet, **TO_NONE)
    pulse(daemon, 12 * 60)
    return daemon


def in_gap(daemon: Daemon, minutes: int) -> Decision:
    """The decision so many minutes after the last job of the hour."""
    return pulse(deepcopy(daemon), 5 + minutes)


def test_with_no_floor_the_last_machine_is_resumed_shortly_before_the_usual_gap_ends() -> None:
    daemon = hourly(instance(P.WARM))

    assert in_gap(daemon, 20).hot == 0
    assert in_gap(daemon, 48).hot == 1
    assert "forecast.gap" in rules(in_gap(daemon, 48))


def test_with_no_floor_the_last_machine_runs_on_only_while_the_gap_may_end_soon() -> None:
    daemon = hourly(instance(P.HOT))

    assert in_gap(daemon, 10).keep == 0
    assert in_gap(daemon, 50).keep == 1


def test_the_last_machine_stays_stopped_where_gaps_end_within_a_day() -> None:
    assert in_gap(hourly(instance(P.WARM)), 20).warm == 1


def test_with_a_floor_no_gap_is_followed(four_days: Daemon) -> None:
    assert four_days.state["idle"] is None


def test_a_gap_that_was_not_watched_is_not_counted() -> None:
    daemon = hourly(instance(P.HOT))
    pulse(daemon, 30)
    before = daemon.state["gaps"]
    daemon.now += 3 * HOUR
    daemon.minute(1.0, demand=demand(1))

    assert (daemon.state["idle"], daemon.state["gaps"]) == (None, before)


# --- the state --------------------------------------------------------------------------------------------------------


def test_the_state_is_the_same_object_while_the_quarter_lasts(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.minute(0.2)
    state = daemon.state
    for _ in range(13):
        daemon.minute(0.2)
        assert daemon.state is state
    daemon.play(0.1, office)

    assert daemon.state is not state


def test_a_new_quarter_changes_one_place_of_the_profile(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    before = daemon.state["profile"]
    daemon.play(0.3, lambda _hour: 3.0)
    after = daemon.state["profile"]

    for name in ("work", "spread", "weeks"):
        assert sum(a != b for a, b in zip(before[name], after[name], strict=True)) == 1


def test_the_state_of_eight_tiers_after_months_takes_less_than_64_kb() -> None:
    daemon, rng = Daemon(tiers=8, **TO_NONE), random.Random(1)
    for quarter in range(60 * 96):
        jobs = rng.randrange(10**6)
        tiers = {name: TierSample(jobs, 0, 0, None) for name in daemon.tiers}
        daemon.now += 15 * MINUTE
        daemon.load = daemon.load.learned(PoolSample(tiers=tiers, seen_s=15 * MINUTE), {}, daemon.now)
        daemon.tick(demand=demand(quarter % 2))

    assert daemon.state["profile"]["slots"] > 5700
    assert len(json.dumps(daemon.state)) < 64 * 1024


def test_a_restart_goes_on_as_if_nothing_had_been(four_days: Daemon) -> None:
    kept, restarted = deepcopy(four_days), deepcopy(four_days)
    restarted.state = json.loads(json.dumps(restarted.state))

    assert restarted.play(24, office) == kept.play(24, office)
    assert restarted.state == kept.state


def test_the_input_is_left_as_it_was_and_gives_the_same_again(four_days: Daemon) -> None:
    for daemon in _moments(four_days):
        before = deepcopy(daemon.state)
        first = decide(daemon.seen(), daemon.state, daemon.now, SETTINGS)

        assert decide(daemon.seen(), daemon.state, daemon.now, SETTINGS) == first
        assert daemon.state == before


def _moments(daemon: Daemon) -> Iterator[Daemon]:
    daemon = deepcopy(daemon)
    for _ in range(40):
        daemon.now += MINUTE
        tiers: Mapping[str, TierSample] = {"pro": TierSample(3, 0, 0, None)}
        daemon.load = daemon.load.learned(PoolSample(tiers=tiers, seen_s=MINUTE), {}, daemon.now)
        yield daemon
        daemon.tick()
