from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.decision import Action, Command
from autoscaler.core.history import PlacementHistory
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Offer
from autoscaler.core.more import RENT
from autoscaler.core.offers import Round, choices, usd_per_useful_hour
from autoscaler.core.plan import plan
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Limits, MachineSpec, Placement
from autoscaler.core.trouble import HOST, REGION, STOCK, Places, Trouble
from autoscaler.core.units import Span
from tests.support.build import NOW, decision, instance, offer, pool, snapshot

ON_DEMAND = Placement(provider="mock", max_usd_per_hour=1.0)
SPOT = Placement(provider="mock", buy="spot", max_usd_per_hour=0.5)
OTHER = Placement(provider="other", max_usd_per_hour=1.0)


def on(host: str, usd: float = 0.8, region: str = "US", **changes: Any) -> Offer:
    return offer(offer_id=f"o-{host}", host=host, usd_per_hour=usd, region=region, **changes)


def market(*offers: Offer, placements: tuple[Placement, ...] = (ON_DEMAND,), **changes: Any) -> PoolSnapshot:
    """A snapshot in which each placement has the offers of its provider and way of buying."""
    places = {p.label: tuple(o for o in offers if (o.provider, o.buy) == (p.provider, p.buy)) for p in placements}
    room = {"placements": placements, "limits": Limits(hot=Span(0, 50)), **changes.pop("pool", {})}
    return snapshot(*changes.pop("machines", ()), pool=pool(**room), offers=places, **changes)


def rented(seen: PoolSnapshot, count: int = 1) -> list[str]:
    """The hosts that a pool rents on, in order, when it wants so many machines more."""
    return [c.offer.host for c in rents(seen, count) if c.offer]


def rents(seen: PoolSnapshot, count: int = 1) -> list[Command]:
    commands, _ = plan(seen, decision(seen.up + count, ceiling=50), NOW)
    return [c for c in commands if c.action is Action.RENT]


def why_not(seen: PoolSnapshot) -> str:
    return "; ".join(r.text for r in plan(seen, decision(1), NOW)[1].why_not if r.rule == RENT)


# --- what a useful hour costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usd", "interruptions", "useful"),
    [(0.80, 0.002, 0.876), (0.40, 0.25, 0.487), (0.40, 2.0, 1.000)],
)
def test_the_worked_example_of_a_useful_hour(usd: float, interruptions: float, useful: float) -> None:
    found = usd_per_useful_hour(
        on("h", usd), setup_s=2700.0, interruptions=interruptions, stopped=False, download_gb=0.0
    )

    assert found == pytest.approx(useful, abs=0.0005)


def test_a_machine_that_is_never_interrupted_serves_for_its_whole_stay() -> None:
    found = usd_per_useful_hour(on("h", 0.8), setup_s=3600.0, interruptions=0.0, stopped=False, download_gb=0.0)

    assert found == pytest.approx(0.8 * 9 / 8)


def test_the_disk_of_a_standby_the_traffic_of_its_boot_and_an_unreliable_host_cost_as_well() -> None:
    plain = on("h", 0.8, disk_usd_per_hour=0.1, usd_per_gb=0.02)

    def useful(given: Offer, *, stopped: bool = False, gb: float = 0.0) -> float:
        return usd_per_useful_hour(given, setup_s=3600.0, interruptions=0.0, stopped=stopped, download_gb=gb)

    assert useful(plain, stopped=True) == pytest.approx(useful(plain) + 0.1)
    assert useful(plain, gb=40.0) == pytest.approx(useful(plain) + 40 * 0.02 / 8)
    assert useful(replace(plain, reliability=0.5)) == pytest.approx(2 * useful(plain))


def test_the_cheapest_useful_hour_is_rented_and_the_reason_says_what_it_costs() -> None:
    [command] = rents(market(on("near", 0.80), on("shaky", 0.79, reliability=0.9)))

    assert command.offer is not None
    assert command.offer.host == "near"
    assert command.reason == "1 machine wanted, 0 up: RTX 4090 in US at 0.800 USD/h, 0.896 a useful hour"


