from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Action, Command
from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.plan import plan
from autoscaler.core.race import doubt
from autoscaler.core.settle import begin_rent
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Placement
from tests.support.build import NOW, decision, instance, offer, pool, snapshot

P = Phase
MINUTE = 60.0


def learned(setup_s: float, *, resumed: float = 30.0, refused: float = 7.0) -> dict[str, PlacementHistory]:
    """A chance of about 0.8, resumes of 210 s ± 52.5 s."""
    return {
        "mock-on-demand": PlacementHistory(
            setup=Estimate(setup_s, 0.0, 20),
            resume=Estimate(210.0, 52.5**2, 20),
            resumed=resumed,
            refused=refused,
        )
    }


QUICK, SLOW = learned(270.0), learned(45 * MINUTE)


def resume(age_s: float, phase: P = P.RESUMING, **changes: Any) -> Instance:
    """A resume that was ordered so long ago."""
    values: dict[str, Any] = {"id": "old", "resumed": phase is P.BOOTING, "host": "h-0"}
    since = NOW - age_s
    return instance(phase, **(values | {"ordered_at": since, "phase_since": since, "called_at": since} | changes))


def rent_beside(age_s: float, phase: P = P.BOOTING, **changes: Any) -> Instance:
    """A machine rented so long ago beside the resume."""
    since = NOW - age_s
    values: dict[str, Any] = {"id": "new", "races": "old", "created_at": since, "ordered_at": since, "host": "h-9"}
    return instance(phase, **(values | {"phase_since": since, "booked_at": since} | changes))


def planned(seen: PoolSnapshot, hot: int, **wishes: Any) -> list[tuple[Action, str | None]]:
    return [(c.action, c.races or c.instance) for c in commands(seen, hot, **wishes)]


def commands(seen: PoolSnapshot, hot: int, **wishes: Any) -> tuple[Command, ...]:
    return plan(seen, decision(hot, **wishes), NOW)[0]


# --- when a resume is not counted on ----------------------------------------------------------------------------------


def test_the_worked_example_a_late_resume_is_raced_where_set_ups_are_short() -> None:
    seen = snapshot(resume(316.0), history=QUICK)

    [command] = commands(seen, 1)

    assert (command.action, command.races) == (Action.RENT, "old")
    assert command.reason.startswith(
        "beside old, its resume takes 5m 16s already, usually 3m 30s ± 52s; it is expected in 5m 23s, a rent in 4m 30s"
    )


@pytest.mark.parametrize("late_s", [60.0, 120.0])
def test_a_resume_that_is_minutes_late_is_waited_for_where_a_rent_takes_three_quarters_of_an_hour(
    late_s: float,
) -> None:
    assert not commands(snapshot(resume(210.0 + late_s), history=SLOW), 1)


def test_before_its_quantile_no_resume_is_late() -> None:
    assert not commands(snapshot(resume(314.0), history=QUICK), 1)


def test_a_resume_that_has_hardly_a_chance_any_more_is_raced_however_long_a_set_up_takes() -> None:
    lost_cause = learned(45 * MINUTE, resumed=3.0, refused=7.0)

    assert planned(snapshot(resume(450.0), history=lost_cause), 1) == [(Action.RENT, "old")]


def test_a_resume_that_its_provider_has_started_is_late_by_its_own_measure() -> None:
    assert planned(snapshot(resume(600.0, P.BOOTING), history=SLOW), 1) == [(Action.RENT, "old")]
    assert not commands(snapshot(resume(300.0, P.BOOTING), history=SLOW), 1)


def test_few_equal_resumes_make_no_quantile_of_one_second() -> None:
    certain = {"mock-on-demand": PlacementHistory(resume=Estimate(200.0, 0.0, 3))}

    assert not doubt(snapshot(history=certain), resume(299.0), NOW)


def test_boots_out_of_cold_and_starts_that_nobody_ordered_are_no_resumes() -> None:
    cold = resume(4000.0, P.BOOTING, resumed=False)
    unasked = resume(4000.0, P.BOOTING, ordered_at=0.0)

    assert not commands(snapshot(cold, unasked, history=QUICK), 2)


