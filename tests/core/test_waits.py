from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.demand import Demand, InFlightKind, TierDemand
from autoscaler.core.history import Estimate, PlacementHistory
from autoscaler.core.lifecycle import Phase
from autoscaler.core.load import Load, TierLoad
from autoscaler.core.snapshot import PoolSnapshot
from autoscaler.core.spec import Tier
from autoscaler.core.waits import Supply, expected_waits, service_times, supply
from tests.support.build import NOW, instance, pool, snapshot

P = Phase
TIERS = (Tier(name="pro"), Tier(name="free"))
HISTORY = {"mock-on-demand": PlacementHistory(setup=Estimate(2700.0, 0.0, 9), resume=Estimate(210.0, 0.0, 9))}


def seen(*fleet: Any, pro_per_s: float = 0.0, **changes: Any) -> PoolSnapshot:
    known = {
        "pro": TierLoad(per_s=pro_per_s, jobs=100.0, work_s=2000.0),
        "free": TierLoad(jobs=100.0, work_s=2000.0),
    }
    values = {"pool": pool(tiers=TIERS), "load": Load(tiers=known), "history": HISTORY}
    return snapshot(*fleet, **(values | changes))


def queue(pro: int = 0, free: int = 0, in_flight: int = 1) -> Demand:
    tiers = (TierDemand(tier="pro", waiting=pro), TierDemand(tier="free", waiting=free))
    return Demand(taken_at=NOW, tiers=tiers, in_flight=in_flight)


def waits(asked: PoolSnapshot, demand: Demand) -> dict[str, float]:
    return expected_waits(asked, demand, NOW)


def test_the_worked_example() -> None:
    asked = seen(instance(P.HOT))

    assert waits(asked, queue(3, 6)) == {"pro": 70.0, "free": 190.0}
    assert waits(seen(instance(P.HOT), pro_per_s=1 / 40), queue(3, 6)) == {"pro": 70.0, "free": 380.0}


def test_with_a_free_slot_nobody_waits() -> None:
    assert waits(seen(instance(P.HOT)), queue(in_flight=0)) == {"pro": 0.0, "free": 0.0}


def test_with_no_machine_and_none_to_come_the_wait_has_no_end() -> None:
    assert waits(seen(instance(P.WARM)), queue(1)) == {"pro": math.inf, "free": math.inf}


def test_a_machine_on_its_way_counts_from_when_it_is_up() -> None:
    resuming = instance(P.RESUMING, ordered_at=NOW - 60.0)
    booting = instance(P.BOOTING, id="b", ordered_at=NOW - 60.0)

    assert supply(seen(booting, resuming), NOW) == [Supply(150.0, 1), Supply(2640.0, 1)]
    assert waits(seen(resuming), queue(1, in_flight=0))["pro"] == 150.0 + 20.0 + 10.0


def test_a_machine_that_is_late_is_taken_to_come_soon() -> None:
    assert supply(seen(instance(P.BOOTING, resumed=True, ordered_at=NOW - 999.0)), NOW) == [Supply(21.0, 1)]


def test_a_second_machine_takes_its_part_of_the_queue_when_it_is_up() -> None:
    fleet = (instance(P.HOT, id="a"), instance(P.RESUMING, id="b", ordered_at=NOW - 110.0))

    # 100 s at one slot, and the rest of 1,210 s of work at two.
    assert waits(seen(*fleet), queue(60))["pro"] == pytest.approx(100.0 + 1110.0 / 2)


def test_a_tiers_weight_stands_until_its_own_time_is_known() -> None:
    tiers = (Tier(name="exec"), Tier(name="prompt", weight=20.0))

    assert service_times(seen(pool=pool(tiers=tiers), load=Load()), 0.1) == {"exec": 0.1, "prompt": 2.0}


def test_a_tier_of_which_nothing_is_known_takes_after_the_others() -> None:
    tiers = (Tier(name="exec", weight=2.0), Tier(name="prompt", weight=20.0))
    known = Load(tiers={"exec": TierLoad(jobs=100.0, work_s=600.0)})

    assert service_times(seen(pool=pool(tiers=tiers), load=known), 0.1) == {"exec": 6.0, "prompt": 60.0}


@given(pro=st.integers(0, 200), free=st.integers(0, 200), hot=st.integers(1, 8), more=st.integers(0, 50))
def test_a_longer_queue_and_fewer_machines_never_shorten_a_wait(pro: int, free: int, hot: int, more: int) -> None:
    def of(machines: int, demand: Demand) -> dict[str, float]:
        return waits(seen(*(instance(P.HOT, id=f"i{n}") for n in range(machines))), demand)

    short, long = of(hot, queue(pro, free, hot)), of(hot, queue(pro + more, free, hot))
    wider = of(hot + 1, queue(pro, free, hot))

    for tier in ("pro", "free"):
        assert long[tier] >= short[tier] >= wider[tier] >= 0.0


def test_jobs_that_a_worker_took_and_has_no_slot_for_are_ahead_of_a_new_one() -> None:
    prefetched = replace(queue(in_flight=4), in_flight_kind=InFlightKind.DELIVERED)

    # One slot: three jobs of 20 s after the one in hand, which is half done.
    assert waits(seen(instance(), demand=prefetched), prefetched)["pro"] == 70.0
    assert waits(seen(instance(), demand=queue(in_flight=4)), queue(in_flight=4))["pro"] == 10.0
