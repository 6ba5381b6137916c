"""Guards, orders, races, bids, ends of contracts and bad signals together: what must hold whatever comes at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Action, Decision
from autoscaler.core.demand import Unknown
from autoscaler.core.guards import guard
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.orders import Order, OrderKind, Orders
from autoscaler.core.plan import plan
from autoscaler.core.settle import CALLED_AT_ONCE, begin, owed
from autoscaler.core.signal import Fall, Signal
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Cap, Limits, Pace, Placement
from autoscaler.core.units import Span
from tests.support.build import NOW, demand, instance, offer, pool, snapshot

P, K = Phase, OrderKind
LABELS = ("mock-spot", "other-on-demand")
PLACES = (
    Placement(provider="mock", buy="spot", max_usd_per_hour=2.0),
    Placement(provider="other", max_usd_per_hour=2.0),
)
MOST = 5
LIMITS = Limits(hot=Span(0, MOST), warm=Span(0, 2), on_demand=1, usd_per_day=Cap(warn=20.0, stop=30.0))
FALL = Fall(at=NOW - 10.0, within_s=10.0, before=1000, after=0, most=30, slots=3)


@st.composite
def machines(draw: st.DrawFn) -> Instance:
    name = draw(st.sampled_from("abcdefgh"))
    spot, phase = draw(st.booleans()), draw(st.sampled_from(sorted(set(P) - {P.GONE})))
    age_s = draw(st.sampled_from([5.0, 400.0, 2500.0, 90_000.0]))
    values: dict[str, Any] = {
        "id": name,
        "provider": "mock" if spot else "other",
        "placement": LABELS[0] if spot else LABELS[1],
        "provider_id": None if phase is P.PLANNED else f"m-{name}",
        "buy": "spot" if spot else "on_demand",
        "gpu": "RTX 4090",
        "host": f"h-{name}",
        "usd_per_hour": draw(st.sampled_from([0.2, 0.8])),
        "phase_since": NOW - age_s,
        "created_at": NOW - age_s - draw(st.sampled_from([0.0, 500.0])),
        "ordered_at": draw(st.sampled_from([0.0, NOW - age_s])),
        "resumed": draw(st.booleans()),
        "races": draw(st.sampled_from([None, *"abcdefgh"])),
        "ailment": draw(st.sampled_from(["", "silent"])),
        "ends_at": draw(st.sampled_from([None, NOW + 600.0, NOW + 3000.0])),
        "refusals": draw(st.integers(0, 4)),
    }
    return instance(phase, **values)


given_orders = st.lists(
    st.one_of(
        st.builds(
            Order, kind=st.sampled_from([K.FLOOR, K.CEILING]), count=st.integers(0, 9), by=st.just("a"), at=st.just(NOW)
        ),
        st.builds(
            Order,
            kind=st.just(K.EVACUATE),
            subject=st.sampled_from(["mock", "other"]),
            by=st.just("a"),
            at=st.just(NOW),
        ),
        st.builds(Order, kind=st.just(K.DRAIN), subject=st.sampled_from("abcdefgh"), by=st.just("a"), at=st.just(NOW)),
        st.builds(
            Order,
            kind=st.just(K.RELEASE),
            subject=st.sampled_from("abcdefgh"),
            lose_jobs=st.booleans(),
            by=st.just("a"),
            at=st.just(NOW),
        ),
    ),
    max_size=4,
)


@st.composite
def worlds(draw: st.DrawFn) -> PoolSnapshot:
    fleet = {machine.id: machine for machine in draw(st.lists(machines(), max_size=8))}
    busy = {name: draw(st.integers(0, 1)) for name in fleet if draw(st.booleans())}
    asked = draw(st.sampled_from([0.3, 1.5]))
    on_demand = [offer(provider="other", offer_id=f"o{n}", host=f"o{n}") for n in range(9)]
    bids = [offer(offer_id=f"s{n}", host=f"s{n}", buy="spot", usd_per_hour=asked, takes_bids=True) for n in range(9)]
    return snapshot(
        *fleet.values(),
        pool=pool(limits=LIMITS, placements=PLACES, pace=Pace(up=draw(st.sampled_from([None, 2])), down=1)),
        busy=busy,
        demand=draw(
            st.sampled_from([demand(0), demand(0, in_flight=2), demand(40, paused=True), Unknown("gone", NOW)])
        ),
        offers={LABELS[0]: tuple(bids), LABELS[1]: tuple(on_demand)},
        rebids=frozenset({"mock"}),
        orders=Orders(standing=tuple({order.name: order for order in draw(given_orders)}.values())),
        signal=Signal(failures=3, wanted=draw(st.integers(0, 5)), fall=draw(st.sampled_from([None, FALL]))),
        running_for_s=draw(st.sampled_from([10.0, 1e6])),
        spent_today_usd=draw(st.sampled_from([0.0, 25.0, 40.0])),
    )


@given(worlds(), st.integers(0, 8), st.integers(0, 3))
def test_no_machine_has_two_calls_and_no_job_is_cut_off_and_no_limit_is_passed(
    seen: PoolSnapshot, hot: int, warm: int
) -> None:
    decision = guard(Decision(hot=hot, warm=warm), seen, 1800.0, NOW)
    commands, _ = plan(seen, decision, NOW)

    records = {record.id: record for record in seen.instances}
    about = [command for command in commands if command.instance and command.action is not Action.SET_BID]
    assert len({command.instance for command in about}) == len(about)
    calls = [command.instance for command in commands if command.action in CALLED_AT_ONCE and command.instance]
    for command in commands:
        if command.instance:
            records[command.instance] = begin(command, records[command.instance], NOW)  # fits the phase
    protected = seen.orders.protected(seen.busy, records)
    due = owed(records.values(), frozenset(), protected, NOW)
    calls += [str(command.instance) for command in due]
    assert len(set(calls)) == len(calls)

    given_up = {order.subject for order in seen.orders.standing if order.lose_jobs}
    for machine in seen.instances:
        if machine.phase in (P.HOT, P.DRAINING) and seen.busy.get(machine.id, 1) and machine.id not in given_up:
            assert records[machine.id].phase in (P.HOT, P.DRAINING), "it may hold a job"
    started = sum(command.action in (Action.RENT, Action.RESUME, Action.UNDRAIN) for command in commands)
    assert started <= max(0, min(MOST, decision.ceiling) - seen.up), "replacements, races and standbys too"
    if seen.pool.pace.up is not None:
        ordered = sum(NOW - machine.ordered_at < 600.0 for machine in seen.instances)
        anew = sum(command.action in (Action.RENT, Action.RESUME) for command in commands)
        assert anew <= max(0, 2 - ordered)


@given(worlds(), st.integers(0, 8))
def test_while_a_signal_is_bad_only_money_limits_contracts_and_orders_take_machines_away(
    seen: PoolSnapshot, hot: int
) -> None:
    blind = replace(seen, demand=Unknown("gone", NOW), orders=Orders(), spent_today_usd=0.0)
    fleet = tuple(replace(machine, ends_at=None) for machine in blind.instances)
    blind = replace(blind, instances=fleet)
    decision = guard(Decision(hot=hot, warm=0), blind, 1800.0, NOW)
    commands, _ = plan(blind, decision, NOW)

    drained = sum(command.action is Action.DRAIN for command in commands)
    assert drained <= max(0, len(blind.in_phase(P.HOT)) - decision.ceiling)
