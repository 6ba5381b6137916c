"""The user's own fleet takes the place of what a plan assumes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autoscaler.core.errors import SettingsError
from autoscaler.core.ledger import day_named
from autoscaler.economics import customers, fleet
from autoscaler.economics.interval import exactly
from autoscaler.economics.measured import with_measured
from autoscaler.economics.plan import BusinessPlan, Plan
from autoscaler.economics.tables import figures_of

PLAN = BusinessPlan(plans={"starter": Plan(usd_per_month=9, included_jobs=500)})


def books(**others: Any) -> bytes:
    """Ten days and a half of November, the first of which the books do not have: 95 USD for 47,500 jobs."""
    answer = {
        "at": (day_named("2026-11-11") + 0.5) * 86400.0,
        "leads": True,
        "first_day": "2026-11-01",
        "last_day": "2026-11-11",
        "books_since": "2026-11-02",
        "usd": 95.0,
        "pools": [
            {
                "name": "images",
                "usd": 90.0,
                "tiers": [{"tier": "pro", "jobs": 40_000}, {"tier": "free", "jobs": 5_000}],
            },
            {"name": "chat", "usd": 5.0, "tiers": [{"tier": "all", "jobs": 2_500}]},
        ],
    }
    return json.dumps(answer | others).encode()


def test_a_job_costs_what_it_cost_on_the_fleet() -> None:
    plan = with_measured(PLAN, books())
    figures = {name: figure for name, (_, figure) in figures_of([customers.margins(plan)]).items()}
    cost = figures["plans.starter.cost_usd"]
    assert cost is not None
    assert cost.low == pytest.approx(500 * 95 / 47_500)


def test_its_month_is_scaled_by_the_time_that_the_books_cover() -> None:
    figures = figures_of([fleet.scenarios(with_measured(PLAN, books()))])
    usd, jobs = (figures[f"scenarios.measured.{name}"][1] for name in ("usd_per_month", "jobs_per_month"))
    assert usd is not None
    assert jobs is not None
    assert [usd.low, jobs.low] == pytest.approx([95 / 9.5 * 30, 47_500 / 9.5 * 30])


def test_days_that_are_over_count_as_a_whole() -> None:
    figures = figures_of([fleet.scenarios(with_measured(PLAN, books(last_day="2026-11-06")))])
    usd = figures["scenarios.measured.usd_per_month"][1]
    assert usd is not None
    assert usd.low == pytest.approx(95 / 5 * 30)


def test_a_fleet_that_cost_nothing_makes_jobs_that_cost_nothing() -> None:
    free = [{"usd": 0.0, "tiers": [{"jobs": 10}]}]
    assert customers.usd_per_job(with_measured(PLAN, books(pools=free))) == exactly(0.0)


@pytest.mark.parametrize(
    "others", [{"leads": False}, {"pools": []}, {"books_since": None}, {"at": None}, {"last_day": "2026-10-01"}]
)
def test_books_without_jobs_are_refused(others: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"--measured: .* expected the books of the daemon that leads"):
        with_measured(PLAN, books(**others))


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b'{"usd": 3}', books(first_day="yesterday")])
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(SettingsError, match="expected what `autoscaler cost --json` prints"):
        with_measured(PLAN, text)
