"""Pods and GPU types in the words of GraphQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from autoscaler.core.market import Status
from autoscaler.emulate.runpod.catalogue import Catalogue, GpuType, cloud_of
from autoscaler.emulate.runpod.pods import CLOUDS, Cloud, Pod
from autoscaler.emulate.runpod.quirks import Quirk
from autoscaler.emulate.runpod.words import moment, ports_of, ram_gb, vcpus
from providers.mock.faults import Struck
from providers.mock.machine import Event

_STALE_FOR_S = 300.0


def pod_words(pod: Pod, now: float, quirks: Collection[Quirk]) -> dict[str, Any]:
    """A pod as GraphQL shows it: what is wanted of it, and in `runtime` what is known of its container."""
    order, machine = pod.order, pod.machine
    runtime = _runtime(pod, now, quirks)
    return {
        "id": pod.id,
        "name": pod.name,
        "imageName": order.image,
        "desiredStatus": "RUNNING" if wanted_up(pod) else "EXITED",
        "lastStatusChange": _last_change(pod),
        "lastStartedAt": None if pod.started_at is None else moment(pod.started_at),
        "costPerHr": pod.compute_usd_per_hour,
        "gpuCount": machine.gpu_count,
        "vcpuCount": vcpus(pod),
        "memoryInGb": ram_gb(pod),
        "containerDiskInGb": order.container_gb,
        "volumeInGb": order.volume_gb,
        "volumeMountPath": order.volume_path,
        "dockerArgs": order.args,
        "dockerId": None,
        "env": [f"{key}={value}" for key, value in order.env.items()],
        "ports": ",".join(order.ports),
        "port": None,
        "podType": "RESERVED" if machine.buy == "on_demand" else "INTERRUPTABLE",
        "machineId": machine.host,
        "machine": {
            "podHostId": f"{pod.id}-{machine.host}",
            "gpuDisplayName": GpuType(machine.gpu).name,
            "dataCenterId": machine.region,
            "secureCloud": cloud_of(machine.region) == "SECURE",
        },
        "uptimeSeconds": runtime["uptimeInSeconds"] if runtime else 0,
        "runtime": runtime,
    }


def wanted_up(pod: Pod) -> bool:
    """Whether the customer wants a pod to run: so from the rent until a stop is asked for, whatever its container does.

    Of a pod that is terminated and still shown it says EXITED, too.
    """
    machine = pod.machine
    up = machine.on_gpu or (machine.status is Status.OFFLINE and machine.runs_after_outage)
    return up and Event.STOPS not in machine.ahead and not pod.terminated


def _last_change(pod: Pod) -> str:
    at = datetime.fromtimestamp(pod.since, UTC).strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)")
    if pod.terminated:
        return f"Terminated by user: {at}"
    if wanted_up(pod):
        return f"Rented by User: {at}"
    if pod.machine.detail == "outbid":
        return f"Outbid: {at}"
    by_user = Event.STOPS in pod.machine.ahead or pod.machine.detail == "stopped by user"
    return f"Exited by user: {at}" if by_user else f"Exited by Runpod: {at}"


def _runtime(pod: Pod, now: float, quirks: Collection[Quirk]) -> dict[str, Any] | None:
    up = pod.machine.status is Status.RUNNING and not pod.terminated
    stale = Quirk.STALE_RUNTIME in quirks and pod.machine.status is Status.STOPPED and now < pod.since + _STALE_FOR_S
    if pod.started_at is None or Quirk.NO_RUNTIME in quirks or not (up or stale):
        return None
    ports = [
        {
            "ip": port["ip"],
            "isIpPublic": port["type"] != "http",
            "privatePort": port["private"],
            "publicPort": port["public"],
            "type": port["type"],
        }
        for port in (ports_of(pod) if pod.ports_known else [])
    ]
    pod.ports_known = True
    gpus = [
        {"id": f"gpu{place}", "gpuUtilPercent": 0, "memoryUtilPercent": 0} for place in range(pod.machine.gpu_count)
    ]
    return {"uptimeInSeconds": int(now - pod.started_at), "ports": ports, "gpus": gpus}


def gpu_words(kind: GpuType, catalogue: Catalogue, now: float, struck: Struck) -> dict[str, Any]:
    """A GPU type as GraphQL shows it."""
    secure, community = (catalogue.usd_per_hour(now, kind.id, cloud) for cloud in CLOUDS)
    secure_spot, community_spot = (catalogue.usd_per_hour(now, kind.id, cloud, "spot") for cloud in CLOUDS)
    return {
        "id": kind.id,
        "displayName": kind.name,
        "manufacturer": kind.manufacturer,
        "memoryInGb": kind.memory_gb,
        "maxGpuCount": 1,
        "secureCloud": secure is not None,
        "communityCloud": community is not None,
        "securePrice": secure,
        "communityPrice": community,
        "secureSpotPrice": secure_spot,
        "communitySpotPrice": community_spot,
        "lowestPrice": lambda _, **asked: _lowest(kind, catalogue, now, struck, asked.get("input") or {}),
    }


def _lowest(
    kind: GpuType, catalogue: Catalogue, now: float, struck: Struck, asked: Mapping[str, Any]
) -> dict[str, Any]:
    secure = asked.get("secureCloud")
    clouds: tuple[Cloud, ...] = CLOUDS if secure is None else ("SECURE" if secure else "COMMUNITY",)
    known = {cloud: catalogue.usd_per_hour(now, kind.id, cloud) for cloud in clouds}
    prices = {cloud: price for cloud, price in known.items() if price is not None}
    if not prices:
        return {}
    cheapest = min(prices, key=lambda cloud: prices[cloud])
    level = catalogue.level(
        now, kind.id, cheapest, struck, count=asked.get("gpuCount") or 1, data_center=asked.get("dataCenterId") or ""
    )
    if level == "NONE":
        return {"stockStatus": "None"}
    return {
        "minimumBidPrice": catalogue.usd_per_hour(now, kind.id, cheapest, "spot"),
        "uninterruptablePrice": prices[cheapest],
        "stockStatus": level.title(),
    }
