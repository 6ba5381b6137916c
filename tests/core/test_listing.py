"""A listing as the loops of several pools see it."""

from __future__ import annotations

from autoscaler.core.evidence import Evidence, index
from autoscaler.core.instance import make_label
from autoscaler.core.market import Listing, Status
from autoscaler.core.unit import WHOLE, Unit, units_of
from tests.support.build import FLEET, NOW, remote

LISTING = Listing(
    asked_at=NOW,
    machines=tuple(
        remote(Status.RUNNING, provider_id=name, label=label)
        for name, label in {
            "of-a": make_label(FLEET, "a", "t1"),
            "of-b": make_label(FLEET, "b", "t2"),
            "of-no-pool": make_label(FLEET, "gone", "t3"),
            "of-another-fleet": make_label("other", "a", "t4"),
            "without": "",
        }.items()
    ),
)


def seen(unit: Unit) -> set[str]:
    by_id, _ = index(Evidence(now=NOW, fleet=FLEET, pools={}, listings={"mock": LISTING}, unit=unit))
    return {provider_id for _, provider_id in by_id}


def test_each_pool_sees_its_own_machines_and_those_without_our_label_which_it_may_have_adopted() -> None:
    first, second = units_of(("a", "b"))
    assert seen(first) == {"of-a", "of-no-pool", "of-another-fleet", "without"}
    assert seen(second) == {"of-b", "of-another-fleet", "without"}
    assert seen(WHOLE) == {each.provider_id for each in LISTING.machines}


def test_a_listing_is_sorted_once_however_many_ask() -> None:
    assert LISTING.by_pool(FLEET) is LISTING.by_pool(FLEET)
    assert LISTING.by_pool("other").keys() == {"a", None}
