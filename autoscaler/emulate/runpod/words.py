"""Pods and catalogue in the words of REST v2."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from autoscaler.core.market import Status
from autoscaler.emulate.runpod.catalogue import Catalogue, GpuType, cloud_of
from autoscaler.emulate.runpod.pods import CLOUDS, Pod, PodStatus
from autoscaler.emulate.runpod.quirks import Quirk
from providers.mock.faults import Struck

ACTIONS: dict[PodStatus, tuple[str, ...]] = {
    PodStatus.PROVISIONING: ("stop", "terminate"),
    PodStatus.STARTING: ("stop", "terminate"),
    PodStatus.RUNNING: ("stop", "restart", "terminate"),
    PodStatus.EXITED: ("start", "terminate"),
    PodStatus.ERROR: ("start", "terminate"),
    PodStatus.TERMINATED: (),
}
"""What can be done with a pod in each state; anything else is 409."""

_VCPUS_PER_GPU, _RAM_GB_PER_GPU = 16, 64
_PUBLIC_IP, _PRIVATE_IP = "203.0.113.20", "100.65.0.20"
"""Of ranges that are routed nowhere: 203.0.113.0/24 is for documentation (RFC 5737)."""
_FIRST_PUBLIC_PORT, _PUBLIC_PORTS = 10_000, 50_000


def moment(at: float) -> str:
    """Epoch seconds in RFC 3339."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def vcpus(pod: Pod) -> int:
    """A pod's processors."""
    return _VCPUS_PER_GPU * pod.machine.gpu_count


def ram_gb(pod: Pod) -> int:
    """A pod's memory, in GB."""
    return _RAM_GB_PER_GPU * pod.machine.gpu_count


def pod_words(pod: Pod, now: float) -> dict[str, Any]:
    """A pod as REST v2 shows it. To look at a running one makes its ports known to the next look."""
    order, machine, status = pod.order, pod.machine, pod.status(now)
    persistent = {"persistent": {"size": order.volume_gb, "path": order.volume_path}} if order.volume_gb else {}
    gpu = {
        "id": machine.gpu,
        "count": machine.gpu_count,
        "vcpuCount": vcpus(pod),
        "memory": ram_gb(pod),
    }
    return {
        "id": pod.id,
        "name": pod.name,
        "image": order.image,
        "args": order.args,
        "disk": order.container_gb,
        "ports": list(order.ports),
        "env": dict(order.env),
        "registry": order.registry,
        "status": status,
        "actions": list(ACTIONS[status]),
        "mounts": persistent,
        "gpu": gpu,
        "cloud": cloud_of(machine.region),
        "dataCenterId": machine.region if cloud_of(machine.region) == "SECURE" else None,
        "template": None,
        "cost": 0.0 if status is PodStatus.TERMINATED else pod.cost_usd_per_hour,
        "locked": pod.locked,
        "globalNetworking": {"enabled": False},
        "runtime": _runtime(pod, now) if machine.status is Status.RUNNING and not pod.terminated else None,
        "createdAt": moment(machine.created_at),
        "startedAt": None if pod.started_at is None else moment(pod.started_at),
    }


def _runtime(pod: Pod, now: float) -> dict[str, Any]:
    ports = ports_of(pod) if pod.ports_known else []
    pod.ports_known = True
    return {
        "uptime": int(now - (pod.started_at or now)),
        "gpus": [{"util": 0, "memoryUtil": 0}] * pod.machine.gpu_count,
        "cpu": {"util": 0},
        "memory": {"util": 0},
        "ports": ports,
    }


def ports_of(pod: Pod) -> list[dict[str, Any]]:
    """Where a pod's ports are: http ones behind the proxy, with a private address; others change with each start."""
    rows = []
    for place, port in enumerate(pod.order.ports):
        private, _, kind = port.partition("/")
        shift = pod.serial * 131 + pod.machine.starts * 17 + place
        rows.append(
            {
                "private": int(private),
                "public": _FIRST_PUBLIC_PORT + shift % _PUBLIC_PORTS,
                "type": kind,
                "ip": _PRIVATE_IP if kind == "http" else _PUBLIC_IP,
            }
        )
    return rows


def gpu_words(kind: GpuType, catalogue: Catalogue, now: float, quirks: Collection[Quirk]) -> dict[str, Any]:
    """A GPU type as the catalogue shows it without stock."""
    prices = {cloud: catalogue.usd_per_hour(now, kind.id, cloud) for cloud in CLOUDS}
    some_price = max(price for price in prices.values() if price is not None)
    unsold = some_price if Quirk.UNSOLD_PRICES in quirks else 0.0
    return {
        "id": kind.id,
        "name": kind.name,
        "pool": None,
        "manufacturer": kind.manufacturer,
        "memory": kind.memory_gb,
        "secure": prices["SECURE"] is not None,
        "community": prices["COMMUNITY"] is not None,
        "price": {cloud.lower(): unsold if price is None else price for cloud, price in prices.items()},
        "maxCount": {cloud.lower(): catalogue.most(now, kind.id, cloud) for cloud in prices},
    }


def stock_words(
    kind: GpuType, catalogue: Catalogue, now: float, struck: Struck, *, cloud: Any, count: int
) -> dict[str, Any]:
    """How much there is of a GPU type, everywhere and in each data centre."""
    return {
        "availability": catalogue.level(now, kind.id, cloud, struck, count=count),
        "dataCenters": [
            {
                "id": center,
                "name": center,
                "availability": catalogue.level(now, kind.id, cloud, struck, count=count, data_center=center),
            }
            for center in catalogue.data_centers
        ],
    }
