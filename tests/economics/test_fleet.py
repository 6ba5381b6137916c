"""What machines cost and can do."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.units import DurationRange
from autoscaler.economics import fleet
from autoscaler.economics.fleet import Kept, at_load, tenants
from autoscaler.economics.interval import exactly
from autoscaler.economics.plan import BusinessPlan, Load, Machine, Scenario
from autoscaler.economics.tables import figures_of

amounts = st.floats(0.01, 1e6)


def scenario(usd: float, jobs: float) -> Kept:
    return Kept(exactly(usd), exactly(jobs), exactly(jobs))


@given(amounts, amounts, st.floats(0.001, 1.0), st.floats(0.001, 1.0))
def test_a_job_costs_less_the_busier_the_machines_are(usd: float, jobs: float, one: float, other: float) -> None:
    idle, busy = sorted((one, other))
    dear, cheap = (at_load(scenario(usd, jobs), Load("", share=share)) for share in (idle, busy))
    assert dear is not None
    assert cheap is not None
    assert dear.usd_per_job is not None
    assert cheap.usd_per_job is not None
    assert cheap.usd_per_job.low <= dear.usd_per_job.low * (1 + 1e-9)


@given(st.floats(1.0, 1e6), st.floats(1.0, 1e6))
def test_there_are_as_many_scenarios_as_the_jobs_need_and_no_more(capacity: float, jobs: float) -> None:
    found = at_load(scenario(100.0, capacity), Load("", jobs=jobs))
    assert found is not None
    times = found.times.low
    assert times * capacity >= jobs * (1 - 1e-6)
    assert times == 1 or (times - 1) * capacity < jobs


@given(st.floats(0.5, 4096.0), st.floats(0.01, 64.0), st.floats(0.0, 64.0))
def test_tenants_never_need_more_memory_than_there_is(ram: float, tenant: float, reserved: float) -> None:
    machine = Machine(usd_per_hour=exactly(1.0), ram_gb=ram, reserved_ram_gb=min(reserved, ram / 2))
    count = tenants(machine, tenant)
    free = ram - min(reserved, ram / 2)
    assert count * tenant <= free
    assert (count + 1) * tenant > free * (1 - 1e-9)


def test_no_load_has_no_cost_per_job_and_that_is_said() -> None:
    plan = BusinessPlan(
        scenarios={"small": Scenario(usd_per_month=exactly(290.0), jobs_per_month=exactly(1000.0))},
        loads=(Load("0%", share=0.0), Load("0", jobs=0.0)),
    )
    table = fleet.loads(plan)
    assert [row.figures[1:] for row in table.rows] == [(exactly(1.0), exactly(290.0), None)] * 2
    assert table.said == tuple(
        f"small at {load} does no jobs: there is no cost per job, its price is paid for nothing" for load in ("0%", "0")
    )


def test_a_scenario_that_can_do_nothing_has_no_cost_per_job() -> None:
    gpu = Machine(usd_per_hour=exactly(0.4), stopped_usd_per_hour=exactly(0.05), jobs_per_hour=exactly(200.0))
    plan = BusinessPlan(
        machines={"gpu": gpu}, scenarios={"asleep": Scenario(machine="gpu", warm=1)}, loads=(Load("50%", share=0.5),)
    )
    figures = figures_of([fleet.scenarios(plan), fleet.loads(plan)])
    assert figures["scenarios.asleep.usd_per_month"][1] == exactly(0.05 * 720)
    assert figures["scenarios.asleep.usd_per_job_full"][1] is None
    assert not any(name.startswith("loads") for name in figures)


def test_jobs_an_hour_follow_from_the_time_of_one_and_the_slots() -> None:
    machine = Machine(usd_per_hour=exactly(1.0), job_time=DurationRange(3.0, 9.0), slots=2)
    assert machine.capacity is not None
    assert [machine.capacity.low, machine.capacity.high] == pytest.approx([800.0, 2400.0])


def test_a_tenant_that_does_not_fit_has_no_cost_and_that_is_said() -> None:
    plan = BusinessPlan(
        machines={"vm": Machine(usd_per_hour=exactly(1.0), ram_gb=4.0)}, tenant_ram_gb={"big": exactly(8.0)}
    )
    table = fleet.packing(plan)
    assert table.rows[0].figures == (exactly(0.0), None)
    assert table.said == ("big may not fit into vm at all: it has no cost per tenant",)


@given(st.integers(1, 100), st.floats(0.1, 1e5))
def test_a_load_of_exactly_some_capacities_needs_that_many(times: int, capacity: float) -> None:
    found = at_load(scenario(1.0, capacity), Load("", jobs=capacity * times))
    assert found is not None
    assert found.times.low == times
    assert math.isclose(found.usd.low, times)