def test_a_standby_that_hardly_ever_comes_back_is_tried_and_not_counted_on() -> None:
    warm = instance(P.WARM, id="old", host="h-0")
    seen = snapshot(warm, history=learned(45 * MINUTE, resumed=0.0, refused=4.0))

    assert planned(seen, 1) == [(Action.RESUME, "old"), (Action.RENT, "old")]


# --- the race ---------------------------------------------------------------------------------------------------------


def test_one_machine_is_rented_beside_a_late_resume_and_no_second() -> None:
    assert not commands(snapshot(resume(400.0), rent_beside(60.0), history=QUICK), 1)


def test_another_standby_takes_the_place_of_a_rent() -> None:
    seen = snapshot(resume(400.0), instance(P.WARM, id="spare"), history=QUICK)

    assert planned(seen, 1) == [(Action.RESUME, "spare")]


def test_no_race_is_run_above_the_ceiling_and_it_says_so() -> None:
    seen = snapshot(resume(400.0), history=QUICK)

    found, told = plan(seen, decision(1, ceiling=1), NOW)

    assert not found
    assert any(r.rule == "plan.race" and "1 machines may run" in r.text for r in told.why_not)


def test_no_other_standby_is_resumed_above_the_ceiling_either() -> None:
    seen = snapshot(resume(400.0), instance(P.WARM, id="spare"), history=QUICK)

    assert not commands(seen, 1, ceiling=1)


def test_missing_machines_are_rented_before_races_are_run() -> None:
    offers = {"mock-on-demand": tuple(offer(offer_id=f"o{n}", host=f"h{n}") for n in range(4))}
    seen = snapshot(resume(400.0), history=QUICK, offers=offers)

    assert planned(seen, 2, ceiling=3) == [(Action.RENT, None), (Action.RENT, "old")]
    assert planned(seen, 2, ceiling=2) == [(Action.RENT, None)]


def test_the_record_of_a_rent_knows_what_it_races() -> None:
    [command] = commands(snapshot(resume(400.0), history=QUICK), 1)

    assert begin_rent(command, pool(), "token", NOW).races == "old"


# --- the loser --------------------------------------------------------------------------------------------------------


def test_where_the_resume_wins_the_young_boot_is_released_with_what_it_has_cost() -> None:
    boot = rent_beside(90.0, burn_usd_per_hour=0.8)
    seen = snapshot(resume(0.0, P.HOT), boot, history=SLOW)

    [command] = commands(seen, 1)

    assert (command.action, command.instance) == (Action.RELEASE, "new")
    assert command.reason == "old came up first; this race has cost 0.020 USD: release it"


def test_where_the_resume_wins_a_boot_that_is_nearly_done_is_stopped_and_kept() -> None:
    seen = snapshot(resume(0.0, P.HOT), rent_beside(44 * MINUTE), history=SLOW)

    [command] = commands(seen, 1)

    assert (command.action, command.instance) == (Action.STOP, "new")
    assert "0.59 USD of set-up are worth more than a day's disk of 0.48" in command.reason


def test_a_boot_that_is_nearly_done_is_released_where_nothing_may_be_kept() -> None:
    nearly = rent_beside(44 * MINUTE)

    assert planned(snapshot(resume(0.0, P.HOT), nearly, history=SLOW), 1, warm=0) == [(Action.RELEASE, "new")]
    unstoppable = snapshot(resume(0.0, P.HOT), nearly, history=SLOW, stoppable=frozenset())
    assert planned(unstoppable, 1) == [(Action.RELEASE, "new")]


@pytest.mark.parametrize("phase", [P.RESUMING, P.BOOTING])
def test_where_the_rent_wins_the_resume_goes_back_to_standby_with_what_it_has_cost(phase: P) -> None:
    late = resume(900.0, phase, burn_usd_per_hour=0.8)
    seen = snapshot(late, rent_beside(500.0, P.HOT), history=QUICK)

    [command] = commands(seen, 1)

    assert (command.action, command.instance) == (Action.STOP, "old")
    assert command.reason == "new came up first: back to standby; its resume has cost 0.200 USD"


