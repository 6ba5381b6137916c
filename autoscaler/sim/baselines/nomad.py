"""Nomad autoscaler with the strategy `target-value`, one allocation a machine.

::

    factor = metric / target;  no change if |factor - 1| <= 0.01, else n * factor, rounded up
    from none: factor, rounded up;  then five minutes without any change

`n * factor` needs a metric *per instance*. Fed a plain queue length it multiplies the count again at each look and
explodes, so the metric here is waiting and running jobs per allocation. An allocation is killed 5 s after it is told
to end; the one with the highest index, the newest, goes first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import newest_first, resize


@dataclass(frozen=True, kw_only=True, slots=True)
class NomadSettings:
    """Settings of a Nomad scaling policy."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    target: float = 1.0
    """Waiting and running jobs per allocation to aim at. It has no default; a machine's slots are sensible."""
    threshold: float = 0.01
    """How far the factor may be from 1 without an effect."""
    evaluation_interval: Seconds = 10.0
    """How often it looks."""
    cooldown: Seconds = 300.0
    """Time after a change without another one, in either direction."""
    kill_timeout: Seconds = 5.0
    """What an allocation told to end has to finish its jobs."""


class Nomad:
    """The strategy `target-value` on one task group."""

    def __init__(self, settings: NomadSettings, limits: Span) -> None:
        self.every_s = settings.evaluation_interval
        self.grace_s = settings.kill_timeout
        self._settings = settings
        self._limits = limits
        self._count = limits.low
        self._scaled_at = -math.inf

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        if view.now - self._scaled_at >= self._settings.cooldown:
            wanted = self._limits.clamp(self._wanted(view.waiting + view.running))
            if wanted != self._count:
                self._count = wanted
                self._scaled_at = view.now
        return resize(view, self._count, newest_first)

    def _wanted(self, jobs: int) -> int:
        if self._count == 0:
            return math.ceil(jobs / self._settings.target)
        factor = jobs / self._count / self._settings.target
        return self._count if abs(factor - 1.0) <= self._settings.threshold else math.ceil(self._count * factor)


BASELINE = Baseline(
    name="nomad",
    title="Nomad autoscaler, target-value",
    source=(
        "hashicorp/nomad-autoscaler ede4e617 plugins/builtin/strategy/target-value/plugin/plugin.go, "
        "policy/handler.go; re-implementation"
    ),
    settings=NomadSettings,
    make=Nomad,
    knob="target",
    grid=(0.5, 0.7, 1.0, 1.5, 2.0),
)
