"""What RunPod's disks cost, and what a pod costs now, in USD per hour.

Source of the prices: RunPod's documentation of pod pricing, as of August 2026. A month is 720 hours there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoscaler.core.market import Status
from autoscaler.core.spec import MachineSpec
from providers.runpod.wire import Pod

_RUNNING_USD_PER_GB_MONTH = 0.10
_STOPPED_USD_PER_GB_MONTH = 0.20  # the volume's; the container's disk is wiped and free
_MONTH_H = 720.0
_LEAST_VOLUME_GB = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Disks:
    """The two disks of a pod, in GB."""

    volume_gb: int
    """Outlives a stop."""
    container_gb: int

    @property
    def running_usd_per_hour(self) -> float:
        """What they cost while the pod runs: 40 and 50 GB are 90 × 0.10 / 720 = 0.0125 USD per hour."""
        return (self.volume_gb + self.container_gb) * _RUNNING_USD_PER_GB_MONTH / _MONTH_H

    @property
    def stopped_usd_per_hour(self) -> float:
        """What they cost while it is stopped: 40 and 50 GB are 40 × 0.20 / 720 = 0.0111 USD per hour."""
        return self.volume_gb * _STOPPED_USD_PER_GB_MONTH / _MONTH_H


def disks_for(machine: MachineSpec, container_gb: int) -> Disks:
    """The disks to rent: RunPod sells no volume below 10 GB, and only whole ones."""
    return Disks(volume_gb=max(_LEAST_VOLUME_GB, math.ceil(machine.disk_gb)), container_gb=container_gb)


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """What a pod costs, in USD per hour, disk included."""

    running: float
    """0 where nothing tells it: of a pod that is stopped and does not carry its terms."""
    stopped: float
    now: float


def costs_of(pod: Pod) -> Costs:
    """What a listed pod costs.

    RunPod tells the price of this moment, 0 while the pod is stopped though its volume is billed. So the price while
    running is the one agreed, which the pod carries with it. Its documents do not say whether the price told holds the
    disks: up to the sum that was agreed it is taken to, above that to be another price, with the disks to be added.
    """
    disks = Disks(volume_gb=pod.volume_gb, container_gb=pod.container_gb)
    stopped, of_disks = disks.stopped_usd_per_hour, disks.running_usd_per_hour
    told = pod.cost_usd_per_hour
    of_gpu = pod.terms.gpu_usd_per_hour if pod.terms else told
    agreed = of_disks + of_gpu if of_gpu else 0.0
    running = agreed if told <= agreed else told + of_disks
    if told:
        now = min(running, told + of_disks)
    else:
        now = stopped if pod.status in (Status.STOPPED, Status.FAILED) else max(running, of_disks)
    return Costs(running=running, stopped=stopped, now=now)
