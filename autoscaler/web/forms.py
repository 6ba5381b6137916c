"""The forms of what the API answers. The views are written in them and the OpenAPI document is made from them.

Times are epoch seconds, money is USD; null is what is not known.
"""

from __future__ import annotations

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12, and brings this one

from autoscaler.core.decision import Action
from autoscaler.core.demand import AgeSource, InFlightKind
from autoscaler.core.diagnosis import Diagnosis
from autoscaler.core.health import Condition
from autoscaler.core.journal import Entry
from autoscaler.core.lifecycle import Phase
from autoscaler.core.market import Status
from autoscaler.core.orders import OrderKind
from autoscaler.core.spec import Buy
from autoscaler.core.utilisation import Use
from autoscaler.runtime.concerns import Name, Severity

DESCRIBED = ConfigDict(use_attribute_docstrings=True)
"""The docstrings of a form's fields go into the OpenAPI document."""


class ReasonForm(TypedDict):
    """Why, or why not."""

    rule: str
    text: str


class NeedForm(TypedDict):
    """Machines that must be HOT for the jobs of a tier and of more urgent ones."""

    tier: str
    hot: int


@with_config(DESCRIBED)
class DecisionForm(TypedDict):
    """How many machines a pool is to have."""

    hot: int
    warm: int
    standby: int
    ceiling: int | None
    """The most that may run; null: no policy sets one."""
    needs: list[NeedForm]
    why: list[ReasonForm]
    why_not: list[ReasonForm]


class CommandForm(TypedDict):
    """Something that is done to a machine."""

    action: Action
    instance: str | None
    placement: str | None
    reason: str
    usd_per_hour: float | None


@with_config(DESCRIBED)
class PlanOfPool(TypedDict):
    """What the newest tick decided for a pool."""

    name: str
    up: int
    """Machines that the decision was held against, before its commands."""
    decision: DecisionForm
    commands: list[CommandForm]


class PlanForm(TypedDict):
    """What the newest tick decided."""

    at: float | None
    pools: list[PlanOfPool]


@with_config(DESCRIBED)
class TierForm(TypedDict):
    """The jobs of a tier that wait."""

    tier: str
    waiting: int
    waiting_is_lower_bound: bool
    delayed: int | None
    """Jobs that may not start yet."""
    next_due_at: float | None
    oldest_wait_s: float | None
    age_source: AgeSource
    wait_target_s: float | None


@with_config(DESCRIBED)
class DemandForm(TypedDict):
    """What a queue holds."""

    unknown: str | None
    """Why that is not known; all else is null or empty then."""
    waiting: int | None
    in_flight: int | None
    in_flight_kind: InFlightKind | None
    oldest_wait_s: float | None
    paused: bool | None
    seen: bool | None
    """The queue was there; else nothing has ever been put into it, or its name is wrong."""
    warnings: list[str]
    advice: dict[str, str]
    """What to do about each of the warnings."""
    tiers: list[TierForm]


class AdmissionForm(TypedDict):
    """Whether a tier takes jobs."""

    pool: str
    tier: str
    accept: bool
    expected_wait_s: float | None
    retry_after_s: int | None
    message: str
    why: str


class AdmissionsForm(TypedDict):
    """Which tiers take jobs."""

    tiers: list[AdmissionForm]


class CapsForm(TypedDict):
    """When to warn, and when nothing more is rented."""

    usd_per_hour_warn: float | None
    usd_per_hour_stop: float | None
    usd_per_day_warn: float | None
    usd_per_day_stop: float | None
    usd_per_month_warn: float | None
    usd_per_month_stop: float | None


@with_config(DESCRIBED)
class LimitsForm(CapsForm):
    """What a pool may never leave."""

    hot: str
    """`LOW..HIGH`"""
    warm: str


class PoolForm(PlanOfPool):
    """One workload."""

    demand: DemandForm
    admission: list[AdmissionForm]
    phases: dict[Phase, int]
    image_given_up: bool
    limits: LimitsForm
    usd_today: float
    usd_month: float
    usd_month_forecast: float | None
    usd_per_hour: float


@with_config(DESCRIBED)
class InstanceForm(TypedDict):
    """One rented machine."""

    id: str
    pool: str
    placement: str
    provider: str
    provider_id: str | None
    phase: Phase
    serving: bool
    """It is HOT and has jobs."""
    phase_since: float
    since_s: float
    reason: str
    gpu: str
    region: str
    host: str
    buy: Buy
    busy: int | None
    slots: int
    usd_per_hour: float
    usd_spent: float
    address: str | None
    tier: str | None
    """It is set apart for jobs of this tier and more urgent ones; null: it takes all."""
    health: Condition
    ailment: str
    diagnosis: Diagnosis | None
    gpu_use: Use
    adopted: bool
    primary: bool


