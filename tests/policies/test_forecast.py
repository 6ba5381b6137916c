"""What the policy `forecast` proposes: before a peak, with what weight, and from what is not known."""

from __future__ import annotations

import math
import random
import re
from copy import deepcopy
from dataclasses import replace

import pytest

from autoscaler.core.demand import Unknown
from autoscaler.core.load import Load
from autoscaler.core.samples import PoolSample, TierSample
from autoscaler.core.spec import MachineSpec
from policies.forecast import POLICY, Forecast
from tests.support.build import instance, pool
from tests.support.days import (
    HOUR,
    MINUTE,
    WARM,
    Daemon,
    P,
    after_four_days,
    at,
    office,
    rules,
    why_not,
)


@pytest.fixture(scope="module")
def four_days() -> Daemon:
    return after_four_days()


# --- a daily load -----------------------------------------------------------------------------------------------------


def test_a_daily_load_has_machines_ordered_before_its_peak(four_days: Daemon) -> None:
    day = deepcopy(four_days).play(24, office)

    assert at(day, 6.0).hot == 1
    assert at(day, 8.8).hot == 3
    assert at(day, 8.97).hot == 4
    assert at(day, 12.0).hot >= 4
    assert at(day, 20.0).hot == 1


def test_its_reason_names_the_time_the_work_the_skill_and_the_machines(four_days: Daemon) -> None:
    decision = at(deepcopy(four_days).play(9, office), 8.97)

    (text,) = [reason.text for reason in decision.why if reason.rule == "forecast.hot"]
    pattern = (
        r"0\.2 slots work, 0\.\d are usual; Tuesday 09:00 UTC usually needs 2\.\d \(skill 0\.8\d, weight 0\.99\):"
        r" 4 HOT in 8m 30s"
    )
    assert re.fullmatch(pattern, text)


def test_nothing_is_ordered_earlier_than_a_resume_takes_while_enough_machines_are_stopped(four_days: Daemon) -> None:
    morning = deepcopy(four_days).play(9, office)

    assert max(decision.hot for decision in morning[: 8 * 60]) == 1


