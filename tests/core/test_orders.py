"""What operators order, held against what the core does of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Action, Command, Decision
from autoscaler.core.demand import Pending, Unknown
from autoscaler.core.fulfilment import World, became
from autoscaler.core.guards import guard
from autoscaler.core.instance import Instance
from autoscaler.core.journal import order_entry
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Listing, Remote
from autoscaler.core.order_checks import Known, problems, warnings
from autoscaler.core.orders import Order, OrderKind, Orders
from autoscaler.core.plan import plan
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap, Limits, Placement
from autoscaler.core.unit import Unit, units_of
from autoscaler.core.units import Span
from tests.support.build import FLEET, NOW, demand, instance, offer, pool, remote, snapshot

P, K = Phase, OrderKind
ELSEWHERE = Placement(provider="other", max_usd_per_hour=1.0)
THERE = Placement(provider="mock", max_usd_per_hour=1.0)
TWO_PLACES = pool(placements=(THERE, ELSEWHERE))
TWO_OFFERS = {"mock-on-demand": (offer(),), "other-on-demand": (offer(provider="other", offer_id="o-2", host="h-2"),)}


def order(kind: OrderKind, subject: str = "", **changes: Any) -> Order:
    return Order(kind=kind, subject=subject, by="ada", at=NOW, **changes)


def under(*orders: Order) -> Orders:
    return Orders(standing=orders)


def machine(name: str, phase: Phase = P.HOT, **changes: Any) -> Instance:
    return instance(phase, **{"id": name, "provider_id": f"m-{name}", **changes})


def guarded(hot: int, seen: PoolSnapshot, **changes: Any) -> Decision:
    return guard(Decision(hot=hot, warm=0, **changes), seen, 0.0, NOW)


def done(seen: PoolSnapshot, hot: int, **changes: Any) -> dict[str | None, Action]:
    commands, _ = plan(seen, Decision(hot=hot, warm=3, **{"ceiling": 6, **changes}), NOW)
    return {command.instance: command.action for command in commands}


def reasons(decision: Decision) -> str:
    return "\n".join(f"{reason.rule}: {reason.text}" for reason in (*decision.why, *decision.why_not))


# --- floor and ceiling ------------------------------------------------------------------------------------------------


def test_a_floor_raises_what_is_wanted_and_says_who_why_and_how_long() -> None:
    floor = order(K.FLOOR, "images", count=3, why="launch", for_s=7200.0).dated(NOW - 3600.0)
    decision = guarded(1, snapshot(orders=under(floor)))
    assert decision.hot == 3
    assert "order.floor: 1 wanted, at least 3 ordered by ada for 1h more (launch)" in reasons(decision)


def test_a_floor_stays_within_the_limits_and_a_ceiling_may_go_below_them() -> None:
    assert guarded(0, snapshot(orders=under(order(K.FLOOR, count=9)), day_left_s=0.0)).hot == 6
    nothing = guarded(2, snapshot(orders=under(order(K.CEILING, count=0))))
    assert (nothing.hot, nothing.ceiling) == (0, 0)


def test_a_ceiling_goes_before_a_floor() -> None:
    assert guarded(0, snapshot(orders=under(order(K.FLOOR, count=4), order(K.CEILING, count=2)))).hot == 2


def test_an_order_for_the_pool_goes_before_one_for_each_pool() -> None:
    assert guarded(0, snapshot(orders=under(order(K.FLOOR, count=4), order(K.FLOOR, "images", count=2)))).hot == 2
    assert guarded(0, snapshot(orders=under(order(K.FLOOR, "llm", count=4)))).hot == 1


def test_a_ceiling_drains_at_once_though_the_queue_cannot_be_read() -> None:
    fleet = [machine("a"), machine("b")]
    seen = snapshot(*fleet, demand=Unknown("timeout", NOW), orders=under(order(K.CEILING, count=1)))
    decision = guarded(2, seen)
    assert [command.action for command in plan(seen, decision, NOW)[0]] == [Action.DRAIN]


def test_the_warning_of_the_budget_does_not_give_a_floor_up_and_its_stop_does() -> None:
    limits = Limits(hot=Span(0, 6), usd_per_day=Cap(warn=5.0, stop=20.0))
    seen = snapshot(pool=pool(limits=limits), orders=under(order(K.FLOOR, count=3)), day_left_s=43_200.0)
    assert guarded(0, replace(seen, spent_today_usd=8.0), needs=(("pro", 0),)).hot == 3
    assert guarded(0, replace(seen, spent_today_usd=19.9), needs=(("pro", 0),)).hot == 0


# --- single machines --------------------------------------------------------------------------------------------------


def test_a_machine_is_drained_by_order_and_not_taken_back_while_the_order_stands() -> None:
    drain = under(order(K.DRAIN, "a"))
    assert done(snapshot(machine("a"), machine("b"), orders=drain), 2) == {"a": Action.DRAIN}
    assert done(snapshot(machine("a", P.DRAINING), machine("b"), orders=drain, busy={"a": 1}), 2) == {None: Action.RENT}


def test_a_drained_machine_is_stopped_or_released_as_the_policies_have_it() -> None:
    drain = under(order(K.DRAIN, "a"))
    idle = snapshot(machine("a", P.DRAINING), machine("b"), orders=drain)
    assert done(idle, 1) == {"a": Action.STOP}
    assert done(replace(idle, stoppable=frozenset()), 1) == {"a": Action.RELEASE}
    assert done(idle, 1, hold_down=True) == {"a": Action.STOP}, "whatever policies wait for"


def test_a_release_goes_before_a_drain_of_the_same_machine() -> None:
    both = under(order(K.RELEASE, "a"), order(K.DRAIN, "a"))
    assert done(snapshot(machine("a", P.DRAINING), machine("b"), orders=both), 1) == {"a": Action.RELEASE}


def test_how_long_an_order_stands_is_counted_once() -> None:
    given = order(K.FLOOR, count=1, for_s=60.0)
    assert given.dated(NOW).dated(NOW + 30.0).until == NOW + 60.0


def test_offers_that_are_awaited_at_a_provider_that_is_evacuated_hold_up_no_rent_elsewhere() -> None:
    awaited = {**TWO_OFFERS, "mock-on-demand": Pending("being looked up", NOW)}
    seen = snapshot(pool=TWO_PLACES, offers=awaited, orders=under(order(K.EVACUATE, "mock")))
    assert done(seen, 1) == {None: Action.RENT}
    assert done(replace(seen, orders=under()), 1) == {}


def test_a_sick_machine_at_a_provider_that_is_evacuated_is_replaced_once() -> None:
    seen = snapshot(
        machine("a", ailment="silent"), pool=TWO_PLACES, offers=TWO_OFFERS, orders=under(order(K.EVACUATE, "mock"))
    )
    _, told = plan(seen, Decision(hot=1, warm=0, ceiling=6), NOW)
    assert "a is degraded" not in reasons(told)


def test_no_bid_is_raised_for_a_machine_that_goes_by_order() -> None:
    place = Placement(provider="mock", buy="spot", max_usd_per_hour=1.0)
    spot = machine("a", buy="spot", placement="mock-spot", gpu="RTX 4090", usd_per_hour=0.3)
    market = {"mock-spot": (offer(buy="spot", usd_per_hour=0.5, takes_bids=True),)}
    seen = snapshot(spot, pool=pool(placements=(place,)), offers=market, rebids=frozenset({"mock"}))
    lost = under(order(K.RELEASE, "a", lose_jobs=True))

    assert done(seen, 1) == {"a": Action.SET_BID}
    assert done(seen, 0) == {"a": Action.DRAIN}, "a bid that is raised for its last job does not put that off"
    assert [command.action for command in plan(replace(seen, orders=lost), Decision(hot=1, warm=0), NOW)[0]] == [
        Action.RELEASE
    ]


def test_a_ceiling_above_the_limits_lifts_none_of_them() -> None:
    rich = pool(limits=Limits(hot=Span(1, 6), usd_per_day=Cap(warn=1e3, stop=1e4)))
    assert guarded(9, snapshot(pool=rich, orders=under(order(K.CEILING, count=50)))).ceiling == 6


def test_a_machine_goes_by_the_providers_name_for_it_too() -> None:
    assert done(snapshot(machine("a"), orders=under(order(K.DRAIN, "mock/m-a"))), 1) == {"a": Action.DRAIN}


@pytest.mark.parametrize(
    ("there", "busy", "step"),
    [
        (machine("a"), 0, Action.DRAIN),
        (machine("a"), 1, Action.DRAIN),
        (machine("a", P.DRAINING), 0, Action.RELEASE),
        (machine("a", P.DRAINING), 1, None),
        (machine("a", P.DRAINING), None, None),
        (machine("a", P.WARM), None, Action.RELEASE),
        (machine("a", P.BOOTING, ordered_at=NOW - 60), None, Action.RELEASE),
        (machine("a", P.BOOTING, ordered_at=NOW - 60), 1, None),
        (machine("a", P.BOOTING), None, None),
        (machine("a", P.PLANNED, provider_id=None, ordered_at=NOW), None, None),
        (machine("a", P.RENTING, provider_id=None, ordered_at=NOW), None, None),
        (machine("a", P.LOST), None, None),
        (machine("a", P.RELEASING), None, None),
    ],
)
def test_a_release_waits_for_whatever_may_hold_a_job(there: Instance, busy: int | None, step: Action | None) -> None:
    known = {} if busy is None else {"a": busy}
    seen = snapshot(there, orders=under(order(K.RELEASE, "a")), busy=known, offers={})
    assert done(seen, 0, hold_down=True).get("a") is step


def test_a_release_that_may_lose_jobs_ends_a_machine_at_work_and_says_so() -> None:
    lost = order(K.RELEASE, "a", lose_jobs=True, why="it mines")
    commands, _ = plan(snapshot(machine("a"), orders=under(lost), busy={"a": 3}), Decision(hot=1, warm=0), NOW)
    assert (commands[0].action, commands[0].reason) == (
        Action.RELEASE,
        "release ordered by ada (it mines): release it, whatever runs on it",
    )
    assert under(lost).protected({"a": 3, "b": 1}, {"a": machine("a"), "b": machine("b")}) == {"b": 1}
    both = under(lost, order(K.RELEASE, "b"))
    assert both.protected({"a": 3, "b": 1}, {"a": machine("a"), "b": machine("b")}) == {"b": 1}
    planned = snapshot(machine("a", P.PLANNED, provider_id=None), orders=under(lost))
    assert not plan(planned, Decision(hot=1, warm=0), NOW)[0], "the answer to its rent is still to come"


def test_a_standby_that_is_to_be_released_is_not_resumed() -> None:
    assert done(snapshot(machine("a", P.WARM), orders=under(order(K.RELEASE, "a"))), 1) == {
        "a": Action.RELEASE,
        None: Action.RENT,
    }


# --- evacuation -------------------------------------------------------------------------------------------------------


def test_what_serves_at_an_evacuated_provider_is_replaced_elsewhere_first() -> None:
    orders = under(order(K.EVACUATE, "mock"))
    seen = snapshot(machine("a"), pool=TWO_PLACES, offers=TWO_OFFERS, orders=orders)
    commands, decision = plan(seen, Decision(hot=1, warm=0, ceiling=6), NOW)
    [rent] = commands
    assert (rent.action, rent.placement) == (Action.RENT, "other-on-demand")
    assert "a stands at mock, which is evacuated: a replacement first" in reasons(decision)
    assert "mock is evacuated, ordered by ada" in reasons(decision)


def test_it_is_drained_once_its_replacement_is_hot_and_released_even_as_a_standby() -> None:
    orders = under(order(K.EVACUATE, "mock"))
    elsewhere = machine("z", provider="other", placement="other-on-demand", usd_per_hour=0.9)
    replaced = snapshot(machine("a", usd_per_hour=0.1), elsewhere, pool=TWO_PLACES, orders=orders)
    assert done(replaced, 1) == {"a": Action.DRAIN}
    assert done(replace(replaced, instances=(machine("a", P.DRAINING), elsewhere)), 1) == {"a": Action.RELEASE}
    assert done(replace(replaced, instances=(machine("a", P.WARM), elsewhere)), 1) == {"a": Action.RELEASE}


def test_what_serves_stays_where_nothing_else_can_be_rented() -> None:
    seen = snapshot(machine("a"), orders=under(order(K.EVACUATE, "mock")))
    commands, decision = plan(seen, Decision(hot=1, warm=0, ceiling=6), NOW)
    assert not commands
    assert "plan.rent: mock-on-demand: mock is evacuated, ordered by ada" in reasons(decision)


# --- what ends an order -----------------------------------------------------------------------------------------------


FIRST, SECOND = units_of(["images", "audio"])
ASKED_BEFORE = {"mock": Listing(asked_at=NOW - 1.0, machines=())}
"""A listing from before the order: its machine may have been rented since."""


def world(*records: Instance, machines: tuple[Remote, ...] = (), **changes: Any) -> World:
    listings = {"mock": Listing(asked_at=NOW, machines=machines)}
    return World(**{"records": records, "listings": listings, **changes})


@pytest.mark.parametrize(
    ("given", "seen", "end"),
    [
        (order(K.FLOOR, count=1, for_s=60.0).dated(NOW - 60.0), world(), "is over"),
        (order(K.FLOOR, count=1, for_s=60.0).dated(NOW), world(), None),
        (order(K.DRAIN, "a"), world(machine("a", P.DRAINING)), None),
        (order(K.DRAIN, "a"), world(machine("a", P.WARM)), "is fulfilled, the machine is stopped"),
        (order(K.RELEASE, "a"), world(machine("a", P.WARM)), None),
        (order(K.RELEASE, "a"), world(machine("a", P.GONE)), "is fulfilled, the machine is gone"),
        (order(K.RELEASE, "x"), world(), "cannot be carried out, no such machine is ours"),
        (order(K.RELEASE, "x"), world(listings={"mock": Unknown("timeout", NOW)}), None),
        (order(K.RELEASE, "mock/m-9"), world(machines=(remote(provider_id="m-9"),), unit=FIRST), None),
        (order(K.EVACUATE, "mock"), world(), None),
        (order(K.ADOPT, "mock/m-9", pool="images"), world(machines=(remote(provider_id="m-9"),)), None),
        (
            order(K.ADOPT, "mock/m-9", pool="images"),
            world(machine("a", provider_id="m-9")),
            "is fulfilled, the machine is a of images",
        ),
        (order(K.ADOPT, "mock/m-9", pool="images"), world(), "cannot be carried out, mock lists no such machine"),
        (order(K.ADOPT, "mock/m-9", pool="images"), world(listings={"mock": Unknown("timeout", NOW)}), None),
        (order(K.ADOPT, "mock/m-9", pool="images"), world(listings=ASKED_BEFORE), None),
        (order(K.RELEASE, "mock/m-9"), world(listings=ASKED_BEFORE), None),
        (
            replace(order(K.RELEASE, "mock/m-9"), at=NOW + 3600.0),  # by a clock that is ahead
            world(listings=ASKED_BEFORE),
            "cannot be carried out, no such machine is ours",
        ),
        (
            order(K.ADOPT, "mock/m-a", pool="images"),
            world(machine("a", P.GONE)),
            "cannot be carried out, mock lists no such machine",
        ),
    ],
)
def test_an_order_stands_until_it_is_over_fulfilled_or_impossible(given: Order, seen: World, end: str | None) -> None:
    assert became(given, seen, NOW) == end


@pytest.mark.parametrize(
    ("given", "teller"),
    [
        (order(K.PAUSE), FIRST),
        (order(K.FLOOR, "audio", count=1), SECOND),
        (order(K.EVACUATE, "mock"), FIRST),
        (order(K.ADOPT, "mock/m-9", pool="audio"), SECOND),
        (order(K.DRAIN, "a"), SECOND),
        (order(K.DRAIN, "x"), None),
        (replace(order(K.DRAIN, "x"), at=NOW - 3600.0), FIRST),
        (replace(order(K.DRAIN, "x", for_s=60.0, until=NOW), at=NOW - 3600.0), None),
    ],
)
def test_of_pools_led_one_by_one_a_single_one_tells_what_became_of_an_order(given: Order, teller: Unit | None) -> None:
    worlds = [world(unit=FIRST), world(machine("a", pool="audio"), unit=SECOND)]
    assert [each.unit for each in worlds if each.tells_of(given, NOW)] == ([teller] if teller else [])
    assert world().tells_of(given, NOW)


# --- what may be ordered ----------------------------------------------------------------------------------------------

KNOWN = Known(
    fleet=FLEET,
    pools={"images": pool()},
    providers={"mock", "other"},
    instances={"a": machine("a"), "gone": machine("gone", P.GONE)},
    listings={
        "mock": Listing(asked_at=NOW, machines=(remote(provider_id="m-9", label="somebody's"),)),
        "other": Unknown("timeout", NOW),
    },
    standing=under(order(K.CEILING, "images", count=2)),
)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (order(K.PAUSE, "imgs"), "there is no pool 'imgs'; pools: images"),
        (order(K.FLOOR), "count: missing; say how many machines the floor is"),
        (order(K.CEILING, count=-1), "count: -1 given, expected 0 or more"),
        (order(K.FLOOR, "images", count=7), "a floor of 7 is above what images may run: 6 by its limits.hot"),
        (
            order(K.FLOOR, count=3),
            "a floor of 3 is above the ceiling of images, 2 by ada: withdraw ceiling:images first",
        ),
        (order(K.PAUSE, for_s=0.0), "for: 0s given, expected more than 0s and at most 366d"),
        (order(K.PAUSE, for_s=float("inf")), "for: infs given, expected more than 0s and at most 366d"),
        (order(K.PAUSE, until=NOW), "until: lies in the past; say for how long the order is to stand"),
        (order(K.PAUSE, why="x" * 201), "why: 201 characters, expected 200 at most"),
        (order(K.PAUSE, why="a\nb"), "why: has a control character or a line break, expected one line of plain text"),
        (replace(order(K.PAUSE), by=" "), "by: missing; say who gives the order"),
        (
            order(K.DRAIN, "gone"),
            "there is no machine 'gone'; `autoscaler status` shows their ids, and PROVIDER/ID will do",
        ),
        (order(K.RELEASE, "mock/m-9"), "mock/m-9 is not ours and is left alone; `autoscaler adopt` makes it ours"),
        (order(K.DRAIN, "a", lose_jobs=True), "lose_jobs: only a release may lose jobs, not a drain"),
        (order(K.EVACUATE, "mok"), "there is no provider 'mok'; providers: mock, other"),
        (order(K.EVACUATE), "provider: missing; providers: mock, other"),
        (order(K.ADOPT, "m-9", pool="images"), "'m-9' names no machine of an account; expected PROVIDER/ID"),
        (order(K.ADOPT, "mock/m-9"), "pool: missing; pools: images"),
        (order(K.ADOPT, "mock/m-8", pool="images"), "mock listed no machine m-8 of this account 0s ago"),
        (order(K.ADOPT, "mock/m-a", pool="images"), "mock/m-a is ours already: a of images"),
        (order(K.ADOPT, "other/1", pool="images"), "other cannot be listed now (timeout)"),
    ],
)
def test_what_cannot_be_ordered_is_said_in_one_line(given: Order, problem: str) -> None:
    told, *_ = problems(given, KNOWN)
    assert told.startswith(problem)


@pytest.mark.parametrize(
    "given",
    [
        order(K.PAUSE),
        order(K.FLOOR, "images", count=2, for_s=60.0),
        order(K.CEILING, count=0),
        order(K.DRAIN, "a"),
        order(K.RELEASE, "mock/m-a", lose_jobs=True),
        order(K.EVACUATE, "mock"),
        order(K.ADOPT, "mock/m-9", pool="images"),
    ],
)
def test_what_can_be_ordered_has_no_problem(given: Order) -> None:
    assert problems(given, KNOWN) == []


def test_who_evacuates_the_last_provider_is_warned() -> None:
    assert warnings(order(K.EVACUATE, "mock"), KNOWN) == [
        "images may rent nowhere else: what serves there goes on, and nothing is added"
    ]
    assert not warnings(order(K.EVACUATE, "other"), KNOWN)
    two = replace(KNOWN, pools={"images": pool(placements=(THERE, ELSEWHERE))})
    assert not warnings(order(K.EVACUATE, ELSEWHERE.provider), two)
    left = replace(two, standing=under(order(K.EVACUATE, THERE.provider)))
    assert "nowhere else" in warnings(order(K.EVACUATE, ELSEWHERE.provider), left)[0]


@pytest.mark.parametrize(
    "given",
    [
        order(K.FLOOR, count=1),
        order(K.DRAIN, "a"),
        order(K.EVACUATE, "other"),
        order(K.ADOPT, "mock/m-9", pool="images"),
    ],
)
def test_who_orders_something_while_a_pause_stands_is_told_that_nothing_is_done(given: Order) -> None:
    paused = replace(KNOWN, standing=under(order(K.PAUSE, "images")))
    assert "nothing is done while this stands: pause images by ada" in warnings(given, paused)
    assert not warnings(order(K.PAUSE), paused)


def test_a_ceiling_below_a_floor_that_stands_tells_which_of_them_holds() -> None:
    known = replace(KNOWN, standing=under(order(K.FLOOR, "images", count=2)))
    assert warnings(order(K.CEILING, count=1), known) == ["it goes before what stands already: floor 2 images by ada"]
    assert not warnings(order(K.CEILING, count=2), known)


def test_who_adopts_a_machine_of_another_fleet_is_told_whose_it_is() -> None:
    others = Listing(asked_at=NOW, machines=(remote(provider_id="m-9", label="autoscaler.lab.images.x"),))
    [told] = warnings(order(K.ADOPT, "mock/m-9", pool="images"), replace(KNOWN, listings={"mock": others}))
    assert "the fleet 'lab'" in told


# --- whatever is ordered ----------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")
STOPPED = (P.WARM, P.STOPPING)
MACHINES = st.builds(
    lambda phase, name, **others: machine(name, phase, burn_usd_per_hour=0.02 if phase in STOPPED else 0.8, **others),
    st.sampled_from([phase for phase in Phase if phase is not P.GONE]),
    st.sampled_from(NAMES),
    ordered_at=st.sampled_from([0.0, NOW - 60.0]),
    provider=st.sampled_from(["mock", "other"]),
    ends_at=st.sampled_from([None, NOW + 600.0]),
    races=st.sampled_from([None, *NAMES]),
)
ORDERS = st.one_of(
    st.builds(lambda name, lose: order(K.RELEASE, name, lose_jobs=lose), st.sampled_from(NAMES), st.booleans()),
    st.builds(lambda name: order(K.DRAIN, name), st.sampled_from(NAMES)),
    st.builds(lambda name: order(K.EVACUATE, name), st.sampled_from(["mock", "other"])),
    st.builds(lambda kind, n: order(kind, count=n), st.sampled_from([K.FLOOR, K.CEILING]), st.integers(0, 9)),
)
BUSY = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2))
ENDS = (Action.STOP, Action.RELEASE)


@st.composite
def fleets(draw: st.DrawFn) -> PoolSnapshot:
    fleet = draw(st.lists(MACHINES, max_size=4, unique_by=lambda each: each.id))
    stop = Cap(warn=1.0, stop=draw(st.floats(1.0, 6.0)))
    caps = Limits(hot=Span(0, 6), warm=Span(0, 3), usd_per_hour=stop, usd_per_day=Cap(warn=1e3, stop=1e3))
    unread = draw(st.booleans())
    return snapshot(
        *fleet,
        pool=pool(limits=caps, placements=(THERE, ELSEWHERE)),
        offers=TWO_OFFERS,
        busy=draw(BUSY),
        demand=Unknown("timeout", NOW) if unread else demand(draw(st.integers(0, 9))),
        orders=under(*draw(st.lists(ORDERS, max_size=4))),
    )


def follow(seen: PoolSnapshot, wanted: int) -> tuple[tuple[Command, ...], Decision]:
    return plan(seen, guarded(wanted, seen), NOW)


def may_hold_a_job(there: Instance, seen: PoolSnapshot) -> bool:
    """Known to, or in a phase in which nobody would know; one that is stopped does not, whatever its worker said."""
    silent = there.phase in (P.HOT, P.DRAINING) or (there.phase is P.BOOTING and not there.ordered_at)
    return there.phase is not P.WARM and seen.busy.get(there.id, 1 if silent else 0) > 0


@given(fleets(), st.integers(0, 6))
def test_no_order_ends_a_machine_that_may_hold_a_job_unless_its_jobs_are_given_up(
    seen: PoolSnapshot, wanted: int
) -> None:
    by_id = {each.id: each for each in seen.instances}
    given_up = {
        each.id for each in seen.instances for order in seen.orders.standing if order.lose_jobs and order.is_about(each)
    }
    for command in follow(seen, wanted)[0]:
        if command.action in ENDS and command.instance not in given_up and "came up first" not in command.reason:
            assert not may_hold_a_job(by_id[str(command.instance)], seen), command


@given(fleets(), st.integers(0, 6))
def test_no_order_lets_more_run_than_the_limits_and_caps_alone(seen: PoolSnapshot, wanted: int) -> None:
    free = replace(seen, orders=under())
    assert guarded(wanted, seen).ceiling <= guarded(wanted, free).ceiling
    commands, decision = follow(seen, wanted)
    started = [command for command in commands if command.action in (Action.RENT, Action.RESUME, Action.UNDRAIN)]
    if not started:
        return
    assert seen.up + len(started) <= decision.ceiling
    again = {command.instance for command in started}
    bills = [each.usd_per_hour for each in seen.instances if each.phase not in STOPPED or each.id in again]
    rented = [command.offer.usd_per_hour for command in started if command.offer]
    cap = seen.pool.limits.usd_per_hour
    assert cap is not None
    assert sum(bills) + sum(rented) <= cap.stop + 1e-6


@given(fleets(), st.integers(0, 6))
def test_a_pause_wins_over_everything(seen: PoolSnapshot, wanted: int) -> None:
    paused = replace(seen, orders=under(*seen.orders.standing, order(K.PAUSE)))
    assert follow(paused, wanted)[0] == ()


@given(fleets(), st.integers(0, 6))
def test_no_machine_is_told_two_things_at_once(seen: PoolSnapshot, wanted: int) -> None:
    told = [command.instance for command in follow(seen, wanted)[0] if command.instance]
    assert len(told) == len(set(told))


@pytest.mark.parametrize(
    ("given", "pool", "machine_id"),
    [
        (order(K.FLOOR, "images", count=1), "images", ""),
        (order(K.ADOPT, "mock/m-9", pool="images"), "images", ""),
        (order(K.DRAIN, "a"), "", "a"),
        (order(K.EVACUATE, "mock"), "", ""),
    ],
)
def test_the_journal_files_an_order_under_its_pool_or_its_machine(given: Order, pool: str, machine_id: str) -> None:
    entry = order_entry(given, "given", NOW)
    assert (entry.pool, entry.instance) == (pool, machine_id)
