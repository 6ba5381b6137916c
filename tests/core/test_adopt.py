"""What a machine that is found by its label becomes: which placement it counts to, and at what price."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.adopt import adopt
from autoscaler.core.evidence import Evidence
from autoscaler.core.instance import Instance, make_label
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Remote, Status
from autoscaler.core.spec import Buy, Placement
from tests.support.build import FLEET, NOW, pool

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