def test_traffic_counts_as_far_as_the_image_is_large() -> None:
    offers = (on("free-traffic", 0.82), on("billed-traffic", 0.80, usd_per_gb=0.02))

    assert rented(market(*offers)) == ["billed-traffic"]
    assert rented(market(*offers, pool={"machine": MachineSpec(image="i", gpus=("g",), download_gb=60)})) == [
        "free-traffic"
    ]


def test_a_host_that_was_troubled_of_late_counts_as_dearer_when_it_is_no_longer_avoided() -> None:
    once = Trouble(at=(NOW - 7200.0,))
    offers = (on("troubled", 0.80), on("clean", 0.81))

    assert rented(market(*offers)) == ["troubled"]
    assert rented(market(*offers, places=Places(hosts={("mock", "troubled"): once}))) == ["clean"]


# --- which placement --------------------------------------------------------------------------------------------------

CHEAP_SPOT = on("s", 0.30, buy="spot")
DEAR = on("d", 0.80)


def test_placements_go_in_their_order_unless_cost_is_preferred() -> None:
    placements = (ON_DEMAND, SPOT)

    assert rented(market(CHEAP_SPOT, DEAR, placements=placements)) == ["d"]
    assert rented(market(CHEAP_SPOT, DEAR, placements=placements, pool={"prefer": "cost"})) == ["s"]


def test_spot_that_is_interrupted_all_the_time_is_dearer_than_on_demand() -> None:
    shaky = {SPOT.label: PlacementHistory(hot_h=10.0, interruptions=120.0)}

    assert rented(market(CHEAP_SPOT, DEAR, placements=(SPOT, ON_DEMAND), pool={"prefer": "cost"}, history=shaky)) == [
        "d"
    ]


def test_a_base_is_rented_on_demand_before_any_spot() -> None:
    offers = (*(on(f"s{n}", 0.30, buy="spot") for n in range(4)), *(on(f"d{n}", 0.80) for n in range(4)))
    base = {"limits": Limits(hot=Span(0, 50), on_demand=2)}

    assert rented(market(*offers, placements=(SPOT, ON_DEMAND), pool=base), 4) == ["d0", "d1", "s0", "s1"]


def test_machines_on_demand_that_are_up_or_on_their_way_are_of_the_base() -> None:
    machines = [
        instance(Phase.HOT, id="a", host="x", buy="on_demand"),
        instance(Phase.BOOTING, id="b", host="y", buy="on_demand"),
        instance(Phase.WARM, id="c", host="z", buy="on_demand", retry_at=NOW + 100),
    ]
    base = {"limits": Limits(hot=Span(0, 50), on_demand=2)}

    assert rented(market(CHEAP_SPOT, DEAR, placements=(SPOT, ON_DEMAND), pool=base, machines=machines)) == ["s"]
    assert rented(market(CHEAP_SPOT, DEAR, placements=(SPOT, ON_DEMAND), pool=base, machines=machines[1:])) == ["d"]


def test_spot_serves_where_the_base_cannot_be_had() -> None:
    base = {"limits": Limits(hot=Span(0, 50), on_demand=1)}
    seen = market(CHEAP_SPOT, placements=(SPOT, ON_DEMAND), pool=base)

    assert rented(seen) == ["s"]
    assert "mock-on-demand: no offer" in why_not(seen)


# --- spread -----------------------------------------------------------------------------------------------------------


def at(name: str, host: str, region: str = "US", provider: str = "mock") -> Any:
    return instance(Phase.HOT, id=name, host=host, region=region, provider=provider)


def test_each_host_is_rented_from_once_a_tick() -> None:
    chunks = [on("h-1", 0.70), replace(on("h-1", 0.71), offer_id="o-1b"), on("h-2", 0.9)]

    assert rented(market(*chunks), 3) == ["h-1", "h-2"]


def test_hosts_without_a_name_are_told_apart_by_their_offers() -> None:
    nameless = [replace(on(f"n{n}", 0.7), host="") for n in range(3)]

    assert len(rents(market(*nameless), 3)) == 3


@pytest.mark.parametrize(("other_usd", "chosen"), [(0.87, "other"), (0.89, "held")])
def test_a_host_that_has_all_machines_is_passed_over_for_one_up_to_a_tenth_dearer(
    other_usd: float, chosen: str
) -> None:
    seen = market(on("held", 0.80), on("other", other_usd), machines=[at("a", "held")])

    assert rented(seen) == [chosen]


