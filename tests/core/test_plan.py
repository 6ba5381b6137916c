from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Action, Command
from autoscaler.core.demand import Pending, Unknown
from autoscaler.core.fewer import MOST_REFUSALS
from autoscaler.core.history import PlacementHistory
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.plan import plan
from autoscaler.core.spec import Limits, Placement
from autoscaler.core.units import Span
from autoscaler.core.utilisation import Use
from tests.support.build import NOW, decision, instance, offer, pool, snapshot

P = Phase
SPOT = Placement(provider="mock", buy="spot", max_usd_per_hour=0.5)
ON_DEMAND = Placement(provider="mock", max_usd_per_hour=1.0)


def machine(name: str, phase: Phase, **changes: Any) -> Instance:
    return instance(phase, id=name, provider_id=f"m-{name}", **changes)


def done(commands: tuple[Command, ...]) -> list[tuple[Action, str | None]]:
    return [(c.action, c.instance) for c in commands]


# --- more -------------------------------------------------------------------------------------------------------------


def test_a_drain_is_taken_back_before_a_standby_is_resumed_before_a_machine_is_rented() -> None:
    fleet = [machine("a", P.DRAINING), machine("b", P.WARM)]

    commands, _ = plan(snapshot(*fleet), decision(3), NOW)

    assert done(commands) == [(Action.UNDRAIN, "a"), (Action.RESUME, "b"), (Action.RENT, None)]


def test_capacity_on_its_way_is_not_ordered_again() -> None:
    coming = [machine(p.value, p) for p in (P.PLANNED, P.RENTING, P.BOOTING, P.RESUMING)]

    commands, _ = plan(snapshot(*coming), decision(4), NOW)

    assert not commands


def test_a_refused_standby_gives_way_to_the_next_and_then_to_a_rent() -> None:
    refused = machine("a", P.WARM, refusals=1, phase_since=NOW - 10)
    ready = machine("b", P.WARM, phase_since=NOW - 9000)

    commands, told = plan(snapshot(refused, ready), decision(2), NOW)

    assert done(commands) == [(Action.RESUME, "b"), (Action.RENT, None)]
    assert any(reason.rule == "plan.resume" and "a is tried again in 4m 50s" in reason.text for reason in told.why_not)


def test_a_refused_standby_is_tried_again_later() -> None:
    refused = machine("a", P.WARM, refusals=1, phase_since=NOW - 301)

    commands, _ = plan(snapshot(refused), decision(1), NOW)

    assert done(commands) == [(Action.RESUME, "a")]


def test_standbys_are_resumed_by_what_they_cost_for_their_chance_to_come_back() -> None:
    sure = PlacementHistory(resumed=18.0, refused=0.0)
    doubtful = PlacementHistory(resumed=9.0, refused=9.0)
    fleet = [
        machine("dear", P.WARM, usd_per_hour=0.9, placement="sure"),
        machine("cheap", P.WARM, usd_per_hour=0.4, placement="doubtful"),
        machine("refused", P.WARM, usd_per_hour=0.4, placement="doubtful", refusals=1, phase_since=NOW - 9000),
    ]
    seen = snapshot(*fleet, history={"sure": sure, "doubtful": doubtful})

    commands, _ = plan(seen, decision(3), NOW)

    assert [c.instance for c in commands if c.action is Action.RESUME] == ["cheap", "dear", "refused"]
    assert commands[0].reason == "3 machines wanted, 0 up: resume at 0.400 USD/h, 50% likely to come back"


def test_a_spot_machine_that_was_just_interrupted_is_not_the_first_to_be_tried() -> None:
    interrupted = machine("a", P.WARM, retry_at=NOW + 290.0, reason="interrupted by the market or its host")

    commands, told = plan(snapshot(interrupted), decision(1), NOW)

    assert done(commands) == [(Action.RENT, None)]
    assert any("a is tried again in 4m 50s; interrupted by the market" in reason.text for reason in told.why_not)


def test_placements_are_tried_in_the_order_of_preference() -> None:
    placed = pool(placements=(SPOT, ON_DEMAND))
    offers = {"mock-spot": (offer(usd_per_hour=0.6),), "mock-on-demand": (offer(usd_per_hour=0.9),)}

    commands, told = plan(snapshot(pool=placed, offers=offers), decision(1), NOW)

    assert [c.placement for c in commands] == ["mock-on-demand"]
    assert any("mock-spot: no offer at or below 0.5" in reason.text for reason in told.why_not)


