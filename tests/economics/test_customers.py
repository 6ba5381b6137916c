"""Margins of plans, customers to break even, and cost by scale."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoscaler.economics import customers
from autoscaler.economics.customers import break_even_jobs, break_even_users, fleets_needed
from autoscaler.economics.interval import Interval, exactly
from autoscaler.economics.plan import BusinessPlan, Load, Plan, Scale, Scenario, Serving
from autoscaler.economics.tables import Table, figures_of

money = st.floats(0.01, 1000.0)


def business(offers: dict[str, Plan], **others: object) -> BusinessPlan:
    """On a scenario that does 100,000 jobs for 1,000 USD, half used: 0.02 USD a job."""
    return BusinessPlan(
        scenarios={"fleet": Scenario(usd_per_month=exactly(1000.0), jobs_per_month=exactly(100_000.0))},
        serving=Serving(scenario="fleet", load=Load("50%", share=0.5)),
        plans=offers,
        **others,  # type: ignore[arg-type]
    )


def figure(table: Table, name: str) -> Interval | None:
    return figures_of([table])[name][1]


@given(money, money)
def test_the_margin_of_a_plan_rises_with_its_price(price: float, more: float) -> None:
    low, high = (
        figure(customers.margins(business({"p": Plan(usd_per_month=usd, included_jobs=100)})), "plans.p.margin")
        for usd in (price, price + more)
    )
    assert low is not None
    assert high is not None
    assert low.low <= high.low


def test_a_plan_that_loses_is_told_what_and_where_it_would_not() -> None:
    table = customers.margins(business({"cheap": Plan(usd_per_month=5, included_jobs=500, users=30)}))
    [said] = table.said
    assert said == (
        "cheap loses 5.00 USD a customer, 150.00 USD a month with 30: it breaks even at a price of 10.00 USD, "
        "or at 250 jobs at most instead of 500"
    )


def test_a_plan_that_is_free_has_no_margin_but_a_loss() -> None:
    table = customers.margins(business({"free": Plan(included_jobs=50)}))
    assert figure(table, "plans.free.margin") is None
    assert table.said == ("free loses 1.00 USD a customer: it breaks even at a price of 1.00 USD",)


def test_the_price_that_breaks_even_leaves_what_extra_jobs_pay() -> None:
    offer = Plan(usd_per_month=1, included_jobs=100, usd_per_extra_job=0.01, jobs_per_user=300)
    table = customers.margins(business({"extra": offer}))
    assert "it breaks even at a price of 4.00 USD" in table.said[0]  # 300 × 0.02 − 200 × 0.01


def test_machines_that_do_nothing_leave_plans_without_a_cost_per_job_and_that_is_said() -> None:
    plan = BusinessPlan(
        scenarios={"fleet": Scenario(usd_per_month=exactly(1000.0), jobs_per_month=exactly(1000.0))},
        serving=Serving(scenario="fleet", load=Load("0%", share=0.0)),
        plans={"p": Plan(usd_per_month=5, included_jobs=500, users=1)},
        scales={"s": Scale(users=exactly(10.0))},
    )
    table = customers.margins(plan)
    assert figure(table, "plans.p.margin") is None
    assert table.said == ("fleet at 0% does no jobs, as far as is said: no plan has a cost per job",)
    assert figure(customers.scales(plan), "scales.s.usd_per_user") is None


@given(money, st.floats(0.0, 1000.0), st.floats(0.0, 1.0), st.floats(0.0, 10.0), st.floats(0.0001, 1.0))
def test_at_its_break_even_jobs_a_customer_neither_pays_nor_costs_more(
    price: float, included: float, extra: float, user: float, job: float
) -> None:
    offer = Plan(usd_per_month=price, included_jobs=included, usd_per_extra_job=extra)
    jobs = break_even_jobs(offer, user, job)
    assume(0.0 < jobs < 1e6)
    paid = price + extra * max(0.0, jobs - included)
    assert paid == pytest.approx(user + job * jobs, rel=1e-6, abs=1e-6)


@given(money, money, st.floats(1.0, 1e5), money, st.floats(0.0, 1000.0))
def test_customers_who_break_even_pay_for_the_machines_that_their_jobs_need(
    fixed: float, usd: float, capacity: float, left: float, jobs: float
) -> None:
    users = break_even_users(fixed, usd, capacity, left, jobs)
    assume(math.isfinite(users))
    times = fleets_needed(fixed, usd, capacity, left, jobs)
    assert users * left >= (fixed + times * usd) * (1 - 1e-6)
    assert (fixed + times * usd) / left * jobs <= times * capacity * (1 + 1e-6)


def test_jobs_beyond_a_fleet_take_another_one_to_break_even() -> None:
    # 30 USD left and 2,000 jobs: one fleet is paid by 34 customers and full with 50; with 1,000 USD besides, 67
    # customers need a second one, which 100 customers pay for and fill.
    one = business({"p": Plan(usd_per_month=30, included_jobs=2000)})
    two = business({"p": Plan(usd_per_month=30, included_jobs=2000)}, fixed_usd_per_month={"team": exactly(1000.0)})
    assert figure(customers.break_even(one), "break_even.p.users") == exactly(34.0)
    assert figure(customers.break_even(two), "break_even.p.users") == exactly(100.0)
    assert figure(customers.break_even(two), "break_even.p.times") == exactly(2.0)


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        (
            Plan(usd_per_month=5, included_jobs=1000),
            "p never breaks even: 1,000 jobs a customer cost more than he pays, however busy machines are",
        ),
        (
            Plan(usd_per_month=5, per_user_usd_per_month={"storage": exactly(8.0)}),
            "p never breaks even: a customer leaves -3.00 USD a month before any job is paid",
        ),
        (
            Plan(usd_per_month=5, per_user_usd_per_month={"storage": Interval(1.0, 8.0)}),
            "p in the worst case never breaks even: a customer leaves -3.00 to 4.00 USD a month before any job is paid",
        ),
    ],
)
def test_a_plan_that_never_breaks_even_is_said(offer: Plan, said: str) -> None:
    table = customers.break_even(business({"p": offer}))
    assert table.said == (said,)
    users = figure(table, "break_even.p.users")
    assert users is not None
    assert math.isinf(users.high)


def test_the_load_that_the_plans_users_make_is_told() -> None:
    offers = {"a": Plan(usd_per_month=30, included_jobs=2000, users=60), "b": Plan(included_jobs=100, users=100)}
    assert customers.break_even(business(offers)).said == (
        "the plans' users do 130,000 jobs a month, 130 % of what fleet can do; the cost per job assumes a load of 50%",
    )


def test_no_customers_are_said_to_leave_the_fixed_costs() -> None:
    plan = BusinessPlan(
        fixed_usd_per_month={"team": exactly(500.0)},
        plans={"p": Plan(usd_per_month=10)},
        scales={"none": Scale(users=exactly(0.0)), "some": Scale(users=exactly(100.0))},
    )
    table = customers.scales(plan)
    assert figure(table, "scales.none.usd_per_user") is None
    assert figure(table, "scales.none.profit_usd_per_month") == exactly(-500.0)
    assert figure(table, "scales.some.margin") == exactly(0.5)
    assert table.said == ("none may have no customers: 500.00 USD a month are paid all the same",)


def test_scales_without_any_price_have_costs_alone() -> None:
    plan = BusinessPlan(fixed_usd_per_month={"team": exactly(500.0)}, scales={"s": Scale(users=exactly(100.0))})
    assert figure(customers.scales(plan), "scales.s.usd_per_user") == exactly(5.0)
    assert figure(customers.scales(plan), "scales.s.margin") is None


@given(st.floats(1.0, 1e6), st.floats(1.0, 1e6))
def test_a_customer_costs_less_the_more_there_are(few: float, more: float) -> None:
    plan = BusinessPlan(
        fixed_usd_per_month={"team": exactly(500.0)},
        scales={"few": Scale(users=exactly(few)), "many": Scale(users=exactly(few + more))},
    )
    table = customers.scales(plan)
    small, large = (figure(table, f"scales.{name}.usd_per_user") for name in ("few", "many"))
    assert small is not None
    assert large is not None
    assert large.low <= small.low