@pytest.mark.parametrize(("other_usd", "chosen"), [(0.82, "de"), (0.83, "us")])
def test_a_region_that_has_all_machines_is_passed_over_for_one_a_little_dearer(other_usd: float, chosen: str) -> None:
    seen = market(on("us", 0.80), on("de", other_usd, region="DE"), machines=[at("a", "elsewhere")])

    assert rented(seen) == [chosen]


def test_providers_share_the_machines_where_cost_is_preferred() -> None:
    offers = [
        *(on(f"m{n}", 0.80, region="US") for n in range(4)),
        *(replace(on(f"x{n}", 0.801, region="EU"), provider="other") for n in range(4)),
    ]
    seen = market(*offers, placements=(ON_DEMAND, OTHER), pool={"prefer": "cost"}, stoppable=frozenset())

    assert Counter(host[0] for host in rented(seen, 4)) == {"m": 2, "x": 2}


@pytest.mark.parametrize(("other_usd", "chosen"), [(0.81, "x"), (0.82, "m")])
def test_a_provider_that_has_all_machines_is_passed_over_for_one_a_little_dearer(other_usd: float, chosen: str) -> None:
    offers = (on("m", 0.80, region="DE"), replace(on("x", other_usd, region="FR"), provider="other"))
    seen = market(*offers, placements=(ON_DEMAND, OTHER), pool={"prefer": "cost"}, machines=[at("a", "far", "US")])

    assert rented(replace(seen, stoppable=frozenset())) == [chosen]


# --- what is avoided --------------------------------------------------------------------------------------------------

BROKEN = Trouble().failed(NOW - 600.0, "a1: the container exits at once", HOST)


def test_a_bad_host_is_not_rented_and_named() -> None:
    seen = market(on("bad", 0.1), on("good"), places=Places(hosts={("mock", "bad"): BROKEN}))

    assert rented(seen) == ["good"]
    assert why_not(seen) == "mock-on-demand: host bad is avoided for 50m (a1: the container exits at once)"


def test_of_many_bad_hosts_three_are_named() -> None:
    bad = {("mock", f"bad{n}"): BROKEN for n in range(9)}
    seen = market(*(on(f"bad{n}") for n in range(9)), places=Places(hosts=bad))

    assert not rents(seen)
    assert why_not(seen).count("is avoided") == 3
    assert "and 6 more are avoided" in why_not(seen)


SOLD_OUT = Trouble().failed(NOW - 1.0, "no_capacity", STOCK)
EUROPE = "on-demand RTX 4090 in EU-RO-1"


def in_region(name: str, usd: float = 0.8) -> Offer:
    """An offer of a provider that does not name its hosts."""
    return offer(offer_id=name, host="", region=name, usd_per_hour=usd)


def test_what_is_sold_out_in_one_region_is_rented_in_the_next() -> None:
    offers = (in_region("EU-RO-1"), in_region("US-KS-2"))
    seen = market(*offers, places=Places(stocks={("mock", EUROPE): SOLD_OUT}))

    assert [c.offer.region for c in rents(seen) if c.offer] == ["US-KS-2"]
    assert f"{EUROPE} is avoided for 4m 59s (no_capacity)" in why_not(seen)


def test_what_was_never_refused_goes_before_what_was_at_the_same_price_and_not_before_what_is_cheaper() -> None:
    once = replace(SOLD_OUT, at=(NOW - 400.0,), until=NOW - 100.0)
    known = Places(stocks={("mock", EUROPE): once})

    def region(usd: float) -> str:
        [command] = rents(market(in_region("EU-RO-1"), in_region("US-KS-2", usd), places=known))
        assert command.offer is not None
        return command.offer.region

    assert [region(usd) for usd in (0.8, 0.9)] == ["US-KS-2", "EU-RO-1"]


def test_at_one_price_the_region_that_the_provider_lists_first_is_rented_in() -> None:
    for names in (["EU-RO-1", "US-KS-2"], ["US-KS-2", "EU-RO-1"]):
        [command] = rents(market(*map(in_region, names)))
        assert command.offer is not None
        assert command.offer.region == names[0]