def test_a_resume_that_two_rents_have_beaten_is_given_up_once() -> None:
    first = rent_beside(500.0, P.HOT)
    second = rent_beside(400.0, P.HOT, id="newer", host="h-8")

    assert planned(snapshot(resume(900.0), first, second, history=QUICK), 1)[:1] == [(Action.STOP, "old")]
    given_up = [command.instance for command in commands(snapshot(resume(900.0), first, second, history=QUICK), 1)]
    assert len(given_up) == len(set(given_up))


def test_no_bid_is_raised_for_the_loser_of_a_race() -> None:
    boot = rent_beside(90.0, buy="spot", placement="mock-spot", gpu="RTX 4090", usd_per_hour=0.3)
    place = Placement(provider="mock", buy="spot", max_usd_per_hour=1.0)
    market = {"mock-spot": (offer(buy="spot", usd_per_hour=0.5, takes_bids=True),)}
    bids = frozenset({"mock"})
    seen = snapshot(resume(0.0, P.HOT), boot, pool=pool(placements=(place,)), offers=market, rebids=bids, history=SLOW)

    assert planned(seen, 2) == [(Action.SET_BID, "new")]
    assert planned(seen, 1, warm=0) == [(Action.RELEASE, "new")]


def test_a_loser_that_is_wanted_by_now_goes_on() -> None:
    assert not commands(snapshot(resume(0.0, P.HOT), rent_beside(90.0), history=SLOW), 2)
    assert not commands(snapshot(resume(0.0, P.HOT), rent_beside(90.0), history=SLOW), 1, standby=1)


def test_nobody_is_given_up_while_nothing_may_go_down() -> None:
    assert not commands(snapshot(resume(0.0, P.HOT), rent_beside(90.0), history=SLOW), 1, hold_down=True)


def test_a_later_resume_of_the_same_machine_is_no_loser_of_an_old_race() -> None:
    winner = rent_beside(9000.0, P.HOT)

    assert not commands(snapshot(resume(60.0), winner, history=QUICK), 1)


def test_a_boot_whose_rival_is_gone_is_an_ordinary_boot() -> None:
    assert not commands(snapshot(rent_beside(90.0), history=QUICK), 0)
    assert not commands(snapshot(instance(P.WARM, id="old"), rent_beside(90.0), history=QUICK), 1)


@given(
    st.lists(
        st.tuples(st.sampled_from([P.RESUMING, P.BOOTING, P.HOT, P.WARM]), st.floats(0, 4000), st.booleans()),
        max_size=8,
    ),
    st.integers(0, 6),
    st.integers(0, 8),
)
def test_races_never_exceed_the_ceiling_nor_give_up_what_is_wanted(
    shapes: list[tuple[P, float, bool]], hot: int, room: int
) -> None:
    fleet: list[Instance] = []
    for n, (phase, age_s, raced) in enumerate(shapes):
        fleet.append(resume(age_s, phase, id=f"r{n}", host=f"r{n}"))
        if raced:
            fleet.append(rent_beside(age_s / 2, id=f"b{n}", host=f"b{n}", races=f"r{n}"))
    offers = {"mock-on-demand": tuple(offer(offer_id=f"o{n}", host=f"o{n}") for n in range(12))}
    seen = snapshot(*fleet, history=QUICK, offers=offers)
    ceiling = max(hot, room)

    found = commands(seen, hot, ceiling=ceiling)

    ups = sum(c.action in (Action.RENT, Action.RESUME, Action.UNDRAIN) for c in found)
    assert seen.up + ups <= max(seen.up, ceiling)
    coming = {m.id for m in fleet if m.phase in (P.RESUMING, P.BOOTING)}
    given_up = sum(c.instance in coming for c in found)
    assert given_up <= max(0, seen.up - hot)
