"""REST v2's creates as orders, and the rules that the shape of their body cannot say."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.emulate.runpod.bodies import CreatePod, Gpu
from autoscaler.emulate.runpod.pods import Order
from autoscaler.emulate.runpod.refusals import NO_INSTANCES, Refusal


def order_of(body: CreatePod) -> Order:
    """What a create asks for.

    Raises:
        Refusal: it breaks a rule, or asks for what the market never has: processors alone, several GPUs.
    """
    for refusal in _broken(body):
        raise refusal
    persistent = body.mounts.persistent
    if body.gpu is None or body.gpu.count > 1 or body.disk is None:
        raise Refusal(400, NO_INSTANCES)
    return Order(
        name=body.name,
        image=body.image,
        gpu=body.gpu.id,
        cloud=body.cloud,
        data_centers=tuple(body.data_center_ids),
        container_gb=body.disk,
        volume_gb=0 if persistent is None else persistent.size,
        volume_path="" if persistent is None else persistent.path,
        ports=tuple(body.ports),
        env=body.env,
        args=body.args,
    )


def _broken(body: CreatePod) -> Iterator[Refusal]:
    """What is wrong with a body, the first thing first."""
    if (body.gpu is None) == (body.cpu is None):
        yield Refusal(400, "exactly one of gpu or cpu is required")
    if body.template_id:
        yield Refusal(404, "template not found")
    if not body.image:
        yield Refusal(400, "image is required without a template")
    if body.disk is None:
        yield Refusal(400, "a template id or pod configuration parameters are required")
    if body.registry is not None:
        yield Refusal(400, "container registry auth not found")
    if body.mounts.persistent is not None and body.mounts.network:
        yield Refusal(400, "mounts.persistent and mounts.network are mutually exclusive")
    if body.mounts.persistent is not None and body.cpu is not None:
        yield Refusal(400, "mounts.persistent is invalid for CPU pods")
    yield from (Refusal(400, f"network volume {mount.volume_id} not found") for mount in body.mounts.network)
    if body.gpu is not None:
        yield from _broken_by(body.gpu)
    if body.cpu is not None and body.cpu.vcpu_count.bit_count() != 1:
        yield Refusal(400, "vcpuCount must be a power of two")


def _broken_by(gpu: Gpu) -> Iterator[Refusal]:
    if gpu.allowed_cuda_versions and gpu.min_cuda_version:
        yield Refusal(400, "allowedCudaVersions and minCudaVersion are mutually exclusive")
