"""The settings of the mock market, as written under `providers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import DurationRange, SecondsRange
from providers.mock.faults import Fault
from providers.mock.scenario import AtLeastOne, Step

Chance = Annotated[float, Field(ge=0, le=1)]
Usd = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stock:
    """Hosts of one kind in one region."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    gpu: str
    """GPU type, as pools name it."""
    region: str
    """Region, as placements name it."""
    on_demand: Usd
    """USD per hour for one GPU on demand, disk not included, around which each host has its own price."""
    spot: Usd
    """USD per hour for one GPU as spot, disk not included, around which each host has its own price."""
    hosts: AtLeastOne = 4
    """Physical machines of this kind."""
    gpus_per_host: AtLeastOne = 2
    """GPUs in each; one machine rents one."""
    series: str | None = None
    """The series of a recorded market that it follows in a simulation, such as `v100/us-west-2a`; the one of its own
    GPU and region when absent."""


_STOCK = (
    Stock(gpu="RTX 4090", region="US", on_demand=0.76, spot=0.38),
    Stock(gpu="RTX 4090", region="CA", on_demand=0.76, spot=0.38, hosts=3),
    Stock(gpu="RTX 4090", region="DE", on_demand=0.78, spot=0.39, hosts=3),
    Stock(gpu="RTX 3090", region="US", on_demand=0.38, spot=0.19),
    Stock(gpu="RTX 3090", region="DE", on_demand=0.40, spot=0.20, hosts=3),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MockSettings:
    """A small GPU market inside the daemon: nothing is rented and no money is spent."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    kind: Literal["mock"] = "mock"
    seed: int = 1
    """Each host's price and reliability, and how prices move, follow from it."""
    stock: tuple[Stock, ...] = _STOCK
    """What there is to rent. With 40 GB of disk an RTX 4090 costs about 0.80 USD per hour, or 0.40 as spot."""
    price_swing: Chance = 0.05
    """How far prices move around their mean within hours and days, as a share of it."""
    disk_usd_per_gb_month: Usd = 0.30
    """Disk price, billed from creation to release; 0.30 makes a stopped machine with 40 GB cost 0.017 USD per hour."""
    setup: SecondsRange = DurationRange(30 * 60.0, 60 * 60.0)
    """Time from renting to a loaded model. Like the others below, a range from which it is drawn evenly, or measured
    durations such as `[95s, 2m, 400s]`, between which it is interpolated."""
    resume: SecondsRange = DurationRange(2 * 60.0, 5 * 60.0)
    """Time from starting a stopped machine to a loaded model."""
    stop: SecondsRange = DurationRange(5.0, 20.0)
    """Time a stop takes; the machine is billed as running until then."""
    let_to_others: SecondsRange = DurationRange(30 * 60.0, 4 * 3600.0)
    """How long others keep the GPU of a machine that was outbid, or whose resume was refused."""
    offline: SecondsRange = DurationRange(5 * 60.0, 60 * 60.0)
    """How long a host that went offline stays away."""
    listing_lag: SecondsRange = DurationRange(15.0, 3 * 60.0)
    """How far the listing lags behind where it lags."""
    outbid_returns: Chance = 0.5
    """The chance that a machine that was outbid starts again by itself once its GPU is free."""
    balance_usd: Usd | None = None
    """Money in the account when the market opens; it never runs out when absent."""
    foreign: tuple[str, ...] = ()
    """Labels of machines that somebody else runs in the same account from the opening on."""
    faults: Mapping[Fault, Chance] = field(default_factory=dict)
    """The chance of each fault, per call it can strike; per hour for `outbid`, `host_offline` and `vanishes`. Faults
    that are not named keep the market's own chance: 0.1 for `resume_refused`, 0.02 for `outbid`, else 0."""
    scenario: tuple[Step, ...] = ()
    """Faults that strike at written moments, e.g. `{fault: answer_lost, call: rent, nth: 2}`."""
    scenario_file: str | None = None
    """A YAML file with a list of such steps, played besides `scenario`."""
    state_file: str | None = None
    """Where the machines are kept, so that a restarted daemon finds them again; only in memory when absent."""

    def __post_init__(self) -> None:
        if Fault.BALANCE_SPENT in self.faults:
            raise ValueError("balance_spent has no chance; expected it in `scenario`, or `balance_usd`")
