from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Action
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Offer
from autoscaler.core.plan import plan
from autoscaler.core.settle import begin
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Placement
from autoscaler.core.spot import bid_usd_per_hour, outbid, raises
from autoscaler.core.trouble import Places, held_by
from tests.support.build import NOW, decision, instance, offer, pool, snapshot

SPOT = Placement(provider="mock", buy="spot", max_usd_per_hour=0.50)


def asked(usd: float, host: str = "other", **changes: Any) -> Offer:
    """An offer that is let by bids, of which the least that wins is given."""
    return offer(usd_per_hour=usd, host=host, offer_id=f"o-{host}", **({"buy": "spot", "takes_bids": True} | changes))


def spot_machine(bid: float = 0.40, phase: Phase = Phase.HOT, **changes: Any) -> Instance:
    values: dict[str, Any] = {
        "placement": "mock-spot",
        "buy": "spot",
        "host": "ours",
        "gpu": "RTX 4090",
        "usd_per_hour": bid,
        "burn_usd_per_hour": bid,
    }
    return instance(phase, **(values | changes))


def market(*offers: Offer, machines: tuple[Instance, ...] = (), also_held: tuple[str, ...] = ()) -> PoolSnapshot:
    held = held_by(machines) | {("mock", host) for host in also_held}
    return snapshot(*machines, pool=pool(placements=(SPOT,)), offers={"mock-spot": offers}, places=Places(held=held))


def bids(*offers: Offer, machine: Instance | None = None, also_held: tuple[str, ...] = ()) -> list[float | None]:
    seen = market(*offers, machines=(machine or spot_machine(),), also_held=also_held)
    return [command.bid_usd_per_hour for command in raises(seen, NOW)]


# --- a new machine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usd", "margin", "bid"),
    [(0.30, 0.1, 0.33), (0.30, 0.0, 0.30), (0.48, 0.1, 0.50), (0.50, 0.1, 0.50)],
)
def test_a_bid_lies_a_margin_above_the_least_that_wins_and_never_above_the_cap(
    usd: float, margin: float, bid: float
) -> None:
    placement = Placement(provider="mock", buy="spot", max_usd_per_hour=0.50, bid_margin=margin)

    assert bid_usd_per_hour(asked(usd), placement) == pytest.approx(bid)


def test_where_no_bids_are_taken_the_price_is_the_price() -> None:
    assert bid_usd_per_hour(asked(0.30, takes_bids=False), SPOT) == 0.30


def test_a_rent_carries_the_bid_and_reserves_it() -> None:
    [command], _ = plan(market(asked(0.30)), decision(1), NOW)

    assert command.offer is not None
    assert command.offer.usd_per_hour == pytest.approx(0.33)
    assert "at 0.330 USD/h" in command.reason


# --- a running one ----------------------------------------------------------------------------------------------------


def test_a_bid_that_the_market_has_overtaken_is_raised_to_the_market_and_the_margin() -> None:
    [command] = raises(market(asked(0.42), machines=(spot_machine(0.40),)), NOW)

    assert command.action is Action.SET_BID
    assert command.bid_usd_per_hour == pytest.approx(0.462)
    assert command.reason == "the market asks 0.420 USD/h elsewhere, its bid is 0.400: bid 0.462"


def test_a_bid_is_raised_to_the_cap_and_no_further() -> None:
    assert bids(asked(0.49)) == [0.50]
    assert bids(asked(0.60), machine=spot_machine(0.50)) == []


def test_a_bid_that_still_wins_elsewhere_stays() -> None:
    assert bids(asked(0.39)) == []


def test_the_lowest_price_of_the_market_counts_not_one_dear_host() -> None:
    assert bids(asked(0.39, "a"), asked(0.49, "b")) == []


def test_the_echo_of_our_own_bids_raises_nothing() -> None:
    assert bids(asked(0.45, "ours")) == []
    assert bids(asked(0.45, "of-another-pool"), also_held=("of-another-pool",)) == []


def test_only_spot_machines_that_run_on_bids_are_bid_for() -> None:
    assert bids(asked(0.42), machine=spot_machine(buy="on_demand")) == []
    assert bids(asked(0.42, takes_bids=False)) == []
    assert bids(asked(0.42), machine=spot_machine(phase=Phase.DRAINING)) == []
    assert bids(asked(0.42), machine=spot_machine(phase=Phase.WARM)) == []
    assert bids(asked(0.42, gpu="RTX 3090")) == []