class InstancesForm(TypedDict):
    """All machines, by pool, oldest first."""

    instances: list[InstanceForm]


@with_config(DESCRIBED)
class ProviderForm(TypedDict):
    """One account."""

    name: str
    unknown: str | None
    """Why its machines could not be listed; null: they were."""
    listing_age_s: float | None
    machines: int | None
    """Those with the fleet's label; nobody else's."""
    balance_usd: float | None


@with_config(DESCRIBED)
class OrderForm(TypedDict):
    """An operator's order."""

    name: str
    """What it is withdrawn by."""
    text: str
    """The order in one line."""
    kind: OrderKind
    subject: str
    by: str
    why: str
    at: float
    for_s: float | None
    """How long it is to stand; null: until it is withdrawn or fulfilled."""
    until: float | None
    """When it is over, by the daemon's clock; null also before a leading daemon has seen it."""
    count: int | None
    pool: str
    lose_jobs: bool


@with_config(DESCRIBED)
class GivenForm(OrderForm):
    """An operator's order that stands from now on."""

    warnings: list[str]
    """What whoever gave it should know."""


class OrdersForm(TypedDict):
    """The orders that stand, oldest first."""

    orders: list[OrderForm]


@with_config(DESCRIBED)
class ConcernForm(TypedDict):
    """One thing that needs a person."""

    name: Name
    severity: Severity
    text: str
    """What, since when, at what cost."""
    command: str
    """What examines or mends it, FILE being the configuration; empty where nothing has to be done."""
    pool: str
    subject: str
    """The machine, tier, provider or cap that it is about."""


@with_config(DESCRIBED)
class StatusForm(InstancesForm):
    """The whole fleet."""

    fleet: str
    version: str
    at: float | None
    """When the newest good tick began; null before the first."""
    age_s: float | None
    leads: bool
    """This daemon holds the lease; otherwise it only watches, and knows neither pools nor machines."""
    leaders: dict[str, str]
    """Which daemon leads each pool, as HOST:PID and what tells it from any other; empty where none does. `pools` has
    those that this one leads."""
    orders: list[OrderForm]
    concerns: list[ConcernForm]
    """What needs a person, the most severe first."""
    error: str | None
    """Why the newest tick failed; null when it did not."""
    clock: float
    """The daemon's time."""
    usd_per_hour: float
    usd_today: float
    usd_month: float
    usd_month_forecast: float | None
    limits: CapsForm
    pools: list[PoolForm]
    providers: list[ProviderForm]


@with_config(DESCRIBED)
class StrayForm(TypedDict):
    """A machine that bills in the fleet's name and that nobody takes care of."""

    provider: str
    provider_id: str
    label: str
    pool: str
    status: Status
    gpu: str
    region: str
    usd_per_hour: float
    why: str
    """What is wrong, and what mends it where a release does not."""
    to_release: bool
    """An ordinary release mends it; otherwise it goes already, or is a person's to decide."""


@with_config(DESCRIBED)
class StraysForm(TypedDict):
    """The machines that should not be there, by the newest listings."""

    at: float | None
    """When the newest good tick began; null before the first."""
    strays: list[StrayForm]
    unlisted: dict[str, str]
    """Providers of which nothing is known, and why."""
    machines: int
    """Those that carry the fleet's label."""


class JournalForm(TypedDict):
    """The newest entries of the journal, newest first."""

    entries: list[Entry]


class HealthForm(TypedDict):
    """Whether ticks are made."""

    alive: bool
    last_good_tick_at: float | None
    age_s: float
    limit_s: float
    error: str | None


class ReadyForm(TypedDict):
    """Whether the newest tick was good."""

    ready: bool
    leads: bool
    error: str | None


@with_config(DESCRIBED)
class ReloadForm(TypedDict):
    """What the configuration's file changes."""

    diff: list[str]
    """A line for each setting; none where nothing changes."""
    digest: str
    """Stands for this content of the file against what was in force."""
    applied: bool
    """It is in force from now on."""


class ProblemForm(TypedDict):
    """Why there is no other answer."""

    error: str


class ProblemsForm(ProblemForm):
    """All that is wrong with what was sent."""

    problems: list[str]


class UnknownTierForm(ProblemForm):
    """There is no such tier."""

    tiers: list[str]