def test_without_stopped_machines_the_order_goes_out_a_set_up_ahead(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.fleet = (instance(P.HOT),)
    morning = daemon.play(9, office)

    assert at(morning, 7.0).hot == 1
    assert at(morning, 8.3).hot == 4


def test_a_stopped_machine_that_was_refused_is_not_counted_on(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.fleet = (instance(P.HOT), *(replace(machine, refusals=1) for machine in WARM))

    assert at(daemon.play(9, office), 8.3).hot == 4


def test_machines_for_the_next_days_peak_are_to_be_stopped_and_there(four_days: Daemon) -> None:
    night = at(deepcopy(four_days).play(3, office), 2.0)

    assert (night.hot, night.standby, night.warm) == (1, 4, 4)
    assert "forecast.standby" in rules(night)


def test_no_machine_is_to_be_stopped_where_none_can_be(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.changes = {"stoppable": frozenset()}

    assert at(daemon.play(3, office), 2.0).standby == 0


def test_running_machines_are_kept_when_they_are_needed_again_before_stopping_pays(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.fleet = tuple(instance(P.HOT, id=f"h{number}") for number in range(5))

    assert at(daemon.play(9, office), 8.7).keep == 4


def test_no_more_machines_are_kept_than_run(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.fleet = (instance(P.HOT), instance(P.HOT, id="b"), *WARM)

    assert max(decision.keep for decision in daemon.play(9, office)) == 2


def test_a_lower_wish_waits_until_stopping_pays(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    noon = daemon.play(12, office)[-1]
    lull = daemon.play(0.3, lambda _hour: 0.0)
    hour = daemon.play(1.5, lambda _hour: 0.0)

    assert {decision.hot for decision in lull} == {noon.hot}
    assert "forecast.hold" in rules(lull[-1])
    assert hour[-1].hot < noon.hot


def test_a_rise_that_has_come_early_is_not_counted_twice(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.settings = Forecast(margin=0.0)

    assert at(daemon.play(9, lambda hour: 3.0 if hour % 24.0 > 6.0 else 0.2), 8.97).hot == 3


def test_a_machine_with_more_slots_does_more_work(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.changes = {"pool": pool(machine=MachineSpec(image="worker:1", gpus=("RTX 4090",), slots=2))}

    assert at(daemon.play(9, office), 8.9).hot == 2


def test_a_weekend_is_told_from_a_working_day_once_it_was_seen() -> None:
    daemon = Daemon(instance(P.HOT), *WARM)
    daemon.play(3 * 7 * 24, lambda hour: office(hour) if hour // 24 % 7 < 5 else 0.2, every_s=5 * MINUTE)
    monday, saturday = (deepcopy(daemon) for _ in range(2))
    saturday.play(5 * 24, office, every_s=5 * MINUTE)

    assert at(monday.play(9, office), 8.95).hot >= 3
    assert at(saturday.play(9, lambda _hour: 0.2), 8.95).hot <= 2


# --- what it is worth -------------------------------------------------------------------------------------------------


def test_it_asks_for_nothing_before_it_has_seen_enough() -> None:
    daemon = Daemon(instance(P.HOT), *WARM)
    decisions = daemon.play(46.9, office)

    assert {(decision.hot, decision.keep, decision.standby) for decision in decisions} == {(0, 0, 0)}
    assert why_not(decisions[-1])["forecast.learning"] == "the forecast is learning: 1d 22h of 2d seen"


@pytest.mark.parametrize("seed", range(4))
def test_a_random_load_gives_it_next_to_no_weight(seed: int) -> None:
    daemon, rng = Daemon(), random.Random(seed)
    daemon.play(2 * 24, lambda _hour: 2.0, rng, every_s=5 * MINUTE)
    weights = []
    for _ in range(10):
        daemon.play(24, lambda _hour: 2.0, rng, every_s=5 * MINUTE)
        weights.append(daemon.weight)

    assert sum(weights) / len(weights) < 0.1


def test_a_noisy_daily_load_gives_it_weight() -> None:
    daemon, rng = Daemon(), random.Random(1)
    daemon.play(8 * 24, lambda hour: 2.0 + 1.8 * math.sin(hour / 24.0 * 2.0 * math.pi), rng)

    assert daemon.weight > 0.6


def test_a_habit_that_shifts_by_six_hours_takes_its_weight_within_a_day(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.play(3 * 24, office)
    before = daemon.weight
    daemon.play(36, lambda hour: office(hour + 6.0))

    assert before > 0.8
    assert daemon.weight < 0.3


def test_without_weight_it_asks_for_nothing_and_says_so() -> None:
    daemon, rng = Daemon(), random.Random(1)
    decisions = daemon.play(3 * 24, lambda _hour: 2.0, rng)

    silent = [decision for decision in decisions if "forecast.skill" in why_not(decision)]
    assert silent
    assert all(decision.keep == decision.standby == 0 for decision in silent)


def test_in_the_shadow_it_tells_what_it_would_want_and_wants_nothing(four_days: Daemon) -> None:
    open_, shadow = deepcopy(four_days), deepcopy(four_days)
    shadow.settings = Forecast(shadow=True)
    used, told = at(open_.play(9, office), 8.9), at(shadow.play(9, office), 8.9)

    assert (told.hot, told.keep, told.warm, told.standby, told.why) == (0, 0, 0, 0, ())
    assert why_not(told)["forecast.shadow"].startswith(f"would want {used.hot} HOT, ")
    assert shadow.state == open_.state


# --- what is not known ------------------------------------------------------------------------------------------------


def test_with_an_unknown_queue_it_proposes_nothing_and_learns_nothing(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    state = daemon.state
    decision = daemon.tick(demand=Unknown("timeout", daemon.now))

    assert (decision.hot, decision.keep, decision.warm, decision.standby) == (0, 0, 0, 0)
    assert daemon.state is state


def test_a_time_that_was_not_watched_is_not_quiet(four_days: Daemon) -> None:
    blind, seeing = deepcopy(four_days), deepcopy(four_days)
    blind.play(8.5, office)
    for _ in range(6 * 60):  # 8:30 to 14:30
        blind.now += MINUTE
        blind.tick(demand=Unknown("timeout", blind.now))
    blind.play(9.5, office)
    seeing.play(24, office)

    assert at(blind.play(9, office), 8.97).hot == at(seeing.play(9, office), 8.97).hot == 4
    assert blind.state["profile"]["slots"] < seeing.state["profile"]["slots"]


def test_a_quarter_that_was_hardly_watched_teaches_nothing(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.play(0.05, office)
    before = daemon.state["profile"]
    daemon.now += 12 * MINUTE
    daemon.play(0.05, office)

    assert (daemon.state["slot"], daemon.state["profile"]) == (four_days.state["slot"] + 1, before)


def test_hours_in_which_it_was_not_asked_are_not_one_quarter(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    before = daemon.state["profile"]
    tiers = {"pro": TierSample(9999, 0, 0, None)}
    daemon.now += 5 * HOUR
    daemon.load = daemon.load.learned(PoolSample(tiers=tiers, seen_s=5 * HOUR), {}, daemon.now)
    daemon.tick()

    assert (daemon.state["profile"], daemon.state["told"]) == (before, [])


def test_a_history_that_ended_long_ago_does_not_tell_what_works_now(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.now += HOUR

    assert "forecast.stale" in why_not(daemon.tick())


def test_a_history_that_began_anew_is_not_taken_for_arrivals(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    before = daemon.state["profile"]
    daemon.load = Load()
    daemon.play(0.25, office)

    assert daemon.state["profile"] == before


def test_a_clock_that_was_set_back_teaches_nothing_wrong_and_stops_nothing(four_days: Daemon) -> None:
    daemon = deepcopy(four_days)
    daemon.play(6, office)
    before = daemon.state["profile"]
    daemon.now -= 5 * HOUR
    daemon.tick()
    daemon.minute(0.2)

    assert (daemon.state["profile"], daemon.state["told"]) == (before, [])
    assert at(daemon.play(8, office), 7.9).hot == 4


def test_a_constant_load_is_answered_with_a_constant_number(four_days: Daemon) -> None:
    noon = deepcopy(four_days).play(16, office)[13 * 60 :]

    assert len({decision.hot for decision in noon}) == 1


@pytest.mark.parametrize(("margin", "wrong"), [(0.0, []), (-0.1, [("margin",)])])
def test_a_margin_below_zero_is_found(margin: float, wrong: list[tuple[str, ...]]) -> None:
    assert [where for where, _ in POLICY.check(Forecast(margin=margin), pool())] == wrong
