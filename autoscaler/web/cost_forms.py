"""The forms of what `/api/v1/cost` answers. Money is USD, days are UTC days such as `2026-11-21`."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12, and brings this one

from autoscaler.core.reconcile import Verdict
from autoscaler.web.forms import DESCRIBED, CapsForm


@with_config(DESCRIBED)
class SpendingForm(TypedDict):
    """What something costs now, whichever days were asked for."""

    usd_today: float
    usd_month: float
    usd_month_forecast: float | None
    limits: CapsForm
    """The caps that are set."""


@with_config(DESCRIBED)
class LineForm(TypedDict):
    """What one thing cost on one day."""

    day: str
    pool: str
    placement: str
    provider: str
    tier: str
    """For which the machines were set apart; empty: they served all tiers."""
    purpose: str
    usd: float


@with_config(DESCRIBED)
class PlacementCostForm(TypedDict):
    """What machines of one placement cost."""

    placement: str
    """Empty, like the provider: booked by a version that told no placements apart."""
    provider: str
    usd: float
    purposes: dict[str, float]


@with_config(DESCRIBED)
class TierCostForm(TypedDict):
    """What a tier cost, by estimate."""

    tier: str
    usd: float
    own_usd: float
    """Of it, machines set apart for the tier: this much is exact."""
    jobs: int
    jobs_told: int
    """Of these, jobs that workers told of; the others were seen to start."""
    usd_per_job: float | None


class ClassCostForm(TypedDict):
    """What a class of jobs cost, by estimate."""

    name: str
    usd: float
    jobs: int
    work_s: float
    usd_per_job: float | None


@with_config(DESCRIBED)
class PoolCostForm(SpendingForm):
    """What a pool cost on the days asked for."""

    name: str
    usd: float
    purposes: dict[str, float]
    placements: list[PlacementCostForm]
    tiers: list[TierCostForm]
    nobodys_usd: float
    """Of shared machines, where no job is known that used them."""
    classes: list[ClassCostForm]


@with_config(DESCRIBED)
class WasteForm(TypedDict):
    """Money that served nobody."""

    pool: str
    code: str
    usd: float
    text: str
    fix: str
    """Which command or setting would reduce it."""


@with_config(DESCRIBED)
class BillForm(TypedDict):
    """What a provider billed for a day, beside the books."""

    day: str
    provider: str
    booked_usd: float
    billed_usd: float | None
    """For this fleet's machines; null: the provider tells of no bill."""
    difference_usd: float | None
    downloads_usd: float
    """What new machines' downloads should have cost, by estimate; it is in no other figure."""
    verdict: Verdict


@with_config(DESCRIBED)
class CostForm(SpendingForm):
    """What the fleet costs."""

    at: float | None
    """When the newest good tick began; null before the first."""
    leads: bool
    """This daemon keeps the books; otherwise it knows none."""
    led_elsewhere: list[str]
    """Pools whose books another daemon keeps."""
    first_day: str
    last_day: str
    books_since: str | None
    """The first day of which the books are at hand; null: of none."""
    usd: float
    """What the days asked for cost."""
    pools: list[PoolCostForm]
    waste: list[WasteForm]
    """The dearest first."""
    next_step: str | None
    bills: list[BillForm]
    """Of all pools, whichever was asked for."""
    lines: list[LineForm]
    """Where they were asked for."""
