"""The example plans, row by row: their tables follow from their assumptions, and what does not is found.

What is expected is computed here by hand, from the assumptions as their authors wrote them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from autoscaler.economics.claims import Verdict
from autoscaler.economics.compute import Judged, compute, judge
from autoscaler.economics.interval import Interval
from autoscaler.economics.read import read_plan
from autoscaler.economics.tables import figures_of

PLANS = Path(__file__).parents[2] / "deploy/economics"
Expected = float | tuple[float, float]
HOURS, MEAN_HOURS = 24 * 30, 730

IMAGE_SERVICE: dict[str, Expected] = {
    # monthly scenarios
    "scenarios.mvp.usd_per_month": 0.50 * HOURS,
    "scenarios.minimal.usd_per_month": 0.40 * HOURS,
    "scenarios.standard.usd_per_month": ((0.40 + 0.05) * HOURS, (0.40 + 0.10) * HOURS),
    "scenarios.growth.usd_per_month": ((0.80 + 0.05) * HOURS, (0.80 + 0.10) * HOURS),
    "scenarios.scale.usd_per_month": ((1.20 + 0.10) * HOURS, (1.20 + 0.20) * HOURS),
    "scenarios.minimal.jobs_per_month": (200 * HOURS, 400 * HOURS),
    "scenarios.standard.burst_jobs_per_month": (2 * 200 * HOURS, 2 * 400 * HOURS),
    "scenarios.growth.jobs_per_month": (2 * 200 * HOURS, 2 * 400 * HOURS),
    "scenarios.scale.jobs_per_month": (3 * 200 * HOURS, 3 * 400 * HOURS),
    # cost per image by utilisation
    "loads.tabulated.10%.jobs": 15_000,
    "loads.tabulated.10%.usd_per_job": 290 / 15_000,
    "loads.tabulated.30%.usd_per_job": 290 / 45_000,
    "loads.tabulated.50%.usd_per_job": 290 / 75_000,
    "loads.tabulated.80%.usd_per_job": 290 / 120_000,
    "loads.tabulated.200000.times": 2,
    "loads.tabulated.200000.usd_per_month": 580,
    "loads.tabulated.200000.usd_per_job": 580 / 200_000,
    "loads.minimal.10%.usd_per_job": (0.40 / 40, 0.40 / 20),
    # plans, at 150,000 images for 400 to 500 USD
    "plans.credit-starter.usd_per_included_job": 9 / 500,
    "plans.credit-creator.usd_per_included_job": 29 / 2000,
    "plans.credit-studio.usd_per_included_job": 99 / 10_000,
    "plans.credit-starter.margin": (1 - 500 * 500 / 150_000 / 9, 1 - 500 * 400 / 150_000 / 9),
    "plans.credit-creator.margin": (1 - 2000 * 500 / 150_000 / 29, 1 - 2000 * 400 / 150_000 / 29),
    "plans.credit-studio.margin": (1 - 10_000 * 500 / 150_000 / 99, 1 - 10_000 * 400 / 150_000 / 99),
    "plans.image-pro.revenue_usd": 500 * 0.015,
    "plans.image-basic.revenue_usd": 500 * 0.02,
    "plans.premium.profit_usd": (15 - 5000 * 500 / 150_000, 15 - 5000 * 400 / 150_000),
    "plans.premium.revenue_usd_per_month": 50 * 15,
    "plans.pro.revenue_usd_per_month": 20 * 49,
    # break-even at 400 to 500 USD
    "break_even.premium.users": (27, 34),
    "break_even.pro.users": (9, 11),
    "break_even.mix.users": (40, 50),
    "break_even.mix.paying_users": (17, 21),
}
AGENT_HOSTING: dict[str, Expected] = {
    "packing.r6a-4xlarge.planned.tenants": 80,
    "packing.r6a-8xlarge.planned.tenants": 160,
    "packing.r6a-4xlarge.idle.tenants": (128, 256),
    "packing.r6a-4xlarge.active.tenants": (42, 64),
    "packing.r6a-4xlarge.planned.usd_per_tenant": 0.23 * MEAN_HOURS / 80,
    "packing.r6a-8xlarge.planned.usd_per_tenant": 0.45 * MEAN_HOURS / 160,
    "costs.per-user.usd_per_month": 1.50 + 0.80 + 0.50 + 0.50,
    "scales.100k.fixed_usd_per_user": (0.80 + 0.40, 1.60 + 0.80),
    "scales.100k.usd_per_user": (4.50, 5.70),
    "scales.100k.margin": (0.43, 0.55),
    "scales.1k.usd_per_user": (3.30 + 120, 3.30 + 240),
    "scales.10k.usd_per_user": (3.30 + 12, 3.30 + 24),
    "scales.50k.usd_per_user": (3.30 + 2.40, 3.30 + 4.80),
    "scales.1m.usd_per_user": (3.42, 3.54),
    "scales.margin-1k.margin": (-3.0, -1.5),
    "scales.margin-10k.margin": (-0.2, 0.2),
    "scales.margin-50k.margin": (0.3, 0.5),
    "scales.margin-1m.margin": (0.6, 0.8),
    "scales.bootstrap.margin": (1 - 25 / 25, 1 - 20 / 30),
    "scales.break-even.margin": (1 - 15 / 20, 1 - 10 / 25),
    "scales.mature.margin": (1 - 7 / 15, 1 - 5 / 20),
    "scales.commodity.margin": (1 - 4 / 10, 1 - 2 / 15),
    "scales.market-2028.profit_usd_per_year": (300_000 * 10 * 12 * 0.5, 500_000 * 10 * 12 * 0.5),
    "break_even.hosted.users": (17_911, 35_821),  # 120,000 and 240,000 ÷ 6.70
}
AGENT_SANDBOX: dict[str, Expected] = {
    "classes.exec.price_usd": 0.001,
    "classes.snapshot.price_usd": 0.005,
    "classes.prompt.price_usd": 0.020,
    "classes.sandbox-create.price_usd": 0.050,
    "classes.batch-create.price_usd": 0.100,
    "classes.task.price_usd": 0.250,
    "classes.batch-task.price_usd": 0.500,
    "base_rates.0.01.tokens": 0.1,
    "base_rates.10.tokens": 0.0001,
    "volumes.exec.net_usd": 10 - 1,
    "volumes.exec.margin": 0.90,
    "volumes.sandbox-create.net_usd": 50 - 12,
    "volumes.sandbox-create.margin": 0.76,
    "volumes.prompt.net_usd": 20 - 1 - 15,
    "volumes.prompt.margin": 0.20,
    "volumes.task.net_usd": 125 - 5 - 50,
    "volumes.task.margin": 0.56,
    "variants.prompt.budget.break_even_multiplier": 1,
    "variants.prompt.geometric-mean.break_even_multiplier": (1 * 15 * 35) ** (1 / 3),
    "variants.prompt-as-said.geometric-mean.break_even_multiplier": (10 * 15 * 35) ** (1 / 3),
    "variants.prompt-as-said.mean.break_even_multiplier": 20,
    "variants.operator-hour.median.cost_usd": 0.034,
    "classes.operator-10m.infra_usd": 0.001 + 0.05 / 6,
    "classes.fargate-10m.infra_usd": 0.001 + 0.099 / 6,
    "classes.e2b-10m.infra_usd": 0.083 / 6,
    "classes.codespaces-10m.infra_usd": 0.180 / 6,
    "classes.snapshot-stored.profit_usd": (0.005 - 0.012, 0.005 - 0.011),
    "classes.revenue-of-100.margin": (0.10, 0.45),
    "quotes.sandbox-create.fargate.usd_at_margin": 0.009 / 0.6,
    "quotes.sandbox-create.fargate.usd_on_top": 0.009 * 1.4,
    "quotes.sandbox-create.e2b.usd_on_top": 0.014 * 1.4,
}
EXPECTED = {"image-service": IMAGE_SERVICE, "agent-hosting": AGENT_HOSTING, "agent-sandbox": AGENT_SANDBOX}

DEVIATIONS: dict[str, dict[str, Verdict]] = {
    "image-service": {
        "machines.by-time.jobs_per_hour": Verdict.NO,
        "scenarios.minimal.jobs_per_month": Verdict.IN_PART,
        "scenarios.standard.usd_per_month": Verdict.IN_PART,
        "scenarios.standard.burst_jobs_per_month": Verdict.IN_PART,
        "scenarios.growth.jobs_per_month": Verdict.IN_PART,
        "scenarios.scale.usd_per_month": Verdict.IN_PART,
        "scenarios.scale.jobs_per_month": Verdict.NO,
        "loads.minimal.10%.usd_per_job": Verdict.IN_PART,
        "loads.minimal.30%.usd_per_job": Verdict.IN_PART,
        "loads.minimal.50%.usd_per_job": Verdict.IN_PART,
        "loads.minimal.80%.usd_per_job": Verdict.IN_PART,
        "loads.minimal.200000.usd_per_job": Verdict.IN_PART,
        "break_even.premium.users": Verdict.IN_PART,
        "break_even.pro.users": Verdict.NO,
        "break_even.mix.paying_users": Verdict.NO,
    },
    "agent-hosting": {
        "packing.r6a-4xlarge.idle.tenants": Verdict.NO,
        "packing.r6a-4xlarge.active.tenants": Verdict.NO,
        "packing.r6a-4xlarge.idle.usd_per_tenant": Verdict.NO,
        "packing.r6a-4xlarge.planned.usd_per_tenant": Verdict.NO,
        "packing.r6a-8xlarge.planned.usd_per_tenant": Verdict.NO,
        "scales.1k.usd_per_user": Verdict.NO,
        "scales.5k.usd_per_user": Verdict.NO,
        "scales.5k-20k.usd_per_user": Verdict.IN_PART,
        "scales.10k.usd_per_user": Verdict.NO,
        "scales.50k.usd_per_user": Verdict.IN_PART,
        "scales.margin-10k.margin": Verdict.IN_PART,
        "break_even.hosted.users": Verdict.IN_PART,
        "scales.bootstrap.margin": Verdict.IN_PART,
        "scales.break-even.margin": Verdict.IN_PART,
        "scales.mature.margin": Verdict.IN_PART,
        "scales.commodity.margin": Verdict.IN_PART,
    },
    "agent-sandbox": {
        "variants.operator-hour.median.cost_usd": Verdict.NO,
        "variants.prompt.budget.break_even_multiplier": Verdict.NO,
        "variants.prompt.geometric-mean.break_even_multiplier": Verdict.NO,
        "variants.prompt-as-said.geometric-mean.break_even_multiplier": Verdict.NO,
        "classes.fargate-10m.infra_usd": Verdict.NO,
        "classes.command-simple.infra_usd": Verdict.IN_PART,
        "classes.command-medium.infra_usd": Verdict.IN_PART,
        "classes.commands-100.infra_usd": Verdict.IN_PART,
        "quotes.sandbox-create.fargate.usd_at_margin": Verdict.NO,
        "quotes.sandbox-create.e2b.usd_at_margin": Verdict.NO,
        "classes.revenue-of-100.margin": Verdict.IN_PART,
    },
}


@cache
def figures(name: str) -> dict[str, Interval | None]:
    tables = compute(read_plan(PLANS / f"{name}.yaml", {}))
    return {figure: value for figure, (_, value) in figures_of(tables).items()}


@cache
def judged(name: str) -> tuple[Judged, ...]:
    plan = read_plan(PLANS / f"{name}.yaml", {})
    return judge(plan.stated, compute(plan))


@pytest.mark.parametrize(
    ("plan", "figure", "expected"),
    [pytest.param(plan, *row, id=f"{plan}: {row[0]}") for plan, rows in EXPECTED.items() for row in rows.items()],
)
def test_a_figure_is_what_the_assumptions_come_to(plan: str, figure: str, expected: Expected) -> None:
    bounds = expected if isinstance(expected, tuple) else (expected, expected)
    found = figures(plan)[figure]
    assert found is not None
    assert (found.low, found.high) == pytest.approx(bounds)


@pytest.mark.parametrize("plan", DEVIATIONS)
def test_what_its_author_states_follows_but_for_what_is_listed(plan: str) -> None:
    assert {each.figure: each.verdict for each in judged(plan) if each.verdict is not Verdict.FOLLOWS} == DEVIATIONS[
        plan
    ]
    assert len(judged(plan)) > 2 * len(DEVIATIONS[plan]) - 1


def test_the_template_is_a_plan_that_a_user_can_start_from() -> None:
    names = {figure.partition(".")[0] for figure in figures("template")}
    assert {"scenarios", "loads", "plans", "break_even", "scales", "classes", "volumes", "quotes"} <= names
