"""Jobs sold by the piece: prices, margins, quotes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.units import DurationRange
from autoscaler.economics import jobs
from autoscaler.economics.interval import Interval, exactly, margin
from autoscaler.economics.plan import BusinessPlan, JobClass, Machine, MachineTime
from autoscaler.economics.tables import Table, figures_of


def figure(table: Table, name: str) -> Interval | None:
    return figures_of([table])[name][1]


@given(st.floats(0.0001, 1000.0), st.floats(0.0, 0.99))
def test_a_quote_with_a_margin_has_that_margin(cost: float, rate: float) -> None:
    plan = BusinessPlan(job_classes={"job": JobClass(infra_usd=exactly(cost))}, margin=rate)
    price = figure(jobs.quotes(plan), "quotes.job.usd_at_margin")
    assert price is not None
    left = margin(exactly(cost), price)
    assert left is not None
    assert left.low == pytest.approx(rate, abs=1e-9)


@given(st.floats(0.0001, 1000.0), st.floats(0.01, 0.99))
def test_a_percentage_on_top_is_less_than_that_margin(cost: float, rate: float) -> None:
    plan = BusinessPlan(job_classes={"job": JobClass(infra_usd=exactly(cost))}, margin=rate)
    quote, on_top = (figure(jobs.quotes(plan), f"quotes.job.{name}") for name in ("usd_at_margin", "usd_on_top"))
    assert quote is not None
    assert on_top is not None
    assert on_top.low < quote.low


@given(st.floats(0.0001, 10.0), st.floats(0.1, 1000.0))
def test_at_its_break_even_multiplier_a_class_leaves_nothing(base: float, cost: float) -> None:
    job = JobClass(infra_usd=exactly(cost))
    even = figure(
        jobs.classes(BusinessPlan(base_rate_usd=base, job_classes={"job": job})), "classes.job.break_even_multiplier"
    )
    assert even is not None
    sold = JobClass(infra_usd=exactly(cost), multiplier=even.low)
    left = figure(jobs.classes(BusinessPlan(base_rate_usd=base, job_classes={"job": sold})), "classes.job.margin")
    assert left is not None
    assert left.low == pytest.approx(0.0, abs=1e-9)


def test_a_class_that_loses_is_told_what_and_where_it_would_not() -> None:
    job = JobClass(multiplier=20, llm_usd=exactly(0.035), jobs_per_month=1000)
    assert jobs.classes(BusinessPlan(base_rate_usd=0.001, job_classes={"prompt": job})).said == (
        "prompt loses 0.015 USD a job, 15.00 USD a month: it breaks even at a price of 0.035 USD, a multiplier of 35",
    )


def test_a_class_that_loses_at_worst_is_told_so() -> None:
    job = JobClass(price_usd=exactly(0.02), llm_usd=Interval(0.01, 0.03))
    assert jobs.classes(BusinessPlan(job_classes={"prompt": job})).said == (
        "prompt may lose 0 to 0.01 USD a job: it breaks even at a price of 0.01 to 0.03 USD",
    )


def test_a_class_of_whose_cost_nothing_is_said_is_not_taken_to_cost_nothing() -> None:
    plan = BusinessPlan(base_rate_usd=0.001, job_classes={"job": JobClass(multiplier=5, jobs_per_month=10)}, margin=0.4)
    assert figure(jobs.classes(plan), "classes.job.margin") is None
    assert jobs.volumes(plan).rows == ()
    assert jobs.quotes(plan).rows == ()


def test_a_class_that_is_given_away_has_no_margin() -> None:
    plan = BusinessPlan(job_classes={"job": JobClass(price_usd=exactly(0.0), infra_usd=exactly(0.01))})
    assert figure(jobs.classes(plan), "classes.job.margin") is None
    assert jobs.classes(plan).said[0].startswith("job loses 0.01 USD a job")


def test_a_machines_idle_time_is_paid_by_its_jobs() -> None:
    machine = Machine(usd_per_hour=exactly(0.36), slots=2)
    used = MachineTime(machine="gpu", time=DurationRange(10.0, 20.0), utilisation=0.5)
    plan = BusinessPlan(machines={"gpu": machine}, job_classes={"image": JobClass(machine_time=used)})
    cost = figure(jobs.classes(plan), "classes.image.infra_usd")
    assert cost is not None
    assert [cost.low, cost.high] == pytest.approx([0.001, 0.002])


def test_a_token_that_is_worth_nothing_is_said() -> None:
    table = jobs.base_rates(BusinessPlan(base_rate_usd=0.001, token_usd=(0.0,)))
    assert table.rows[0].figures == (None,)
    assert table.said == ("a token that is worth nothing buys nothing: there is no base rate in it",)


def test_a_base_rate_of_nothing_makes_no_multipliers() -> None:
    plan = BusinessPlan(base_rate_usd=0.0, job_classes={"job": JobClass(multiplier=5, infra_usd=exactly(0.01))})
    assert figure(jobs.classes(plan), "classes.job.break_even_multiplier") is None
