"""What a machine that is found by its label becomes: which placement it counts to, and at what price."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.adopt import adopt
from autoscaler.core.evidence import Evidence
from autoscaler.core.instance import Instance, make_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Remote, Status
from autoscaler.core.orders import Order, OrderKind, Orders
from autoscaler.core.spec import Buy, Placement
from autoscaler.core.unit import units_of
from tests.support.build import FLEET, NOW, instance, pool

DEAR = Placement(provider="mock", max_usd_per_hour=0.9)
SPOT = Placement(provider="mock", buy="spot", max_usd_per_hour=0.4)
ELSEWHERE = Placement(provider="other", max_usd_per_hour=2.0)
STOPPED = Remote(provider_id="m-1", label=make_label(FLEET, "images", "aaaa"), status=Status.STOPPED)


def adopted(remote: Remote) -> Instance:
    """The record of a machine without one."""
    pools = {"images": pool(placements=(ELSEWHERE, DEAR, SPOT))}
    (record,) = adopt([(("mock", "m-1"), remote)], {}, Evidence(now=NOW, fleet=FLEET, pools=pools, listings={}))
    return record


@pytest.mark.parametrize(("buy", "label"), [("on_demand", "mock-on-demand"), ("spot", "mock-spot")])
def test_it_counts_to_the_placement_of_its_provider_and_way_of_buying(buy: Buy, label: str) -> None:
    assert adopted(replace(STOPPED, buy=buy)).placement == label


@pytest.mark.parametrize(("buy", "cap"), [("on_demand", 0.9), ("spot", 0.4)])
def test_where_its_price_is_not_told_while_it_is_stopped_it_counts_with_the_most_its_placement_allows(
    buy: Buy, cap: float
) -> None:
    assert adopted(replace(STOPPED, buy=buy)).usd_per_hour == cap
    assert adopted(replace(STOPPED, buy=buy, usd_per_hour=0.3)).usd_per_hour == 0.3


def test_of_a_pool_that_is_gone_there_is_no_placement_and_no_price_but_the_one_told() -> None:
    stranger = replace(STOPPED, label=make_label(FLEET, "former", "aaaa"), usd_per_hour=0.3)
    assert (adopted(stranger).placement, adopted(stranger).usd_per_hour) == ("adopted", 0.3)


def test_of_two_machines_of_one_token_that_are_found_at_once_both_are_known_and_the_second_is_released() -> None:
    evidence = Evidence(now=NOW, fleet=FLEET, pools={"images": pool()}, listings={})
    strays = [(("mock", name), replace(STOPPED, provider_id=name)) for name in ("m-1", "m-2")]

    assert [(each.id, each.phase) for each in adopt(strays, {}, evidence)] == [
        ("aaaa", Phase.WARM),
        ("aaaa-m-2", Phase.RELEASING),
    ]


STRAY = (("mock", "m-2"), replace(STOPPED, provider_id="m-2"))
FOREIGN = (("mock", "m-9"), replace(STOPPED, provider_id="m-9", label="somebody else's"))


def test_a_machine_of_a_token_whose_rent_is_not_answered_yet_is_left_to_the_answer() -> None:
    evidence = Evidence(now=NOW, fleet=FLEET, pools={"images": pool()}, listings={}, calling=frozenset({"aaaa"}))

    assert adopt([STRAY], {"aaaa": instance(Phase.PLANNED, provider_id=None)}, evidence) == []


def test_no_machine_is_adopted_into_a_pool_that_is_gone_where_it_would_be_given_up() -> None:
    into = Order(kind=OrderKind.ADOPT, subject="mock/m-9", pool="images", by="ada", at=NOW)
    for pools, count in (({"images": pool()}, 1), ({"audio": pool(name="audio")}, 0)):
        orders = Orders(standing=(into,))
        evidence = Evidence(now=NOW, fleet=FLEET, pools=pools, listings={}, orders=orders)
        assert len(adopt([FOREIGN], {}, evidence)) == count


def test_a_unit_adopts_no_machine_of_another_units_pool() -> None:
    audio, images = units_of(["audio", "images"])
    for unit, count in ((audio, 0), (images, 1)):
        evidence = Evidence(now=NOW, fleet=FLEET, pools={"images": pool()}, listings={}, unit=unit)
        assert len(adopt([STRAY], {}, evidence)) == count
