"""What Vast.ai says of a machine's hardware and host, on offers and instances alike."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from providers.mock.hosts import Host

_DAY_S = 86400.0
_CITIES = {"US": "Iowa", "CA": "Quebec", "DE": "Bavaria", "GB": "England", "FR": "Paris", "SE": "Stockholm"}
DISK_GB = 812.4
"""What can be had of a machine's disk."""
_FIRST_MACHINE, _FIRST_HOST = 51_000, 203_000


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU type."""

    ram_mb: int
    """Usable memory."""
    compute_cap: int
    """CUDA's compute capability, a hundredfold."""
    dlperf: float
    mem_bw: float
    """GB per second."""
    tflops: float


CARDS = {
    "RTX 3090": Card(24576, 860, 42.0, 760.0, 35.3),
    "RTX 4090": Card(24564, 890, 101.0, 908.0, 82.5),
    "RTX 5090": Card(32607, 1200, 170.0, 1500.0, 104.0),
    "RTX A5000": Card(24564, 860, 39.0, 628.0, 27.5),
    "L4": Card(22491, 890, 38.0, 264.0, 30.0),
    "A100 SXM4": Card(81920, 800, 110.0, 1650.0, 19.5),
    "H100 SXM": Card(81559, 900, 240.0, 2600.0, 53.5),
}
_UNKNOWN_CARD = Card(24564, 860, 50.0, 700.0, 30.0)


def card(gpu: str) -> Card:
    """A GPU type by its name; a middling one where the name is not known."""
    return CARDS.get(gpu, _UNKNOWN_CARD)


@dataclass(frozen=True, slots=True)
class Place:
    """A physical machine as Vast.ai numbers it."""

    machine_id: int
    host_id: int
    gpu: str
    region: str
    gpus: int
    reliability: float
    ends_at: float
    """Epoch seconds up to which its host lets it."""

    def row(self) -> dict[str, Any]:
        """The fields that offers and instances share; one GPU of it is let."""
        made = card(self.gpu)
        return {
            "machine_id": self.machine_id,
            "host_id": self.host_id,
            "bundle_id": 930_000_000 + self.machine_id,
            "gpu_name": self.gpu,
            "gpu_arch": "nvidia",
            "num_gpus": 1,
            "gpu_frac": round(1 / self.gpus, 4),
            "gpu_ram": made.ram_mb,
            "gpu_lanes": 16,
            "gpu_mem_bw": made.mem_bw,
            "gpu_max_power": 450.0,
            "gpu_max_temp": 90.0,
            "gpu_display_active": False,
            "bw_nvlink": 0.0,
            "total_flops": made.tflops,
            "dlperf": made.dlperf,
            "compute_cap": made.compute_cap,
            "cuda_max_good": 12.8,
            "driver_version": "570.86.15",
            "cpu_arch": "amd64",
            "cpu_name": "EPYC 7543",
            "cpu_cores": 64,
            "cpu_cores_effective": 64.0 / self.gpus,
            "cpu_ghz": 2.8,
            "cpu_ram": 257_000,
            "has_avx": 1,
            "disk_name": "Samsung SSD 980",
            "disk_bw": 3120.0,
            "pcie_bw": 24.8,
            "pci_gen": 4.0,
            "mobo_name": "ROME2D32GM-2T",
            "os_version": "22.04",
            "inet_up": 870.2,
            "inet_down": 912.6,
            "inet_up_cost": 0.004,
            "inet_down_cost": 0.003,
            "internet_up_cost_per_tb": 4.0,
            "internet_down_cost_per_tb": 3.0,
            "reliability2": self.reliability,
            "verification": "verified",
            "rentable": True,
            "external": None,
            "hosting_type": 1,
            "static_ip": True,
            "direct_port_count": 250,
            "public_ipaddr": f"203.0.113.{self.machine_id % 250 + 1}",
            "geolocation": f"{_CITIES.get(self.region, 'Somewhere')}, {self.region}",
            "geolocode": -zlib.crc32(self.region.encode()) % 10_000,
            "vms_enabled": False,
            "webpage": None,
            "credit_discount_max": 0.4,
        }


def place_of(host: Host, number: int, opened_at: float) -> Place:
    """The machine of one of the market's hosts, which is the `number`-th of them."""
    days = 60 + zlib.crc32(host.id.encode()) % 60
    return Place(
        machine_id=_FIRST_MACHINE + number,
        host_id=_FIRST_HOST + number // 2,
        gpu=host.stock.gpu,
        region=host.stock.region,
        gpus=host.stock.gpus_per_host,
        reliability=host.reliability,
        ends_at=opened_at + days * _DAY_S,
    )


def elsewhere(gpu: str, region: str, opened_at: float) -> Place:
    """The machine of a foreign instance."""
    return Place(_FIRST_MACHINE - 1, _FIRST_HOST - 1, gpu, region, 1, 0.99, opened_at + 90 * _DAY_S)