def test_an_exhausted_placement_is_left_alone_for_a_while() -> None:
    blocked = PlacementHistory(blocked_until=NOW + 100, blocked_why="no_capacity")

    commands, told = plan(snapshot(history={"mock-on-demand": blocked}), decision(1), NOW)

    assert not commands
    assert any("left alone" in reason.text for reason in told.why_not)


def test_unknown_offers_rent_nothing_and_say_so() -> None:
    commands, told = plan(snapshot(offers={"mock-on-demand": Unknown("429", NOW)}), decision(1), NOW)

    assert not commands
    assert any("offers unknown (429)" in reason.text for reason in told.why_not)


@pytest.mark.parametrize(
    ("found", "blocked_until", "rented_at"),
    [
        (Pending("being looked up", NOW - 20.0), 0.0, []),
        (Pending("being looked up", NOW - 30.0), 0.0, ["mock-on-demand"]),
        (Pending("being looked up", NOW - 20.0), NOW + 60.0, ["mock-on-demand"]),
        (Unknown("looked up again in 20s", NOW), 0.0, ["mock-on-demand"]),
    ],
)
def test_a_placement_that_is_liked_less_waits_for_the_offers_of_the_better_one_for_half_a_minute(
    found: Unknown, blocked_until: float, rented_at: list[str]
) -> None:
    seen = snapshot(
        pool=pool(placements=(SPOT, ON_DEMAND)),
        offers={"mock-spot": found, "mock-on-demand": (offer(),)},
        history={"mock-spot": PlacementHistory(blocked_until=blocked_until)},
    )

    assert [command.placement for command in plan(seen, decision(1), NOW)[0]] == rented_at


def test_an_offer_that_stands_is_rented_as_often_as_it_is_wanted() -> None:
    standing = {"mock-on-demand": (offer(stands=True),)}

    commands, _ = plan(snapshot(offers=standing), decision(3), NOW)

    assert [command.offer for command in commands] == [offer(stands=True)] * 3


@pytest.mark.parametrize(("planned", "rented"), [(0, 3), (2, 1), (3, 0)])
def test_a_provider_gets_no_more_orders_than_it_takes_at_once_and_the_rest_follows_there(
    planned: int, rented: int
) -> None:
    waiting = [machine(name, P.PLANNED, provider="mock", placement="mock-spot") for name in "abc"[:planned]]
    offers = tuple(offer(offer_id=f"o-{n}", host=f"h-{n}", buy="spot", usd_per_hour=0.4) for n in range(9))
    seen = snapshot(
        *waiting,
        pool=pool(placements=(SPOT, ON_DEMAND)),
        offers={"mock-spot": offers, "mock-on-demand": (offer(),)},
        orders_at_once={"mock": 3},
    )

    commands, told = plan(seen, decision(6), NOW)

    assert [command.placement for command in commands] == ["mock-spot"] * rented
    assert any("mock-spot: takes no more orders for some seconds" in reason.text for reason in told.why_not)


def test_each_offer_is_rented_once() -> None:
    commands, _ = plan(snapshot(), decision(3), NOW)

    assert len(commands) == 1


def test_a_missing_standby_is_made_by_renting_one_machine_more() -> None:
    wants_standby = pool(limits=Limits(hot=Span(1, 6), warm=Span(1, 2)))

    commands, _ = plan(snapshot(machine("a", P.HOT), pool=wants_standby), decision(1, standby=1), NOW)

    assert done(commands) == [(Action.RENT, None)]


def test_no_standby_is_made_beyond_the_ceiling() -> None:
    wants_standby = pool(limits=Limits(hot=Span(1, 1), warm=Span(1, 2)))

    commands, _ = plan(snapshot(machine("a", P.HOT), pool=wants_standby), decision(1, standby=1, ceiling=1), NOW)

    assert not commands


# --- fewer ------------------------------------------------------------------------------------------------------------


def test_the_primary_goes_last_and_the_oldest_of_the_others_first() -> None:
    fleet = [machine(name, P.HOT, created_at=NOW - age) for name, age in [("a", 300), ("b", 200), ("c", 100)]]

    commands, _ = plan(snapshot(*fleet), decision(2), NOW)

    assert done(commands) == [(Action.DRAIN, "b")]


def test_the_primary_is_the_cheapest_for_what_it_gives_however_young() -> None:
    fleet = [
        machine("a", P.HOT, created_at=NOW - 300, usd_per_hour=0.4),
        machine("b", P.HOT, created_at=NOW - 200, usd_per_hour=0.7, slots=2),
        machine("c", P.HOT, created_at=NOW - 100, usd_per_hour=0.5),
    ]

    commands, _ = plan(snapshot(*fleet), decision(1), NOW)

    assert done(commands) == [(Action.DRAIN, "c"), (Action.DRAIN, "a")]


