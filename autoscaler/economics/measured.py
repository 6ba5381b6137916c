"""The user's own fleet in a plan: what `autoscaler cost --json` prints becomes the scenario `measured`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError

from autoscaler.core.errors import SettingsError
from autoscaler.core.ledger import DAY_S, day_named
from autoscaler.economics.interval import exactly
from autoscaler.economics.plan import BusinessPlan, Load, Scenario, Serving

MEASURED = "measured"
"""What the scenario is called."""

_READ: dict[str, Any] = {"extra": "ignore"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Tier:
    __pydantic_config__: ClassVar[dict[str, Any]] = _READ

    jobs: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pool:
    __pydantic_config__: ClassVar[dict[str, Any]] = _READ

    usd: float
    tiers: tuple[_Tier, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Books:
    __pydantic_config__: ClassVar[dict[str, Any]] = _READ

    at: float | None
    leads: bool
    first_day: str
    last_day: str
    books_since: str | None
    pools: tuple[_Pool, ...]


def with_measured(plan: BusinessPlan, text: bytes) -> BusinessPlan:
    """The plan with its jobs on the fleet that was measured, used as it was: a job costs what it cost there.

    More jobs take the measured fleet once more. What it cost and did is scaled to the plan's month by the time that the
    books cover.

    Raises:
        SettingsError: the text is not what `autoscaler cost --json` prints, or tells of no jobs.
    """
    try:
        books = TypeAdapter(_Books).validate_json(text)
        covered_s = _covered_s(books)
    except (ValidationError, ValueError) as error:
        raise SettingsError("--measured: expected what `autoscaler cost --json` prints") from error
    usd, jobs = sum(pool.usd for pool in books.pools), _jobs(books.pools)
    if not (books.leads and covered_s > 0.0 and jobs > 0 and usd >= 0.0):
        raise SettingsError(
            f"--measured: {jobs} jobs and {usd:.2f} USD from {books.first_day} to {books.last_day}: expected the books "
            "of the daemon that leads, and days with jobs; `autoscaler cost --from DAY --json` looks further back"
        )
    months = covered_s / 3600.0 / plan.hours_per_month
    scenario = Scenario(usd_per_month=exactly(usd / months), jobs_per_month=exactly(jobs / months))
    serving = Serving(scenario=MEASURED, load=Load("100%", share=1.0))
    return replace(plan, scenarios={**plan.scenarios, MEASURED: scenario}, serving=serving)


def _jobs(pools: Iterable[_Pool]) -> int:
    return sum(tier.jobs for pool in pools for tier in pool.tiers)


def _covered_s(books: _Books) -> float:
    """How much of the days asked for the books cover: from their first day on, today up to now."""
    if books.at is None or books.books_since is None:
        return 0.0
    first = max(day_named(books.first_day), day_named(books.books_since))
    return min((day_named(books.last_day) + 1) * DAY_S, books.at) - first * DAY_S
