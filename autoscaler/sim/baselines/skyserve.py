"""SkyPilot's SkyServe: services scaled by request rate, and pools of workers scaled by queue length.

Both move their target only after enough looks in a row ask for it, and one contrary or equal look starts the count
again::

    target 0 -> the wish at once;   up after 300 s / 20 s = 15 looks;   down after 1200 s / 20 s = 60 looks

A look is due every 20 s, or every 5 s while the target is 0. The delay is counted in looks, as SkyServe does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import Baseline, Orders, PeerMachine, PeerView
from autoscaler.sim.baselines.moves import NEVER_KILL, machines_for, newest_not_ready_first, resize

_LOOK_S = 20.0
_LOOK_AT_ZERO_S = 5.0
_QPS_WINDOW_S = 60.0
_INITIAL_DELAY_S = 1200.0


class _Hysteresis:
    """A target that follows a wish only after enough looks in a row."""

    def __init__(self, upscale_delay: float, downscale_delay: float, limits: Span) -> None:
        self._up_threshold = int(upscale_delay / _LOOK_S)
        self._down_threshold = int(downscale_delay / _LOOK_S)
        self._up = self._down = 0
        self._limits = limits
        self.target = limits.low

    @property
    def every_s(self) -> float:
        """20 s; 5 s while the target is 0."""
        return _LOOK_S if self.target else _LOOK_AT_ZERO_S

    def follow(self, wish: int) -> int:
        """The target after one more look."""
        wish = self._limits.clamp(wish)
        self._up = self._up + 1 if wish > self.target else 0
        self._down = self._down + 1 if wish < self.target else 0
        asked_up = self._up > 0 and self._up >= self._up_threshold
        asked_down = self._down > 0 and self._down >= self._down_threshold
        if self.target == 0 or asked_up or asked_down:
            self.target = wish
            self._up = self._down = 0
        return self.target


@dataclass(frozen=True, kw_only=True, slots=True)
class SkyRateSettings:
    """Settings of a SkyServe service with `target_qps_per_replica`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    utilization: float = 0.8
    """`target_qps_per_replica`, which has no default, as a share of what a machine does: slots / mean service time."""
    upscale_delay_seconds: Seconds = 300.0
    """How long more replicas must be wanted."""
    downscale_delay_seconds: Seconds = 1200.0
    """How long fewer replicas must be wanted."""
    drain: Seconds = 120.0
    """What a replica told to end has to finish its requests."""


class SkyRate(_Hysteresis):
    """The request rate of the last minute, divided by the rate that one replica should have.

    A job of minutes is one sixtieth of a request per second for one minute and nothing afterwards: on long jobs, and at
    low rates, the count is mostly noise. The rate per replica is the true one here, from the trace's mean service time.
    """

    def __init__(self, settings: SkyRateSettings, limits: Span) -> None:
        super().__init__(settings.upscale_delay_seconds, settings.downscale_delay_seconds, limits)
        self.grace_s = settings.drain
        self._settings = settings

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        qps = view.arrived(_QPS_WINDOW_S) / _QPS_WINDOW_S
        wish = machines_for(qps, self._settings.utilization * view.slots / view.mean_service_s)
        return resize(view, self.follow(wish), newest_not_ready_first)


@dataclass(frozen=True, kw_only=True, slots=True)
class SkyQueueSettings:
    """Settings of a SkyServe pool of workers."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    queue_length_threshold: int = 1
    """One worker more while more jobs than this wait, one fewer while fewer do."""
    upscale_delay_seconds: Seconds = 300.0
    """How long more workers must be wanted, for each one that is added."""
    downscale_delay_seconds: Seconds = 1200.0
    """How long fewer workers must be wanted."""


class SkyQueue(_Hysteresis):
    """One worker more or fewer by the number of waiting jobs; none when none wait. Only idle workers go."""

    def __init__(self, settings: SkyQueueSettings, limits: Span) -> None:
        super().__init__(settings.upscale_delay_seconds, settings.downscale_delay_seconds, limits)
        self.grace_s = NEVER_KILL
        self._threshold = settings.queue_length_threshold

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        target = self.follow(self._wish(view.waiting))
        return resize(view, max(target, sum(machine.busy > 0 for machine in view.machines)), _idle_newest_first)

    def _wish(self, waiting: int) -> int:
        if waiting == 0:
            return 0
        more = (waiting > self._threshold) - (waiting < self._threshold)
        return max(1, self.target + more)


def _idle_newest_first(machine: PeerMachine) -> tuple[float, ...]:
    return (math.inf,) if machine.busy else newest_not_ready_first(machine)


RATE = Baseline(
    name="skyserve-rate",
    title="SkyServe by request rate",
    source="skypilot 0.14.1 sky/serve/autoscalers.py:393,479, sky/serve/constants.py:38-98; re-implementation",
    settings=SkyRateSettings,
    make=SkyRate,
    knob="utilization",
    grid=(0.3, 0.5, 0.65, 0.8, 1.0),
    boot_deadline_s=_INITIAL_DELAY_S,
)
QUEUE = Baseline(
    name="skyserve-queue",
    title="SkyServe pool by queue length",
    source="skypilot 0.14.1 sky/serve/autoscalers.py:393,1094, sky/serve/constants.py:38-98; re-implementation",
    settings=SkyQueueSettings,
    make=SkyQueue,
    knob="upscale_delay_seconds",
    grid=(20.0, 60.0, 120.0, 300.0),
    boot_deadline_s=_INITIAL_DELAY_S,
)
