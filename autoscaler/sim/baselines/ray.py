"""Ray: its cluster autoscaler, one task a job, and Ray Serve's replica autoscaler, one replica a machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import NOTHING, Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import (
    NEVER_KILL,
    idle_for,
    machines_for,
    newest_not_ready_first,
    resize,
    unplaced,
)
from autoscaler.sim.baselines.windows import WindowMean

_LEAST_GROWTH = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class RaySettings:
    """Settings of the Ray autoscaler."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    upscaling_speed: float = 1.0
    """Machines that may be pending, per running one; five always may."""
    idle_timeout: Seconds = 300.0
    """`idle_timeout_minutes`: how long a node may be idle."""
    update_interval: Seconds = 5.0
    """How often it looks."""


class Ray:
    """Nodes for the tasks that fit on none that runs or is pending; idle nodes go after five minutes."""

    grace_s = NEVER_KILL

    def __init__(self, settings: RaySettings, limits: Span) -> None:
        self.every_s = settings.update_interval
        self._settings = settings
        self._limits = limits

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        nodes = len(view.machines)
        missing = self._limits.clamp(nodes + unplaced(view)) - nodes
        if missing > 0:
            running = sum(machine.ready_at is not None for machine in view.machines)
            may_be_pending = max(_LEAST_GROWTH, math.ceil(self._settings.upscaling_speed * running))
            allowed = max(0, may_be_pending - (nodes - running))
            return Orders(rent=min(missing, max(allowed, self._limits.low - nodes)))
        ended = idle_for(view, self._settings.idle_timeout, keep=self._limits.low)
        return Orders(end=ended) if ended else NOTHING


AUTOSCALER = Baseline(
    name="ray",
    title="Ray autoscaler",
    source=(
        "ray 2.60.0 ray/autoscaler/_private/constants.py, resource_demand_scheduler.py, "
        "ray/autoscaler/v2/scheduler.py; re-implementation"
    ),
    settings=RaySettings,
    make=Ray,
    knob="idle_timeout",
    grid=(30.0, 60.0, 180.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0),
    boot_deadline_s=3600.0,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RayServeSettings:
    """Settings of Ray Serve's `autoscaling_config`; its smoothing factors are 1 by default and left out."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    target_ongoing_requests: float = 2.0
    """Ongoing and queued requests per replica to aim at; the sensible value is the machine's slots, or less."""
    look_back_period_s: Seconds = 30.0
    """Window of their mean."""
    upscale_delay_s: Seconds = 30.0
    """How long more replicas must be wanted."""
    downscale_delay_s: Seconds = 600.0
    """How long fewer replicas must be wanted."""
    metrics_interval_s: Seconds = 10.0
    """How often requests are counted, and how often it looks."""
    graceful_shutdown_timeout_s: Seconds = 20.0
    """What a replica told to end has to finish its requests."""


class RayServe:
    """Mean requests in the system over the target per replica, when the same direction was wanted for long enough.

    From none it goes up at once. The smallest delays are for one replica: its own delay from one to none is by
    default the one of every way down.
    """

    def __init__(self, settings: RayServeSettings, limits: Span) -> None:
        self.every_s = settings.metrics_interval_s
        self.grace_s = settings.graceful_shutdown_timeout_s
        self._settings = settings
        self._limits = limits
        self._requests = WindowMean(settings.look_back_period_s)
        self._replicas = limits.low
        self._direction = 0
        self._since = 0.0

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        requests = self._requests.add(view.now, view.waiting + view.running)
        wish = self._limits.clamp(machines_for(requests, self._settings.target_ongoing_requests))
        direction = (wish > self._replicas) - (wish < self._replicas)
        if direction != self._direction:
            self._direction = direction
            self._since = view.now
        if direction and view.now - self._since >= self._delay(direction):
            self._replicas = wish
            self._direction = 0
        return resize(view, self._replicas, newest_not_ready_first)

    def _delay(self, direction: int) -> float:
        if self._replicas == 0:
            return 0.0
        return self._settings.upscale_delay_s if direction > 0 else self._settings.downscale_delay_s


SERVE = Baseline(
    name="ray-serve",
    title="Ray Serve",
    source=("ray 2.60.0 ray/serve/autoscaling_policy.py, async_inference_autoscaling_policy.py; re-implementation"),
    settings=RayServeSettings,
    make=RayServe,
    knob="target_ongoing_requests",
    grid=(0.5, 0.7, 1.0, 1.5, 2.0),
)
