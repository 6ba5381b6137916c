"""Reserved capacity: dedicated machines for a tier, beyond what lower tiers use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.demand import Demand
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import Phase
from autoscaler.core.plan import plan
from autoscaler.core.reserve import left_over, machines, on_top, set_apart
from autoscaler.core.spec import MachineSpec, Pool, Tier
from tests.support.build import NOW, decision, demand, instance, pool, snapshot


def reserving(enterprise: int, pro: int = 0, *, slots: int = 1) -> Pool:
    tiers = (Tier(name="enterprise", reserve=enterprise), Tier(name="pro", reserve=pro), Tier(name="free"))
    return pool(tiers=tiers, machine=MachineSpec(image="worker:1", gpus=("RTX 4090",), slots=slots))


def hot(*names: str, **changes: Any) -> list[Instance]:
    """HOT machines, oldest first."""
    return [instance(id=name, created_at=NOW - 3600.0 + n, **changes) for n, name in enumerate(names)]


def settled(pool: Pool, instances: list[Instance]) -> list[Instance]:
    """The records once tiers are given out."""
    changed = {record.id: record for record in set_apart(pool, instances)}
    return [changed.get(record.id, record) for record in instances]


def tiers(instances: list[Instance]) -> dict[str, str]:
    return {record.id: record.tier for record in instances if record.tier}


# --- which machines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reserve", "slots", "needed"), [(0, 1, 0), (1, 1, 1), (3, 1, 3), (1, 4, 1), (4, 4, 1), (5, 4, 2)]
)
def test_reserved_slots_come_as_whole_machines(reserve: int, slots: int, needed: int) -> None:
    assert machines(reserving(reserve).tiers, slots) == needed
    assert len(tiers(settled(reserving(reserve, slots=slots), hot("a", "b", "c", "d")))) == needed


def test_enterprise_has_dedicated_capacity_the_oldest_machines_first() -> None:
    assert tiers(settled(reserving(2), hot("a", "b", "c"))) == {"a": "enterprise", "b": "enterprise"}


def test_enterprise_has_dedicated_capacity_if_available_the_last_machine_serves_all() -> None:
    assert tiers(settled(reserving(2), hot("a", "b"))) == {"a": "enterprise"}
    assert tiers(settled(reserving(2), hot("a"))) == {}


def test_the_most_urgent_tier_is_served_first_and_takes_machines_of_a_less_urgent_one() -> None:
    assert tiers(settled(reserving(1, 2), hot("a", "b", "c"))) == {"a": "enterprise", "b": "pro"}
    short = [*hot("a", tier="pro"), instance(id="b", created_at=NOW, tier="pro")]
    assert tiers(settled(reserving(1, 2), short)) == {"a": "enterprise"}


def test_a_machine_keeps_its_tier_while_it_is_hot() -> None:
    before = [*hot("a", "b"), instance(id="c", created_at=NOW, tier="enterprise")]
    assert set_apart(reserving(1), before) == []


def test_the_tier_moves_on_when_its_machine_goes() -> None:
    a, b, c = settled(reserving(1), hot("a", "b", "c"))
    gone = a.moved(Phase.DRAINING, NOW, "drain")
    assert gone.tier is None
    assert tiers(settled(reserving(1), [gone, b, c])) == {"b": "enterprise"}


def test_a_sick_machine_gives_its_tier_to_a_healthy_one() -> None:
    a, b, c = settled(reserving(1), hot("a", "b", "c"))
    assert tiers(settled(reserving(1), [replace(a, ailment="silent"), b, c])) == {"b": "enterprise"}


def test_a_tier_that_is_no_longer_configured_or_reserved_leaves_its_machines_to_all() -> None:
    assert tiers(settled(reserving(0), hot("a", "b", tier="enterprise"))) == {}
    assert tiers(settled(reserving(0), hot("a", "b", tier="gone"))) == {}


def test_machines_that_are_not_hot_are_not_set_apart() -> None:
    others = [instance(phase, id=phase) for phase in Phase if phase is not Phase.HOT]
    assert set_apart(reserving(2), [*others, *hot("a")]) == []


MACHINES = st.lists(
    st.builds(
        lambda phase, age, tier, ailment: (phase, age, tier if phase is Phase.HOT else None, ailment),
        st.sampled_from([Phase.HOT, Phase.HOT, Phase.BOOTING, Phase.WARM]),
        st.integers(0, 9),
        st.none() | st.sampled_from(["enterprise", "pro", "gone"]),
        st.sampled_from(["", "", "silent"]),
    ),
    max_size=8,
)


@given(facts=MACHINES, enterprise=st.integers(0, 3), pro=st.integers(0, 3))
def test_tiers_are_given_out_in_one_go_and_never_all_machines(
    facts: list[tuple[Phase, int, str | None, str]], enterprise: int, pro: int
) -> None:
    asked = reserving(enterprise, pro)
    before = [
        instance(phase, id=f"m{n}", created_at=NOW - age, tier=tier, ailment=ailment)
        for n, (phase, age, tier, ailment) in enumerate(facts)
    ]
    after = settled(asked, before)
    up = [record for record in after if record.phase is Phase.HOT]
    given_out = tiers(after)
    assert set_apart(asked, after) == [], "nothing is left to change"
    assert len(given_out) == min(enterprise + pro, max(0, len(up) - 1))
    assert list(given_out.values()).count("enterprise") == min(enterprise, max(0, len(up) - 1))
    assert all(record.phase is Phase.HOT for record in after if record.tier)


# --- what lower tiers may count on ------------------------------------------------------------------------------------


def test_policies_see_neither_the_machines_set_apart_nor_the_jobs_on_them() -> None:
    seen = snapshot(
        *hot("a", tier="enterprise"),
        *hot("b"),
        pool=reserving(1),
        demand=demand(in_flight=3),
        busy={"a": 1, "b": 1},
    )
    left = left_over(seen)
    assert [record.id for record in left.instances] == ["b"]
    assert isinstance(left.demand, Demand)
    assert left.demand.in_flight == 2
    assert left.up == 1


def test_with_nothing_set_apart_policies_see_it_all() -> None:
    seen = snapshot(*hot("a", "b"), pool=reserving(1))
    assert left_over(seen) is seen


@pytest.mark.parametrize(("needed", "ceiling", "hot_wanted"), [(1, 6, 3), (0, 6, 2), (5, 6, 6), (6, 6, 6), (3, 3, 3)])
def test_reserved_slots_are_hot_beyond_what_lower_tiers_use(needed: int, ceiling: int, hot_wanted: int) -> None:
    assert on_top(decision(needed, ceiling=ceiling), reserving(2)).hot == hot_wanted


def test_what_is_added_is_explained() -> None:
    added = on_top(decision(1), reserving(1, 2))
    assert [(reason.rule, reason.text) for reason in added.why] == [
        ("reserve", "1 needed, and 3 machines for reserved slots (1 of enterprise, 2 of pro)")
    ]
    assert on_top(decision(1), reserving(0)) == decision(1)


def test_reserved_machines_go_after_all_others() -> None:
    primary, apart, dear = hot("a", "b", "c")
    seen = snapshot(
        replace(primary, tier="enterprise", usd_per_hour=0.01),
        replace(apart, tier="enterprise", usd_per_hour=9.0),
        replace(dear, usd_per_hour=0.1),
        pool=reserving(2),
        busy={"a": 0, "b": 0, "c": 1},
    )
    drains, _ = plan(seen, decision(2), NOW)
    assert [command.instance for command in drains] == ["c"]
    drains, _ = plan(seen, decision(1), NOW)
    assert [command.instance for command in drains] == ["c", "b"]