def test_the_base_on_demand_stays_while_spot_machines_go() -> None:
    base = pool(limits=Limits(hot=Span(1, 6), warm=Span(0, 2), on_demand=1))
    fleet = [
        machine("a", P.HOT, buy="spot", usd_per_hour=0.2),
        machine("b", P.HOT, buy="on_demand", usd_per_hour=0.8),
        machine("c", P.HOT, buy="on_demand", usd_per_hour=0.9),
    ]

    commands, _ = plan(snapshot(*fleet, pool=base), decision(1), NOW)

    assert done(commands) == [(Action.DRAIN, "c"), (Action.DRAIN, "a")]


def test_an_idle_machine_goes_before_one_that_is_busy_or_silent() -> None:
    fleet = [machine(name, P.HOT, created_at=NOW - age) for name, age in [("a", 300), ("b", 200), ("c", 100)]]

    commands, _ = plan(snapshot(*fleet, busy={"a": 0, "c": 0}), decision(2), NOW)

    assert done(commands) == [(Action.DRAIN, "c")]


IDLE, BUSY, SILENT = {"a": 0, "b": 0, "c": 0}, {"a": 0, "b": 1, "c": 0}, {"a": 0, "c": 0}
SICK: dict[str, Any] = {"ailment": "its worker has fallen silent"}
UNUSED: dict[str, Any] = {"gpu_use": Use.IDLE}
WHO_GOES = [
    # what is known of b and of c besides, who is busy, who of them goes; a is the primary
    ({}, {}, IDLE, "b"),  # "Stop oldest non-primary instance"
    (SICK, {}, IDLE, "b"),
    ({}, SICK, IDLE, "c"),
    ({}, SICK | {"usd_per_hour": 0.1}, {"a": 0, "b": 0}, "c"),
    ({}, {}, BUSY, "c"),
    ({}, {}, SILENT, "c"),
    ({"usd_per_hour": 9.0}, {}, BUSY, "c"),
    ({"usd_per_hour": 0.9}, UNUSED, IDLE, "c"),
    ({}, {"gpu_use": Use.LOW}, IDLE, "b"),
    ({}, {"usd_per_hour": 0.81}, IDLE, "c"),
    ({}, {"usd_per_hour": 1.2, "slots": 2}, IDLE, "b"),
    (UNUSED, {"usd_per_hour": 9.0}, BUSY, "c"),
]


@pytest.mark.parametrize(("of_b", "of_c", "busy", "goes"), WHO_GOES)
def test_which_machine_goes(of_b: dict[str, Any], of_c: dict[str, Any], busy: dict[str, int], goes: str) -> None:
    fleet = [
        machine("a", P.HOT, created_at=NOW - 300, usd_per_hour=0.05),
        machine("b", P.HOT, **({"created_at": NOW - 200} | of_b)),
        machine("c", P.HOT, **({"created_at": NOW - 100} | of_c)),
    ]

    assert done(plan(snapshot(*fleet, busy=busy), decision(2), NOW)[0]) == [(Action.DRAIN, goes)]


def test_of_equals_the_one_that_is_idle_for_the_longest_goes() -> None:
    fleet = [machine(name, P.HOT, created_at=NOW - age) for name, age in [("a", 300), ("b", 200), ("c", 100)]]
    idle_since = {"a": NOW - 9000, "b": NOW - 60, "c": NOW - 600}

    [command] = plan(snapshot(*fleet, idle_since=idle_since), decision(2), NOW)[0]

    assert (command.action, command.instance) == (Action.DRAIN, "c")
    assert "idle for 10m, 0.800 USD/h a slot" in command.reason


def test_a_degraded_machine_is_not_the_primary_while_another_is_healthy() -> None:
    fleet = [machine("a", P.HOT, created_at=NOW - 300, **SICK), machine("b", P.HOT, created_at=NOW - 200)]
    assert done(plan(snapshot(*fleet), decision(1), NOW)[0]) == [(Action.DRAIN, "a")]

    both = [replace(each, **SICK) for each in fleet]
    assert done(plan(snapshot(*both), decision(1, ceiling=1), NOW)[0]) == [(Action.DRAIN, "b")]


def test_a_machine_that_boots_replaces_nobody_yet() -> None:
    fleet = [machine("a", P.HOT), machine("b", P.BOOTING)]

    commands, _ = plan(snapshot(*fleet), decision(1), NOW)

    assert not commands


