"""What holds for every peer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from autoscaler.config.hints import field_docs
from autoscaler.core.units import Span
from autoscaler.sim.baselines import BASELINES
from autoscaler.sim.baselines.base import PeerMachine
from tests.support.peers import at_work, booting, idle, peer, view

LIMITS = Span(1, 12)
NAMES = sorted(BASELINES)

machines = st.lists(st.sampled_from(["boots", "works", "idle"]), max_size=LIMITS.high)
looks = st.lists(st.tuples(machines, st.integers(0, 40), st.floats(0.0, 1.0)), min_size=1, max_size=8)


def fleet(kinds: Sequence[str], look: int) -> list[PeerMachine]:
    made = []
    for n, kind in enumerate(kinds):
        name, at = f"m{n}", float(n)
        match kind:
            case "boots":
                made.append(booting(name, created_at=at))
            case "works":
                made.append(at_work(name, created_at=at, ready_at=at))
            case _:
                made.append(idle(name, since=look * 10.0, created_at=at))
    return made


@pytest.mark.parametrize("name", NAMES)
def test_its_settings_are_read_like_all_others_and_every_value_of_its_grid_is_one(name: str) -> None:
    baseline = BASELINES[name]
    assert TypeAdapter(baseline.settings).validate_python({}) == baseline.settings()
    documented = field_docs(baseline.settings)
    assert documented.keys() == {each.name for each in fields(baseline.settings)}

    assert baseline.knob in documented
    for value in baseline.grid:
        made = baseline.make(baseline.settings(**{baseline.knob: value}), LIMITS)
        assert made.every_s > 0
        assert made.grace_s > 0


@pytest.mark.parametrize("name", NAMES)
def test_it_says_where_its_formula_was_read(name: str) -> None:
    source = BASELINES[name].source

    assert source.endswith("re-implementation") or name == "static"


@pytest.mark.parametrize("name", NAMES)
@given(looks=looks)
@settings(max_examples=25)
def test_it_stays_within_the_limits_and_names_only_machines_there_are(
    name: str, looks: list[tuple[list[str], int, float]]
) -> None:
    looker = peer(name, LIMITS)
    for look, (kinds, waiting, per_s) in enumerate(looks):
        seen = fleet(kinds, look)
        orders = looker.step(view(look * 400.0, seen, waiting=waiting, oldest_wait_s=10.0 * waiting, per_s=per_s))

        named = orders.end + orders.suspend + orders.resume
        assert len(set(named)) == len(named)
        assert set(named) <= {machine.id for machine in seen}
        if name != "vast-serverless":  # it has limits of its own on stopped and running machines together
            assert len(seen) + orders.rent <= LIMITS.high
        if orders.end:
            assert orders.rent == 0
            assert len(seen) - len(orders.end) >= LIMITS.low


@pytest.mark.parametrize("name", NAMES)
@given(looks=looks)
@settings(max_examples=25)
def test_a_peer_that_kills_no_work_names_no_machine_at_work(
    name: str, looks: list[tuple[list[str], int, float]]
) -> None:
    looker = peer(name, LIMITS)
    for look, (kinds, waiting, per_s) in enumerate(looks):
        seen = fleet(kinds, look)
        orders = looker.step(view(look * 400.0, seen, waiting=waiting, oldest_wait_s=10.0 * waiting, per_s=per_s))

        at_work_now = {machine.id for machine in seen if machine.busy}
        assert not at_work_now.intersection(orders.suspend)
        if looker.grace_s == math.inf and name != "static":  # a fixed number never has too many
            assert not at_work_now.intersection(orders.end)


@pytest.mark.parametrize("name", NAMES)
def test_it_has_its_fewest_machines_within_ten_minutes_of_nothing(name: str) -> None:
    looker = peer(name, Span(2, 12))
    now, rented = 0.0, 0
    while now < 600.0 and rented < 2:
        rented += looker.step(view(now, [booting(f"b{n}") for n in range(rented)])).rent
        now += looker.every_s

    assert rented >= 2
