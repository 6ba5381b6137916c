"""What is ordered at RunPod: pods, by REST v2 or by GraphQL, and starts of spot pods."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from providers.runpod.wire import TERMS, Cloud, Terms

_MOST_VARIABLES, _MOST_BYTES = 50, 102_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A pod to be made."""

    name: str
    image: str
    gpu_id: str
    cloud: Cloud
    data_center: str
    """Any where it is empty."""
    volume_gb: int
    volume_path: str
    container_gb: int
    terms: Terms
    env: Mapping[str, str]
    args: tuple[str, ...] = ()
    port: int | None = None
    registry: str | None = None


def excess(order: Order) -> str:
    """What of an order is more than RunPod takes, for people; empty where nothing is."""
    variables, size = len(_environment(order)), len(json.dumps(create_body(order)).encode())
    if variables > _MOST_VARIABLES:
        return f"RunPod takes {_MOST_VARIABLES} environment variables, and with ours there are {variables}: shorten env"
    return f"RunPod takes a request of {_MOST_BYTES} bytes, this has {size}: shorten env" if size > _MOST_BYTES else ""


def create_body(order: Order) -> dict[str, Any]:
    """The body of `POST /v2/pods`. It is closed: a field that RunPod does not know is refused."""
    body: dict[str, Any] = {
        "name": order.name,
        "image": order.image,
        "gpu": {"id": order.gpu_id, "count": 1},
        "cloud": order.cloud.upper(),
        "disk": order.container_gb,
        "mounts": {"persistent": {"size": order.volume_gb, "path": order.volume_path}},
        "env": _environment(order),
    }
    if order.data_center:
        body["dataCenterIds"] = [order.data_center]
    if order.port is not None:
        body["ports"] = [f"{order.port}/tcp"]
    if order.args:
        body["args"] = _arguments(order.args)
    if order.registry:
        body["registry"] = order.registry
    return body


def deploy_input(order: Order) -> dict[str, Any]:
    """The input of GraphQL's two mutations that make a pod; the bid and the end are in the order's terms."""
    deploy: dict[str, Any] = {
        "name": order.name,
        "imageName": order.image,
        "gpuTypeId": order.gpu_id,
        "gpuCount": 1,
        "cloudType": order.cloud.upper(),
        "containerDiskInGb": order.container_gb,
        "volumeInGb": order.volume_gb,
        "volumeMountPath": order.volume_path,
        "env": [{"key": key, "value": value} for key, value in _environment(order).items()],
    }
    if order.data_center:
        deploy["dataCenterId"] = order.data_center
    if order.port is not None:
        deploy |= {"ports": f"{order.port}/tcp", "supportPublicIp": True}
    if order.args:
        deploy["dockerArgs"] = _arguments(order.args)
    if order.registry:
        deploy["containerRegistryAuthId"] = order.registry
    if order.terms.buy == "spot":
        deploy["bidPerGpu"] = order.terms.gpu_usd_per_hour
    if order.terms.ends_at is not None:
        deploy["terminateAfter"] = datetime.fromtimestamp(order.terms.ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return deploy


def resume_input(pod_id: str, terms: Terms) -> dict[str, Any]:
    """The input of GraphQL's start of a spot pod: by the bid it was rented with."""
    return {"podId": pod_id, "bidPerGpu": terms.gpu_usd_per_hour, "gpuCount": 1}


def _environment(order: Order) -> dict[str, str]:
    return {**order.env, TERMS: json.dumps(asdict(order.terms), separators=(",", ":"))}


def _arguments(args: tuple[str, ...]) -> str:
    """Arguments in the JSON form that RunPod takes besides a text, in which nothing has to be quoted for a shell."""
    return json.dumps({"cmd": list(args)})
