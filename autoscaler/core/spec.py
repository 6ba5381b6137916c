"""What a user asks for: tiers, machine, placements, limits. Each field's docstring is its reference.

Every settings type of the project is a frozen dataclass like these; ``autoscaler.config`` reads YAML into them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from autoscaler.core.units import Count, Name, Seconds, Span

SETTINGS: dict[str, Any] = {"extra": "forbid"}
"""How a settings dataclass is read: unknown keys are errors."""

_PORT = re.compile(r"^(?:http|tcp|comfyui) :(\d+)", re.ASCII)

Buy = Literal["on_demand", "spot"]
Prefer = Literal["order", "cost"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """A class of jobs with a wait target."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    name: Name
    """What the tier is called in metrics and messages."""
    wait_target: Seconds = 120.0
    """The longest a job of this tier should wait before it starts."""
    weight: float = 1.0
    """How much longer its jobs take than others, until their own time is learned: 20 for calls of a model among
    commands of weight 1."""
    refuse_above: Seconds | None = None
    """Publish `reject` for this tier's new jobs while the expected wait exceeds this; never when absent."""
    refuse_message: str = "Server busy, try again in a few minutes"
    """What whoever is refused is told."""
    reserve: int = 0
    """Slots kept HOT for jobs of this tier and more urgent ones, on top of what all other jobs need. They come as whole
    machines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineSpec:
    """The machine a pool needs."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    image: str
    """Container image with the worker in it."""
    gpus: tuple[str, ...]
    """GPU types that will do, best first, as the providers name them, e.g. `RTX 4090`."""
    disk_gb: float = 40.0
    """Disk to rent; it is billed while the machine is stopped, too."""
    slots: int = 1
    """Jobs that one machine works on at the same time."""
    ready: str = "running"
    """When a machine counts as HOT: `running` (the provider says so), `heartbeat` (its worker beats),
    `http :PORT/PATH` (answers 200) or `tcp :PORT` (accepts a connection)."""
    busy: str | None = None
    """A service inside that is sent its jobs and is asked how many it holds: `comfyui :PORT`. Only heartbeats tell when
    absent."""
    download_gb: float = 0.0
    """What a new machine downloads, image and models, in GB; it counts where a provider bills traffic."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment of the container. AUTOSCALER_INSTANCE and AUTOSCALER_FLEET are added to it, and with `dead_man`
    AUTOSCALER_DEAD_MAN_S."""
    args: tuple[str, ...] = ()
    """Arguments for the image's entrypoint; the image's own when empty."""
    dead_man: Seconds | None = None
    """How long the daemon may be silent before a machine ends itself, if its image runs the dead-man switch; never when
    absent."""

    @property
    def port(self) -> int | None:
        """The port of the container that `ready` or `busy` asks; None where they ask none."""
        asked = _PORT.search(self.ready) or _PORT.search(self.busy or "")
        return int(asked[1]) if asked else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a pool may rent. Placements are listed in order of preference."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    provider: Name
    """One of the keys under `providers`."""
    max_usd_per_hour: float
    """The most to pay for one running machine, disk included."""
    buy: Buy = "on_demand"
    """`spot` is cheaper and may be interrupted at any time."""
    regions: tuple[str, ...] = ()
    """Regions that will do; any when empty."""
    gpus: tuple[str, ...] = ()
    """GPU types to rent here; those of the machine when empty."""
    bid_margin: float = 0.1
    """How far above the least bid that wins to bid, as a share of it, where spot machines are let by bids; never above
    `max_usd_per_hour`."""
    cloud: Literal["secure", "community"] | None = None
    """RunPod's two clouds; either when absent."""
    name: Name | None = None
    """What the placement is called in messages; provider and way of buying when absent."""

    @property
    def label(self) -> str:
        """The name by which records and metrics refer to this placement."""
        return self.name or f"{self.provider}-{self.buy.replace('_', '-')}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cap:
    """What a period may cost, in USD."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    warn: float
    """USD above which a warning is raised, and what is least urgent begins to be given up."""
    stop: float
    """USD never exceeded by machines above the floor of `hot`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a pool may never leave."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    hot: Count = Span(1, 4)
    """Running machines, fewest and most."""
    warm: Count = Span(0, 2)
    """Stopped machines kept for a quick resume, fewest and most."""
    on_demand: int = 0
    """Machines rented on demand before any is rented as spot; spot serves where none can be had."""
    usd_per_hour: Cap | None = None
    """What all that bills at the same time may cost an hour; no cap when absent."""
    usd_per_day: Cap = Cap(warn=20.0, stop=30.0)
    """What a UTC day may cost."""
    usd_per_month: Cap | None = None
    """What a UTC month may cost; no cap when absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FleetLimits:
    """What all pools together may never leave. Pools that are listed first are served first."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    usd_per_hour: Cap | None = None
    """What all that bills at the same time may cost an hour; no cap when absent."""
    usd_per_day: Cap | None = None
    """What a UTC day may cost; no cap when absent."""
    usd_per_month: Cap | None = None
    """What a UTC month may cost; no cap when absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How fast the number of machines may change.

    Without a pace the caps on money bound growth, and the policies' own windows shrinking: a number of machines that
    protects a pool of four would starve one of four hundred.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    up: int | None = None
    """Machines rented or resumed within `per`, at most, save for the floor of `hot`; any number when absent."""
    down: int | None = None
    """Machines drained within `per`, at most, save where money or limits say so; any number when absent."""
    per: Seconds = 600.0
    """The sliding window in which both are counted, at most an hour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fallback:
    """What stands while a pool's queue cannot be read. Whatever it is, nothing is stopped for want of a reading."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    after: int = 3
    """Readings in a row, one a tick, that must have failed; until then all goes on as the last good one had it."""
    then: Literal["hold", "floor", "last_good"] = "hold"
    """`hold`: what runs stays, and nothing more is started than limits and schedules ask for; `floor`: `floor` machines
    run at least, within limits and budget; `last_good`: as many as the last good reading led to, so that one that dies
    is replaced."""
    floor: int | None = None
    """Machines, with `then: floor`."""

    @property
    def words(self) -> str:
        """What follows, for people."""
        if self.then == "floor":
            return f"at least {self.floor} machines run"
        if self.then == "last_good":
            return "as many run as the last good reading led to"
        return "what runs stays and nothing more is started for it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadlines:
    """How long a machine may stay in each phase that waits; then the phase's escalation follows."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    planned: Seconds = 120.0
    """A provider's answer to `rent`; then the outcome counts as unclear and the token is looked for."""
    renting: Seconds = 600.0
    """A rented machine's appearance in the provider's listing; then it is released."""
    booting: Seconds = 75 * 60.0
    """Image pull and model load, up to readiness; then the machine is released."""
    draining: Seconds = 30 * 60.0
    """The end of the last job after the drain mark; then an alarm is raised. Work is never cut off."""
    stopping: Seconds = 600.0
    """A stop; then the machine is released instead."""
    resuming: Seconds = 600.0
    """A resume; then the order is cancelled and the machine goes back to WARM, or is dropped."""
    releasing: Seconds = 600.0
    """The proof that a machine is gone; then an alarm is raised, and releasing goes on."""
    lost: Seconds = 600.0
    """The return of a machine that the provider no longer lists; then it is released."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """When a running machine is replaced though it runs, and what is said of one that has little to do."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    degraded_after: Seconds = 300.0
    """How long a sign of trouble must last: a silent worker, its own word, a service that answers no more, a worrying
    status at the provider. Then a replacement is started, and the machine is drained once that one is HOT."""
    low_gpu: float = 0.2
    """Share of its time, 0 to 1, below which a GPU is said to be used too little."""
    low_gpu_for: Seconds = 3600.0
    """How long it must be below `low_gpu` before a warning is raised."""
    idle_gpu: float = 0.1
    """Share of its time, 0 to 1, below which a GPU is as good as idle."""
    idle_gpu_for: Seconds = 7200.0
    """How long it must be below `idle_gpu` before its machine goes ahead of others that could go, too."""
    retry_image: Seconds = 3600.0
    """After an image crashed in a loop on two hosts, how long before one machine is rented to try it again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """One workload: tiers, machine, placements and limits, as the core sees it."""

    name: str
    tiers: tuple[Tier, ...]
    machine: MachineSpec
    placements: tuple[Placement, ...]
    prefer: Prefer = "order"
    limits: Limits = Limits()
    pace: Pace = Pace()
    deadlines: Deadlines = Deadlines()
    health: Health = Health()
    fallback: Fallback = Fallback()
