"""What a business plan holds: prices and plans, and the author's own figures. Each field's docstring is its reference.

A number may be a range, such as ``200..400``, except where a plan's customer is meant: he pays one price.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Name, SecondsRange, Written
from autoscaler.economics.claims import Claim, parse_claim
from autoscaler.economics.interval import (
    ZERO,
    Amount,
    Interval,
    Margin,
    Plain,
    Positive,
    Share,
    exactly,
    parse_number,
    parse_share,
)

_COUNT = Field(ge=0, le=1_000_000)
Costs = Mapping[Name, Amount]
"""Costs by what they are for, in USD."""


@dataclass(frozen=True, slots=True)
class Load:
    """How much there is to do in a month: a share of the capacity, or a number of jobs."""

    text: str
    share: float | None = None
    jobs: float | None = None


def parse_load(value: object) -> Load:
    """A load written ``30%`` or ``45000``.

    Raises:
        ValueError: neither, or more than the capacity.
    """
    if isinstance(value, Load):
        return value
    text = str(value).strip()
    try:
        if not text.endswith("%"):
            return Load(text, jobs=parse_number(text))
        share = parse_share(text)
    except ValueError as error:
        raise ValueError("expected a share of the capacity such as 30%, or jobs a month such as 45000") from error
    if share > 1.0:
        raise ValueError("expected at most 100%; what is beyond the capacity is written in jobs a month, such as 45000")
    return Load(text, share=share)


LoadSetting = Annotated[Load, Written(parse_load, "30%")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A kind of machine."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    usd_per_hour: Amount
    """Its price while it runs."""
    stopped_usd_per_hour: Amount = ZERO
    """Its price while it is stopped: its disk."""
    jobs_per_hour: Positive | None = None
    """How many jobs it does when it always has one."""
    job_time: SecondsRange | None = None
    """How long one job takes; says the same as `jobs_per_hour`."""
    slots: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Jobs it works on at the same time; counts where `job_time` is given."""
    ram_gb: Plain | None = None
    """Its memory, for packing tenants."""
    reserved_ram_gb: Plain = 0.0
    """What of it tenants cannot have."""

    @property
    def capacity(self) -> Interval | None:
        """Jobs per hour; None where nothing is said of jobs."""
        if self.job_time is None:
            return self.jobs_per_hour
        return exactly(self.slots * 3600.0) / Interval(self.job_time.low, self.job_time.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """Machines that are kept, or what is paid and done in a month where that is known."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    machine: Name | None = None
    """The kind of its machines."""
    hot: Annotated[int, _COUNT] = 0
    """How many run."""
    warm: Annotated[int, _COUNT] = 0
    """How many stand by, stopped."""
    usd_per_month: Amount | None = None
    """What it costs, instead of `machine`."""
    jobs_per_month: Amount | None = None
    """How many jobs it can do, instead of `machine`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """What the jobs of all plans run on."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    scenario: Name
    """Its price is what has to be earned; more than its capacity takes the same once more."""
    load: LoadSetting
    """How busy it is, which makes the price of a job."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one kind of customer pays and does in a month."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    usd_per_month: Plain = 0.0
    """Its price."""
    included_jobs: Plain = 0.0
    """Jobs that the price covers."""
    usd_per_extra_job: Plain | None = None
    """Price of each job beyond those; without it there are none."""
    jobs_per_user: Plain | None = None
    """Jobs that a customer does; all that are included when absent."""
    users: Plain = 0.0
    """Customers of this plan: the mix that is broken even with."""
    per_user_usd_per_month: Costs | None = None
    """What such a customer costs besides his jobs, instead of what all do."""

    @property
    def jobs(self) -> float:
        """Jobs that a customer does in a month."""
        return self.included_jobs if self.jobs_per_user is None else self.jobs_per_user

    @property
    def revenue_usd(self) -> float:
        """What a customer pays in a month."""
        return self.usd_per_month + (self.usd_per_extra_job or 0.0) * max(0.0, self.jobs - self.included_jobs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A number of customers."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    users: Amount
    """Customers."""
    price_usd: Amount | None = None
    """What each pays in a month; the mean of the plans' mix when absent, or of the first plan if none has users."""
    usd_per_user: Amount | None = None
    """What each costs in a month, all costs; computed when absent."""
    fixed_usd_per_month: Amount | None = None
    """What the whole costs at this scale whoever comes; that of the file when absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineTime:
    """A job's time on a machine."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    machine: Name
    """The kind of machine."""
    time: SecondsRange
    """How long it takes one of its slots."""
    utilisation: Share = 1.0
    """The share of the machine's time that is used; the jobs pay for the rest, too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobClass:
    """A kind of job that is sold by the piece."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    multiplier: Plain | None = None
    """Its price as a multiple of `base_rate_usd`."""
    price_usd: Amount | None = None
    """Its price, instead of `multiplier`."""
    infra_usd: Amount | None = None
    """What one job costs in infrastructure."""
    machine_time: MachineTime | None = None
    """What it costs in machines; comes on top of `infra_usd`."""
    llm_usd: Amount | None = None
    """What one job pays to a model's vendor."""
    jobs_per_month: Plain | None = None
    """How many are sold."""
    variants: Costs = field(default_factory=dict)
    """What one job costs in all, by what it is done with: each model, each cloud."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BusinessPlan:
    """Everything that `autoscaler economics` is told."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    hours_per_month: Annotated[Plain, Field(gt=0)] = 720.0
    """Hours that a month is billed for: 30 days. The mean month of a year has 730."""
    machines: Mapping[Name, Machine] = field(default_factory=dict)
    """Kinds of machines, by name."""
    tenant_ram_gb: Mapping[Name, Positive] = field(default_factory=dict)
    """Memory of what is packed onto a machine, by what it does, such as `idle` and `active`."""
    scenarios: Mapping[Name, Scenario] = field(default_factory=dict)
    """What might be kept, by name."""
    loads: tuple[LoadSetting, ...] = ()
    """What a job costs at these: shares of the capacity, or jobs a month."""
    serving: Serving | None = None
    """What the plans' jobs run on; they cost nothing when absent."""
    fixed_usd_per_month: Costs = field(default_factory=dict)
    """What costs the same whoever comes, by what it is for; the machines of `serving` are not repeated here."""
    per_user_usd_per_month: Costs = field(default_factory=dict)
    """What each customer costs besides his jobs, by what it is for."""
    plans: Mapping[Name, Plan] = field(default_factory=dict)
    """What is sold by the month, by name."""
    scales: Mapping[Name, Scale] = field(default_factory=dict)
    """Numbers of customers to look at, by name."""
    base_rate_usd: Plain | None = None
    """The price that multipliers multiply."""
    token_usd: tuple[Plain, ...] = ()
    """Prices of a token to tell the base rate in, in USD."""
    job_classes: Mapping[Name, JobClass] = field(default_factory=dict)
    """What is sold by the piece, by name."""
    margin: Margin | None = None
    """The margin to quote job classes with."""
    stated: Mapping[str, Annotated[Claim, Written(parse_claim, "350..400")]] = field(default_factory=dict)
    """The author's own figures by the name of the figure, such as `scenarios.minimal.usd_per_month: ~290`."""