def test_a_draining_machine_is_stopped_only_when_it_is_known_to_be_idle() -> None:
    draining = machine("a", P.DRAINING)

    for busy in ({}, {"a": 1}):
        commands, told = plan(snapshot(draining, busy=busy), decision(0), NOW)
        assert not commands
        assert any(reason.rule == "plan.stop" for reason in told.why_not)
    assert done(plan(snapshot(draining, busy={"a": 0}), decision(0), NOW)[0]) == [(Action.STOP, "a")]


def test_a_drained_machine_is_released_when_enough_are_stopped_or_it_cannot_be() -> None:
    full = snapshot(machine("a", P.DRAINING), machine("b", P.WARM))
    assert done(plan(full, decision(0, warm=1), NOW)[0]) == [(Action.RELEASE, "a")]

    unstoppable = snapshot(machine("a", P.DRAINING), stoppable=frozenset())
    assert done(plan(unstoppable, decision(0), NOW)[0]) == [(Action.RELEASE, "a")]


def test_surplus_standbys_are_released_the_longest_stopped_first() -> None:
    fleet = [machine("a", P.WARM, phase_since=NOW - 10), machine("b", P.WARM, phase_since=NOW - 20)]

    commands, _ = plan(snapshot(*fleet), decision(0, warm=1), NOW)

    assert done(commands) == [(Action.RELEASE, "b")]


STANDBYS = [
    # what is known of b besides, whether it goes before a, which was stopped before it
    ({}, False),
    ({"phase_since": NOW - 30}, True),
    ({"disk_usd_per_hour": 0.03}, True),
    ({"disk_usd_per_hour": 0.01, "phase_since": NOW - 30}, False),
    ({"disk_usd_per_hour": 0.01, "refusals": 1}, True),
]


@pytest.mark.parametrize(("of_b", "goes"), STANDBYS)
def test_of_standbys_the_most_refused_goes_then_the_dearest_disk_then_the_longest_stopped(
    of_b: dict[str, Any], goes: bool
) -> None:
    fleet = [machine("a", P.WARM, phase_since=NOW - 20), machine("b", P.WARM, **({"phase_since": NOW - 10} | of_b))]

    assert done(plan(snapshot(*fleet), decision(0, warm=1), NOW)[0]) == [(Action.RELEASE, "b" if goes else "a")]


def test_a_standby_is_not_released_in_the_tick_that_resumes_another() -> None:
    fleet = [machine(name, P.WARM) for name in "abc"]

    commands, _ = plan(snapshot(*fleet), decision(1, warm=2), NOW)

    assert [action for action, _ in done(commands)] == [Action.RESUME]


def test_a_standby_that_will_not_come_back_is_dropped_with_what_it_cost() -> None:
    dead = machine("a", P.WARM, refusals=MOST_REFUSALS, phase_since=NOW - 1, usd_spent=1.25)

    [command] = plan(snapshot(dead), decision(0), NOW)[0]

    assert command.action is Action.RELEASE
    assert "1.25 USD" in command.reason


def test_holding_down_spares_no_machine_above_the_ceiling() -> None:
    fleet = [machine("a", P.HOT), machine("b", P.HOT, created_at=NOW), machine("c", P.DRAINING), machine("d", P.WARM)]

    commands, held = plan(snapshot(*fleet), decision(1, warm=0, ceiling=1, hold_down=True), NOW)

    assert done(commands) == [(Action.DRAIN, "b"), (Action.RELEASE, "c")]
    assert (held.hot, held.warm) == (1, 0)
    assert not plan(snapshot(*fleet), decision(1, warm=0, ceiling=3, hold_down=True), NOW)[0]


def test_holding_down_stops_nothing_and_holding_up_starts_nothing() -> None:
    fleet = [machine("a", P.HOT), machine("b", P.HOT, created_at=NOW - 1), machine("c", P.DRAINING)]

    assert not plan(snapshot(*fleet), decision(1, hold_down=True, hold_up=True), NOW)[0]


def test_no_more_drained_machines_are_stopped_than_are_to_be_kept() -> None:
    drained = [machine("a", P.DRAINING), machine("b", P.DRAINING)]

    assert done(plan(snapshot(*drained), decision(0, warm=1), NOW)[0]) == [(Action.STOP, "a"), (Action.RELEASE, "b")]


def test_a_standby_that_goes_makes_room_for_a_drained_machine() -> None:
    dead = machine("w", P.WARM, refusals=MOST_REFUSALS, phase_since=NOW - 1)

    commands, _ = plan(snapshot(dead, machine("a", P.DRAINING)), decision(0, warm=1), NOW)

    assert done(commands) == [(Action.RELEASE, "w"), (Action.STOP, "a")]


