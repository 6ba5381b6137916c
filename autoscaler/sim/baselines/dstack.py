"""dstack's services, scaled by requests per second.

The number follows the rate of the last minute at once, but only when the last change is long enough ago: 5 minutes to
go up, 10 to go down, no delay away from zero. One quiet minute is enough to go down after 10 minutes without a change.

The rate per replica is a user's choice without a default. Here it is the true one, from the trace's mean service time:
with jobs of minutes, arrivals of one minute say little about the work there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import machines_for, newest_not_ready_first, resize

_RPS_WINDOW_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DstackSettings:
    """Settings of a dstack service's `scaling`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    utilization: float = 0.8
    """`target` as a share of what a machine can do: slots / mean service time."""
    scale_up_delay: Seconds = 300.0
    """Time since the last change before it goes up, unless from zero."""
    scale_down_delay: Seconds = 600.0
    """Time since the last change before it goes down."""
    decision_interval: Seconds = 10.0
    """How often it looks; the source of the formula does not say."""
    stop_duration: Seconds = 300.0
    """What a replica told to end has to finish its requests."""


class Dstack:
    """dstack's `RPSAutoscaler`."""

    def __init__(self, settings: DstackSettings, limits: Span) -> None:
        self.every_s = settings.decision_interval
        self.grace_s = settings.stop_duration
        self._settings = settings
        self._limits = limits
        self._replicas = limits.low
        self._last_scaled_at = -math.inf

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        rps = view.arrived(_RPS_WINDOW_S) / _RPS_WINDOW_S
        wish = self._limits.clamp(machines_for(rps, self._settings.utilization * view.slots / view.mean_service_s))
        if wish != self._replicas and view.now - self._last_scaled_at >= self._delay(wish):
            self._replicas = wish
            self._last_scaled_at = view.now
        return resize(view, self._replicas, newest_not_ready_first)

    def _delay(self, wish: int) -> float:
        if self._replicas == 0:
            return 0.0
        return self._settings.scale_up_delay if wish > self._replicas else self._settings.scale_down_delay


BASELINE = Baseline(
    name="dstack",
    title="dstack by requests per second",
    source=(
        "dstack 0.22.5 dstack/_internal/server/services/autoscalers.py:45-115, services/runs/replicas.py; "
        "re-implementation"
    ),
    settings=DstackSettings,
    make=Dstack,
    knob="utilization",
    grid=(0.3, 0.5, 0.65, 0.8, 1.0),
    boot_deadline_s=600.0,
)