def test_a_bid_is_not_raised_again_before_the_listing_can_show_it() -> None:
    assert bids(asked(0.42), machine=spot_machine(called_at=NOW - 599.0)) == []
    assert len(bids(asked(0.42), machine=spot_machine(called_at=NOW - 600.0))) == 1


def test_a_raise_that_the_listing_does_not_show_is_tried_again() -> None:
    unchanged = spot_machine(usd_per_hour=0.462, burn_usd_per_hour=0.40)

    assert bids(asked(0.42), machine=unchanged) == [pytest.approx(0.462)]


def test_a_raise_reserves_the_new_price_before_the_call_and_changes_no_phase() -> None:
    machine = spot_machine(0.40)
    [command] = raises(market(asked(0.42), machines=(machine,)), NOW)

    record = begin(command, machine, NOW)

    assert (record.phase, record.phase_since) == (machine.phase, machine.phase_since)
    assert record.usd_per_hour == pytest.approx(0.462)
    assert record.called_at == NOW


@given(st.lists(st.floats(0.05, 0.6), min_size=1, max_size=6), st.lists(st.floats(0.05, 0.5), min_size=1, max_size=4))
def test_two_pools_that_hear_each_others_echo_never_climb_above_the_market(
    floors: list[float], own: list[float]
) -> None:
    others = [asked(usd, f"free{n}") for n, usd in enumerate(floors)]
    machines = [spot_machine(bid, id=f"i{n}", host=f"ours{n}") for n, bid in enumerate(own)]
    highest = max([*own, min(floors) * 1.1 + 1e-9])

    for minute in range(6):
        echo = [asked(machine.usd_per_hour, machine.host) for machine in machines]
        seen = market(*others, *echo, machines=tuple(machines))
        now = NOW + minute * 3600.0
        raised = {c.instance: c.bid_usd_per_hour for c in raises(seen, now)}
        machines = [
            spot_machine(raised.get(m.id) or m.usd_per_hour, id=m.id, host=m.host, called_at=now) for m in machines
        ]

    assert all(machine.usd_per_hour <= highest for machine in machines)


# --- a stopped one ----------------------------------------------------------------------------------------------------


def test_a_standby_whose_host_asks_more_than_its_bid_is_not_resumed_and_another_is() -> None:
    lost = spot_machine(0.40, Phase.WARM, id="lost", phase_since=NOW - 10.0)
    good = spot_machine(0.40, Phase.WARM, id="good", host="quiet", phase_since=NOW - 9000.0)
    seen = market(asked(0.45, "ours"), machines=(lost, good))

    commands, told = plan(seen, decision(1), NOW)

    assert [(c.action, c.instance) for c in commands] == [(Action.RESUME, "good")]
    assert any("lost would be outbid: the market asks 0.450 USD/h, its bid is 0.400" in r.text for r in told.why_not)


def test_a_standby_is_certainly_outbid_only_where_its_own_host_says_so() -> None:
    def lost(*offers: Offer) -> dict[str, float]:
        return outbid(market(*offers, machines=(spot_machine(0.40, Phase.WARM),)))

    assert lost(asked(0.45, "ours")) == {"aaaa": 0.45}
    assert lost(asked(0.45, "ours"), asked(0.39, "ours")) == {}
    assert lost(asked(0.40, "ours")) == {}
    assert lost(asked(0.45, "elsewhere")) == {}
    assert lost(asked(0.45, "ours", takes_bids=False)) == {}


def test_no_bid_is_raised_where_the_bid_of_a_running_machine_cannot_be_changed() -> None:
    seen = market(asked(0.45), machines=(spot_machine(0.40),))
    assert raises(seen, NOW)
    assert not raises(replace(seen, rebids=frozenset()), NOW)


def test_a_machine_that_boots_and_is_billed_for_its_disk_alone_is_not_overtaken() -> None:
    booting = spot_machine(0.40, Phase.BOOTING, burn_usd_per_hour=0.02)
    assert bids(asked(0.30), machine=booting) == []
    assert bids(asked(0.45), machine=booting) == [pytest.approx(0.495)]