def test_the_dearer_machine_goes_though_a_cheaper_one_is_idle_for_longer() -> None:
    fleet = [machine("a", P.HOT, usd_per_hour=0.3), machine("b", P.HOT), machine("c", P.HOT, usd_per_hour=0.9)]
    idle = {"b": NOW - 900.0, "c": NOW - 60.0}

    assert done(plan(snapshot(*fleet, idle_since=idle), decision(2), NOW)[0]) == [(Action.DRAIN, "c")]


def test_a_drained_machine_is_held_no_longer_than_jobs_may_take() -> None:
    limit_s = pool().deadlines.draining
    young = machine("a", P.DRAINING, phase_since=NOW - limit_s)
    old = machine("b", P.DRAINING, phase_since=NOW - limit_s - 1.0)
    seen = snapshot(young, old, stoppable=frozenset())

    assert done(plan(seen, decision(0, hold_down=True), NOW)[0]) == [(Action.RELEASE, "b")]
    assert not plan(replace(seen, busy={"b": 1}), decision(0, hold_down=True), NOW)[0], "it holds a job"
    assert not plan(replace(seen, busy={}), decision(0, hold_down=True), NOW)[0], "nobody says that it holds none"


phases = st.sampled_from(sorted(set(P) - {P.GONE}))


@given(
    st.lists(st.tuples(phases, st.sampled_from([None, 0, 1]), st.integers(0, 4)), max_size=12),
    st.integers(0, 8),
    st.integers(0, 4),
)
def test_a_plan_never_exceeds_what_was_decided_and_never_stops_work(
    shapes: list[tuple[Phase, int | None, int]], hot: int, warm: int
) -> None:
    fleet = [
        machine(f"i{n:02}", phase, refusals=refusals, created_at=NOW - n)
        for n, (phase, _, refusals) in enumerate(shapes)
    ]
    busy = {f"i{n:02}": slots for n, (_, slots, _) in enumerate(shapes) if slots is not None}
    seen = snapshot(*fleet, busy=busy)

    commands, _ = plan(seen, decision(hot, warm), NOW)

    by_id = {record.id: record for record in fleet}
    ups = [c for c in commands if c.action in (Action.RENT, Action.RESUME, Action.UNDRAIN)]
    assert len(ups) <= max(0, hot - seen.up)
    assert len({c.instance for c in commands if c.instance}) == sum(1 for c in commands if c.instance)
    for command in commands:
        if command.action in (Action.STOP, Action.RELEASE):
            target = by_id[str(command.instance)]
            assert target.phase in (P.DRAINING, P.WARM)
            assert target.phase is P.WARM or busy[target.id] == 0
    drains = sum(c.action is Action.DRAIN for c in commands)
    assert drains <= max(0, sum(r.phase is P.HOT for r in fleet) - hot)


hot_machines = st.lists(
    st.tuples(
        st.sampled_from([None, 0, 1]),
        st.booleans(),
        st.sampled_from(Use),
        st.sampled_from([0.1, 0.8]),
        st.integers(1, 2),
        st.sampled_from([None, NOW - 60.0, NOW - 900.0]),
    ),
    max_size=8,
)


@given(hot_machines, st.integers(0, 8), st.randoms(use_true_random=False))
def test_the_same_machines_go_whatever_the_order_they_are_known_in_and_the_primary_goes_last(
    shapes: list[tuple[int | None, bool, Use, float, int, float | None]], hot: int, mixer: random.Random
) -> None:
    fleet = [
        machine(f"i{n}", P.HOT, created_at=NOW - n, ailment="sick" * ill, gpu_use=use, usd_per_hour=usd, slots=slots)
        for n, (_, ill, use, usd, slots, _) in enumerate(shapes)
    ]
    busy = {f"i{n}": slots for n, (slots, *_) in enumerate(shapes) if slots is not None}
    idle_since = {f"i{n}": since for n, (*_, since) in enumerate(shapes) if since is not None}
    seen = snapshot(*fleet, busy=busy, idle_since=idle_since)
    before = copy.deepcopy(seen)

    commands, _ = plan(seen, decision(hot), NOW)

    assert seen == before
    mixer.shuffle(fleet)
    assert plan(snapshot(*fleet, busy=busy, idle_since=idle_since), decision(hot), NOW)[0] == commands
    gone = [c.instance for c in commands if c.action is Action.DRAIN]
    assert len(gone) == max(0, len(fleet) - hot)
    assert not any(c.action in (Action.STOP, Action.RELEASE) for c in commands)
    primary = seen.primary()
    assert primary is None or primary.id not in gone[:-1]


def test_one_machine_is_wanted_in_the_singular() -> None:
    assert (decision(1).wish(), decision(2).wish()) == ("1 machine wanted", "2 machines wanted")
