"""Knative's pod autoscaler (KPA), one pod a machine.

It follows the mean concurrency over a stable window, and over a short one in a panic, during which it never goes
down::

    ready = max(1, machines that are up);  target = max(0.01, concurrency target * 70 %)
    wanted(window) = ceil(mean concurrency / target), within floor(ready / 2) .. ready * 1000
    panic begins, or goes on, when the short window wants 2 * ready or more; it ends 60 s after the last such moment

Concurrency is waiting and running jobs together: those at the activator count as those in the pods. A container that
does so many jobs at a time has that as its `containerConcurrency`, which caps the documented target of 100: here the
target is the machine's slots. It divides by machines that are up, so all that boots is overlooked.

How the activator spreads requests (`target-burst-capacity`) is left out: all jobs wait in one queue here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import machines_for, resize, youngest_ready_first
from autoscaler.sim.baselines.windows import WindowMax, WindowMean


@dataclass(frozen=True, kw_only=True, slots=True)
class KnativeSettings:
    """Settings of the ConfigMap `config-autoscaler`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    tick_interval: Seconds = 2.0
    """How often it looks."""
    container_concurrency_target_default: float = 100.0
    """Jobs per pod to aim at; the machine's slots where they are fewer."""
    container_concurrency_target_percentage: float = 70.0
    """Share of that target, in percent, that is really aimed at."""
    stable_window: Seconds = 60.0
    """Window of the mean outside a panic."""
    panic_window_percentage: float = 10.0
    """Window of the mean in a panic, in percent of the stable window."""
    panic_threshold_percentage: float = 200.0
    """Wanted pods, in percent of those ready, from which it panics."""
    max_scale_up_rate: float = 1000.0
    """At most so many times the ready pods."""
    max_scale_down_rate: float = 2.0
    """At least the ready pods divided by this."""
    scale_down_delay: Seconds = 0.0
    """It goes down to the highest wish of this time."""
    scale_to_zero_grace_period: Seconds = 30.0
    """The last pod stays for so long after none is wanted."""
    initial_scale: int = 1
    """Pods at the start."""
    timeout: Seconds = 300.0
    """What a pod told to end has to finish its jobs."""


class Knative:
    """The KPA at work on one revision."""

    def __init__(self, settings: KnativeSettings, limits: Span) -> None:
        self.every_s = settings.tick_interval
        self.grace_s = settings.timeout
        self._settings = settings
        self._limits = limits
        self._stable = WindowMean(settings.stable_window)
        self._short = WindowMean(settings.stable_window * settings.panic_window_percentage / 100.0)
        self._highest = WindowMax(settings.scale_down_delay)
        self._panic_at: float | None = None
        self._most_in_panic = 0
        self._zero_since: float | None = None
        self._replicas = limits.clamp(settings.initial_scale)

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        ready = max(1, sum(machine.ready_at is not None for machine in view.machines))
        concurrency = view.waiting + view.running
        stable = self._wanted(self._stable.add(view.now, concurrency), view.slots)
        short = self._wanted(self._short.add(view.now, concurrency), view.slots)
        desired = self._desired(view.now, ready, stable, short)
        self._replicas = self._above_zero(view.now, self._limits.clamp(self._highest.add(view.now, desired)))
        return resize(view, self._replicas, youngest_ready_first)

    def _wanted(self, concurrency: float, slots: int) -> int:
        total = min(self._settings.container_concurrency_target_default, slots)
        return machines_for(
            concurrency, max(0.01, total * self._settings.container_concurrency_target_percentage / 100.0)
        )

    def _desired(self, now: float, ready: int, stable: int, short: int) -> int:
        settings = self._settings
        if short / ready >= settings.panic_threshold_percentage / 100.0:
            self._panic_at = now
        elif self._panic_at is not None and self._panic_at + settings.stable_window < now:
            self._panic_at = None
            self._most_in_panic = 0
        bounds = Span(math.floor(ready / settings.max_scale_down_rate), math.ceil(ready * settings.max_scale_up_rate))
        if self._panic_at is None:
            return bounds.clamp(stable)
        self._most_in_panic = max(self._most_in_panic, bounds.clamp(stable), bounds.clamp(short))
        return self._most_in_panic

    def _above_zero(self, now: float, wanted: int) -> int:
        if wanted:
            self._zero_since = None
            return wanted
        if self._zero_since is None:
            self._zero_since = now
        waited = now - self._zero_since >= self._settings.scale_to_zero_grace_period
        return 0 if waited else self._replicas


BASELINE = Baseline(
    name="knative",
    title="Knative KPA",
    source=(
        "knative/serving 98e5ef90aa pkg/autoscaler/scaling/autoscaler.go:180-312, "
        "config/core/configmaps/autoscaler.yaml; re-implementation"
    ),
    settings=KnativeSettings,
    make=Knative,
    knob="container_concurrency_target_percentage",
    grid=(40.0, 55.0, 70.0, 85.0, 100.0),
)
