"""What RunPod has: GPU types, data centres, prices and stock. A hint, as RunPod's is, and no reservation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from autoscaler.core.spec import Buy, MachineSpec, Placement
from autoscaler.emulate.runpod.pods import Cloud
from providers.mock import Market
from providers.mock.faults import Struck

_MEMORY_GB = {
    "NVIDIA GeForce RTX 3090": 24,
    "NVIDIA GeForce RTX 4090": 24,
    "NVIDIA GeForce RTX 5090": 32,
    "NVIDIA L4": 24,
    "NVIDIA L40S": 48,
    "NVIDIA RTX A4000": 16,
    "NVIDIA RTX A5000": 24,
    "NVIDIA RTX A6000": 48,
    "NVIDIA H200": 141,
    "NVIDIA B200": 180,
}
_NAMED_MEMORY = re.compile(r"(\d+) ?GB")
_SOME_MEMORY_GB = 24
_MOST_PER_POD = 1
"""The market lets one GPU to a machine."""


def cloud_of(region: str) -> Cloud:
    """The cloud of a kind of stock: community hosts are addressed by a country, secure ones by a data centre."""
    return "COMMUNITY" if len(region) == 2 else "SECURE"


@dataclass(frozen=True, slots=True)
class GpuType:
    """A type of GPU as the catalogue names it."""

    id: str

    @property
    def name(self) -> str:
        """What people call it."""
        return self.id.removeprefix("NVIDIA ").removeprefix("GeForce ")

    @property
    def manufacturer(self) -> str:
        """Who makes it, as far as we know."""
        return "NVIDIA" if self.id.startswith("NVIDIA") else "UNKNOWN"

    @property
    def memory_gb(self) -> int:
        """Its memory; of an unknown type what its name says."""
        named = _NAMED_MEMORY.search(self.id)
        return _MEMORY_GB.get(self.id) or (int(named[1]) if named else _SOME_MEMORY_GB)


class Catalogue:
    """What there is in a market, in RunPod's terms: one price for each type and cloud, wherever a host stands."""

    def __init__(self, market: Market) -> None:
        self._market = market
        stock = market.settings.stock
        self.gpus = tuple(dict.fromkeys(GpuType(kind.gpu) for kind in stock))
        self.data_centers = tuple(dict.fromkeys(kind.region for kind in stock if cloud_of(kind.region) == "SECURE"))

    def find(self, gpu: str) -> GpuType | None:
        """The type of this id; None where there is none."""
        return next((kind for kind in self.gpus if kind.id == gpu), None)

    def usd_per_hour(self, now: float, gpu: str, cloud: Cloud, buy: Buy = "on_demand") -> float | None:
        """The price of one GPU, disk not included; None where this cloud has no such type."""
        self._market.settle(now)
        return min(
            (
                host.usd_per_hour(buy, now)
                for host in self._market.hosts.values()
                if host.stock.gpu == gpu and cloud_of(host.stock.region) == cloud
            ),
            default=None,
        )

    def most(self, now: float, gpu: str, cloud: Cloud) -> int:
        """GPUs of a type that one pod may have in a cloud."""
        return 0 if self.usd_per_hour(now, gpu, cloud) is None else _MOST_PER_POD

    def level(
        self, now: float, gpu: str, cloud: Cloud, struck: Struck, *, count: int = 1, data_center: str = ""
    ) -> str:
        """How much there is to be had now for a pod with so many GPUs, in RunPod's words."""
        if count > _MOST_PER_POD:
            return "NONE"
        placement = Placement(
            provider="runpod", max_usd_per_hour=math.inf, regions=(data_center,) if data_center else ()
        )
        offers = self._market.offers(now, placement, MachineSpec(image="", gpus=(gpu,), disk_gb=0), struck)
        free = sum(1 for offer in offers if cloud_of(offer.region) == cloud)
        return ("NONE", "LOW", "MEDIUM", "MEDIUM", "HIGH")[min(free, 4)]
