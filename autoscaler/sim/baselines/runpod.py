"""RunPod Serverless: one worker more while the oldest job waits too long, or workers by the number of requests.

::

    QUEUE_DELAY:    while the oldest job waits for more than scalerValue seconds: one worker more
    REQUEST_COUNT:  workers = ceil((waiting + running) / scalerValue)
    a worker that was idle for idleTimeout stops;  workersMin and workersMax are the pool's limits

How often RunPod checks the delay, and by how much it goes up, is not published, and cost depends on it: a check each
second goes on adding workers for as long as the first one boots. Here it is a setting, and each check adds one.

The documented request count of 4 makes jobs wait for three others on a machine that does one at a time; the sensible
value for those is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import NOTHING, Baseline, Orders, PeerView
from autoscaler.sim.baselines.in_flight import InFlight
from autoscaler.sim.baselines.moves import NEVER_KILL, idle_for

_LOOK_S = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunpodDelaySettings:
    """Settings of a RunPod endpoint with the scaler QUEUE_DELAY."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    scaler_value: Seconds = 4.0
    """`scalerValue`: how long the oldest job may wait."""
    idle_timeout: Seconds = 5.0
    """`idleTimeout`: how long a worker may be idle, 1 s to 1 h."""
    check_period: Seconds = 10.0
    """Time between two checks of the delay. Our assumption; RunPod does not publish it."""


class RunpodDelay:
    """The scaler QUEUE_DELAY."""

    every_s = _LOOK_S
    grace_s = NEVER_KILL

    def __init__(self, settings: RunpodDelaySettings, limits: Span) -> None:
        self._settings = settings
        self._limits = limits
        self._next_check = -math.inf

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        workers = len(view.machines)
        target = max(self._limits.low, workers)
        if view.now >= self._next_check:
            self._next_check = view.now + self._settings.check_period
            target += view.oldest_wait_s > self._settings.scaler_value
        missing = min(target, self._limits.high) - workers
        if missing > 0:
            return Orders(rent=missing)
        ended = idle_for(view, self._settings.idle_timeout, keep=self._limits.low)
        return Orders(end=ended) if ended else NOTHING


DELAY = Baseline(
    name="runpod-delay",
    title="RunPod Serverless by queue delay",
    source=(
        "runpod/docs a900806e serverless/endpoints/endpoint-configurations.mdx, documented behaviour of a closed "
        "engine; re-implementation"
    ),
    settings=RunpodDelaySettings,
    make=RunpodDelay,
    knob="scaler_value",
    grid=(4.0, 15.0, 30.0, 60.0, 120.0, 300.0),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunpodCountSettings:
    """Settings of a RunPod endpoint with the scaler REQUEST_COUNT."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    scaler_value: float = 4.0
    """`scalerValue`: requests per worker to aim at."""
    idle_timeout: Seconds = 5.0
    """`idleTimeout`: how long a worker may be idle, 1 s to 1 h."""


def _count(settings: RunpodCountSettings, limits: Span) -> InFlight:
    return InFlight(limits, every_s=_LOOK_S, idle_s=settings.idle_timeout, per_machine=settings.scaler_value)


COUNT = Baseline(
    name="runpod-count",
    title="RunPod Serverless by request count",
    source=(
        "runpod/docs a900806e serverless/endpoints/endpoint-configurations.mdx, documented formula of a closed "
        "engine; re-implementation"
    ),
    settings=RunpodCountSettings,
    make=_count,
    knob="scaler_value",
    grid=(1.0, 1.5, 2.0, 4.0, 8.0),
)
