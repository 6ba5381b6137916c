"""Pods: what was ordered, and what RunPod keeps of each beside the machine itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from autoscaler.core.market import Status
from providers.mock.machine import Machine

Cloud = Literal["SECURE", "COMMUNITY"]
POD_KEY_PREFIX = "rpa_pod_"
"""What the keys begin with that RunPod puts into pods."""
CLOUDS: tuple[Cloud, ...] = ("SECURE", "COMMUNITY")

_HOURS_PER_MONTH = 720.0
_RUNNING_USD_PER_GB_MONTH, _STOPPED_USD_PER_GB_MONTH = 0.10, 0.20
_PROVISIONING_S = 5.0
_PORT = re.compile(r"\d{1,5}/(http|tcp)", re.ASCII)


class PodStatus(StrEnum):
    """REST v2's words for the state of a pod."""

    PROVISIONING = "PROVISIONING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    EXITED = "EXITED"
    ERROR = "ERROR"
    TERMINATED = "TERMINATED"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What a customer asks for when he creates a pod, whichever API he uses."""

    name: str
    image: str
    gpu: str
    cloud: Cloud | None = "SECURE"
    """Either when None, which only GraphQL knows."""
    data_centers: tuple[str, ...] = ()
    container_gb: int = 0
    """Disk that is wiped and free of charge while the pod is stopped."""
    volume_gb: int = 0
    """Disk that stays, and costs double while the pod is stopped."""
    volume_path: str = ""
    ports: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    args: str = ""
    registry: str | None = None
    global_networking: bool = False
    bid_usd_per_hour: float | None = None
    """Disk not included; rented as spot where there is one."""
    stop_at: float | None = None
    """Epoch seconds."""
    terminate_at: float | None = None
    """Epoch seconds."""

    @property
    def problems(self) -> list[str]:
        """What is wrong with it in either API."""
        ports = [f"invalid port {port}" for port in self.ports if not _PORT.fullmatch(port)]
        return ports + (["invalid disk size"] if min(self.container_gb, self.volume_gb) < 0 else [])

    @property
    def running_disk_usd_per_hour(self) -> float:
        """What its disks cost while it runs: 0.10 USD per GB and month of 720 h (RunPod's pricing page)."""
        return _RUNNING_USD_PER_GB_MONTH * (self.container_gb + self.volume_gb) / _HOURS_PER_MONTH

    @property
    def stopped_disk_usd_per_hour(self) -> float:
        """What its disks cost while it is stopped: 0.20 USD per GB and month for the volume (RunPod's pricing page)."""
        return _STOPPED_USD_PER_GB_MONTH * self.volume_gb / _HOURS_PER_MONTH


class End(NamedTuple):
    """A moment at which RunPod stops or terminates a pod by itself."""

    at: float
    """Epoch seconds."""
    terminates: bool


@dataclass(kw_only=True, slots=True)
class Pod:
    """One pod."""

    serial: int
    """In the order of creation."""
    machine: Machine
    order: Order
    key: str
    """The pod's own API key."""
    name: str
    locked: bool = False
    seen: Status = Status.STARTING
    """The state its machine was last seen in, and since when."""
    since: float = 0.0
    started_at: float | None = None
    """When its container last started."""
    ports_known: bool = False
    """Its ports are shown one look later than that it runs."""
    terminated: bool = False
    ends: list[End] = field(default_factory=list)
    """What will stop or terminate it by itself."""

    @property
    def id(self) -> str:
        """Its id."""
        return self.machine.id

    @property
    def cost_usd_per_hour(self) -> float:
        """What RunPod shows as its price: disks left out, and nothing while it is stopped."""
        return self.compute_usd_per_hour if self.machine.on_gpu else 0.0

    @property
    def compute_usd_per_hour(self) -> float:
        """Its price while it runs, disks left out."""
        return round(self.machine.usd_per_hour - self.order.running_disk_usd_per_hour, 6)

    def notice(self, now: float) -> None:
        """See what became of its machine; to be called whenever something may have happened to it."""
        if self.machine.status is not self.seen:
            self.seen, self.since = self.machine.status, now
            if self.seen is Status.RUNNING:
                self.started_at, self.ports_known = now, False

    def status(self, now: float) -> PodStatus:
        """Its state in RunPod's words. Nothing shows that a host is offline but that `runtime` is missing."""
        if self.terminated:
            return PodStatus.TERMINATED
        match self.machine.status:
            case Status.STARTING:
                return PodStatus.PROVISIONING if now < self.since + _PROVISIONING_S else PodStatus.STARTING
            case Status.RUNNING:
                return PodStatus.RUNNING
            case Status.FAILED:
                return PodStatus.ERROR
            case Status.OFFLINE if self.machine.runs_after_outage:
                return PodStatus.RUNNING
            case _:
                return PodStatus.EXITED
