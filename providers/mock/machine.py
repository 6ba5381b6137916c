"""One machine of the market as it truly is, with its own meter and what lies ahead of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum, auto
from typing import Any

from autoscaler.core.market import Remote, Status
from autoscaler.core.spec import Buy


class Event(StrEnum):
    """What can happen to a machine by itself."""

    LISTED = auto()
    """The listing catches up with it."""
    READY = auto()
    """Its model is loaded."""
    FAILS = auto()
    STOPS = auto()
    """A stop takes effect."""
    STARTS = auto()
    """Its GPU is free: a queued start, or the return of an outbid machine."""
    OUTBID = auto()
    GOES_OFFLINE = auto()
    COMES_BACK = auto()
    VANISHES = auto()


_OF_THE_HOST = frozenset({Event.LISTED, Event.GOES_OFFLINE, Event.COMES_BACK, Event.VANISHES})
"""Events that neither a stop nor a start calls off."""
_FOREIGN_USD_PER_HOUR, _FOREIGN_DISK_USD_PER_HOUR = 0.50, 0.02
_ON_THE_GPU = frozenset({Status.STARTING, Status.RUNNING, Status.FAILED})


@dataclass(kw_only=True, slots=True)
class Machine:
    """The truth about one machine. The market alone changes it."""

    id: str
    number: int
    """In the order of renting, from 1."""
    label: str
    gpu: str
    region: str
    host: str
    buy: Buy
    usd_per_hour: float
    """Price while running, disk included; of a spot machine its bid."""
    disk_usd_per_hour: float
    created_at: float
    bills_boot: bool = True
    image: str = ""
    slots: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    status: Status = Status.STARTING
    detail: str = ""
    gpu_count: int = 1
    starts: int = 0
    """How often it was started: a worker of an earlier start is dead."""
    busy: int = 0
    """Slots at work, by the simulator that serves on it."""
    listed: bool = True
    barred: bool = False
    """Its GPU will never be free again."""
    runs_after_outage: bool = False
    billed_usd: float = 0.0
    billed_to: float = 0.0
    ahead: dict[Event, float] = field(default_factory=dict)
    """When what will happen to it by itself."""
    _remote: Remote | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.billed_to = self.billed_to or self.created_at

    @property
    def on_gpu(self) -> bool:
        """Whether it is up, starting, or failing to."""
        return self.status in _ON_THE_GPU

    @property
    def bills_gpu(self) -> bool:
        """Whether its running price is billed at this moment."""
        return self.on_gpu and (self.bills_boot or self.status is Status.RUNNING)

    @property
    def burn_usd_per_hour(self) -> float:
        """What it costs at this moment: nothing while its host is away, its disk while it is stopped."""
        if self.bills_gpu:
            return self.usd_per_hour
        return 0.0 if self.status is Status.OFFLINE else self.disk_usd_per_hour

    @property
    def holds_gpu(self) -> bool:
        """Whether one of its host's GPUs is taken by it."""
        if self.status is Status.OFFLINE:
            return self.runs_after_outage
        return self.on_gpu and self.gpu_count > 0

    @property
    def serves(self) -> bool:
        """Whether it is up, with a GPU and the model loaded."""
        return self.status is Status.RUNNING and self.gpu_count > 0

    def cost_usd(self, now: float) -> float:
        """What it has cost from its creation up to now, in USD."""
        return self.billed_usd + self.burn_usd_per_hour * (now - self.billed_to) / 3600.0

    def become(self, status: Status, detail: str) -> None:
        """Change its state, its meter closed before."""
        self.status, self.detail = status, detail
        self.busy = 0

    def call_off(self) -> None:
        """Forget what lay ahead of it, but for what its host brings."""
        self.ahead = {event: at for event, at in self.ahead.items() if event in _OF_THE_HOST}

    def bill(self, now: float) -> None:
        """Close the meter up to now, before a price or a state changes."""
        self.billed_usd, self.billed_to = self.cost_usd(now), now
        self._remote = None

    def set_busy(self, slots: int) -> None:
        """Say how many slots are at work."""
        if slots != self.busy:
            self.busy = slots
            self._remote = None

    def next_event(self) -> tuple[float, Event] | None:
        """What happens to it next."""
        return min(((at, event) for event, at in self.ahead.items()), default=None)

    def remote(self) -> Remote:
        """The machine as a listing shows it."""
        if self._remote is None:
            self._remote = Remote(
                provider_id=self.id,
                label=self.label,
                status=self.status,
                gpu=self.gpu,
                gpu_count=self.gpu_count,
                region=self.region,
                host=self.host,
                buy=self.buy,
                usd_per_hour=self.usd_per_hour,
                disk_usd_per_hour=self.disk_usd_per_hour,
                burn_usd_per_hour=self.burn_usd_per_hour,
                # A name that resolves nowhere; the port changes with each start, as vendors' do.
                address=f"{self.id}.mock.invalid:{40000 + self.starts}" if self.status is Status.RUNNING else None,
                busy_slots=self.busy,
                detail=self.detail,
            )
        return self._remote

    def dump(self) -> dict[str, Any]:
        """This machine as JSON can hold it."""
        return {name: value for name, value in asdict(self).items() if name != "_remote"}

    @classmethod
    def load(cls, row: Mapping[str, Any]) -> Machine:
        """A machine from what `dump` gave."""
        ahead = {Event(event): at for event, at in row["ahead"].items()}
        return cls(**{**row, "status": Status(row["status"]), "ahead": ahead})


def foreign_machine(provider_id: str, label: str, now: float) -> Machine:
    """A machine that somebody else runs in the same account."""
    return Machine(
        id=provider_id,
        number=0,
        label=label,
        gpu="RTX 4090",
        region="US",
        host="elsewhere",
        buy="on_demand",
        usd_per_hour=_FOREIGN_USD_PER_HOUR,
        disk_usd_per_hour=_FOREIGN_DISK_USD_PER_HOUR,
        created_at=now,
        status=Status.RUNNING,
    )