def broken_region(at_s: float) -> Trouble:
    trouble = Trouble()
    for n in range(5):
        trouble = trouble.failed(at_s + n, "no_capacity", REGION)
    return trouble


def test_a_region_whose_breaker_is_open_is_not_rented_in_and_it_says_until_when() -> None:
    seen = market(
        on("a"), on("b", 0.9, region="DE"), places=Places(regions={("mock", "US"): broken_region(NOW - 304.0)})
    )

    assert rented(seen) == ["b"]
    assert "region US is avoided for 5m (5 failures in a row, the last: no_capacity)" in why_not(seen)


def test_after_that_one_machine_tries_the_region_again() -> None:
    places = Places(regions={("mock", "US"): broken_region(NOW - 1000.0)})

    assert rented(market(on("a"), on("b"), on("c"), places=places), 3) == ["a"]
    waiting = market(on("a"), places=replace(places, booting=frozenset({("mock", "US")})))
    assert not rents(waiting)
    assert "region US is on trial with the one machine that boots there" in why_not(waiting)


# --- properties -------------------------------------------------------------------------------------------------------

offers_of = st.builds(
    lambda n, host, region, usd, buy, bids: offer(
        offer_id=f"o{n}-{buy}", host=f"h{host}", region=region, usd_per_hour=usd, buy=buy, takes_bids=bids
    ),
    st.integers(0, 999),
    st.integers(0, 12),
    st.sampled_from(["US", "CA", "DE"]),
    st.floats(0.01, 2.0),
    st.sampled_from(["spot", "on_demand"]),
    st.booleans(),
)


@given(
    st.lists(offers_of, max_size=30, unique_by=lambda o: o.offer_id),
    st.integers(0, 10),
    st.tuples(st.integers(0, 3), st.sampled_from(["order", "cost"])),
    st.sets(st.integers(0, 12), max_size=6),
    st.booleans(),
)
def test_never_above_a_cap_never_on_a_bad_host_each_host_once_and_always_the_same(
    offers: list[Offer], count: int, rules: tuple[int, str], bad: set[int], troubled: bool
) -> None:
    placements = (SPOT, ON_DEMAND)
    places = Places(
        hosts={("mock", f"h{n}"): BROKEN for n in bad},
        regions={("mock", "US"): broken_region(NOW - 60.0)} if troubled else {},
    )
    changes: dict[str, Any] = {"prefer": rules[1], "limits": Limits(hot=Span(0, 50), on_demand=rules[0])}
    seen = market(*offers, placements=placements, pool=changes, places=places)
    before = repr(seen)

    commands = rents(seen, count)

    assert commands == rents(seen, count)
    assert repr(seen) == before, "the input was changed"
    assert len(commands) <= count
    taken = [c.offer for c in commands if c.offer]
    caps = {p.label: p.max_usd_per_hour for p in placements}
    for command in commands:
        assert command.offer is not None
        assert command.offer.usd_per_hour <= caps[str(command.placement)]
    assert not {o.host for o in taken} & {f"h{n}" for n in bad}
    assert len({o.host for o in taken}) == len(taken)
    assert not (troubled and any(o.region == "US" for o in taken))


@given(st.lists(offers_of, max_size=30, unique_by=lambda o: o.offer_id), st.integers(0, 12))
def test_who_wants_one_machine_more_gets_the_same_ones_and_another(offers: list[Offer], count: int) -> None:
    seen = market(*(replace(o, buy="on_demand") for o in offers), machines=[at("a", "h1"), at("b", "h2", "DE")])
    among, _ = choices(seen, ON_DEMAND, NOW)

    fewer, more = Round(seen).pick(among, count), Round(seen).pick(among, count + 1)

    assert fewer == more[:count]
    assert len(fewer) == min(count, len({choice.offer.host for choice in among}))


@given(st.lists(st.sampled_from([0.2, 0.4, 0.6, 0.8, 1.0]), max_size=20), st.integers(0, 20))
def test_within_one_region_of_which_nothing_is_held_the_cheapest_are_picked(prices: list[float], count: int) -> None:
    seen = market(*(on(f"h{n}", usd) for n, usd in enumerate(prices)))

    found = [command.offer.usd_per_hour for command in rents(seen, count) if command.offer]

    assert found == sorted(prices)[:count]
