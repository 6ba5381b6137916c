from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.staffing import Class, erlang_c, late_share, slots_for


@pytest.mark.parametrize(
    ("slots", "load", "waits"),
    [
        # M/M/1: the probability to wait is the load.
        (1, 0.5, 0.5),
        (1, 0.9, 0.9),
        # M/M/2: 2ρ² ÷ (1 + ρ), with ρ = R ÷ 2.
        (2, 1.0, 1.0 / 3.0),
        (2, 1.5, 2 * 0.75**2 / 1.75),
        # Tables of Erlang's delay formula: 5 servers with 3 erlangs, 10 with 7, 10 with 8.
        (5, 3.0, 0.2362),
        (10, 7.0, 0.2217),
        (10, 8.0, 0.4092),
        (20, 15.0, 0.1604),
    ],
)
def test_the_chance_to_wait_is_that_of_the_published_tables(slots: int, load: float, waits: float) -> None:
    assert erlang_c(slots, load) == pytest.approx(waits, abs=5e-5)


@pytest.mark.parametrize(("beta", "waits"), [(0.5, 0.50), (1.0, 0.22), (1.5, 0.085), (2.0, 0.027)])
def test_square_root_staffing_waits_as_halfin_and_whitt_say(beta: float, waits: float) -> None:
    load = 10_000.0
    slots = round(load + beta * math.sqrt(load))

    assert erlang_c(slots, load) == pytest.approx(waits, abs=0.01)


def test_without_work_nobody_waits_and_with_too_much_everybody() -> None:
    assert erlang_c(3, 0.0) == 0.0
    assert erlang_c(3, 3.0) == 1.0


def test_a_single_tier_has_the_exact_tail_of_m_m_n() -> None:
    tier = Class(load=3.0, service_s=20.0, target_s=30.0)

    assert late_share([tier], 0, 5) == pytest.approx(erlang_c(5, 3.0) * math.exp(-(5 - 3.0) * 30.0 / 20.0))


def test_an_urgent_tier_does_not_see_the_work_of_those_below() -> None:
    urgent, heavy = Class(0.1, 20.0, 30.0), Class(1.7, 20.0, 300.0)

    assert late_share([urgent, heavy], 0, 2) < late_share([Class(1.8, 20.0, 30.0)], 0, 2)


def test_a_tier_whose_work_exceeds_the_slots_is_always_late() -> None:
    assert late_share([Class(1.0, 20.0, 30.0), Class(1.0, 20.0, 300.0)], 1, 2) == 1.0


def test_a_long_target_needs_no_margin_and_a_short_one_does() -> None:
    assert slots_for([Class(3.5, 20.0, 300.0)], 0, 0.05) == 4
    assert slots_for([Class(3.5, 20.0, 5.0)], 0, 0.05) > 5


LOADS = st.lists(
    st.builds(Class, st.floats(0.0, 20.0), st.floats(0.5, 600.0), st.floats(1.0, 3600.0)), min_size=1, max_size=4
)


@given(tiers=LOADS, tolerated=st.floats(0.01, 0.5), more=st.floats(0.0, 5.0))
def test_more_work_never_needs_fewer_slots(tiers: list[Class], tolerated: float, more: float) -> None:
    heavier = [Class(tier.load + more, tier.service_s, tier.target_s) for tier in tiers]

    for place in range(len(tiers)):
        slots = slots_for(tiers, place, tolerated)
        assert late_share(tiers, place, slots) <= tolerated
        assert slots_for(heavier, place, tolerated) >= slots
