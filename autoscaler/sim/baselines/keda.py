"""KEDA with the Kubernetes Horizontal Pod Autoscaler, one pod a machine.

KEDA reads the queue and moves between 0 and 1 replicas; the HPA does the rest by the average value per replica::

    ratio = metric / (target * n);  wanted = n if |1 - ratio| <= 0.1 else ceil(metric / target)
    down: to the largest `wanted` of the last 300 s;  up: at most max(start + 4, start * 2) within 15 s

Neither can choose the pod that goes, nor see whether it is at work: it has 30 s to finish, then it is killed. The
metric comes in two forms. The length of the list falls at the moment a worker pops a job; waiting and running jobs
together do not. The HPA counts every replica, so machines that boot are counted, too.

Its documented target of 5 jobs per replica makes jobs wait for four others on a machine that does one at a time; the
sensible value for those is 1.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import machines_for, resize, youngest_ready_first
from autoscaler.sim.baselines.windows import WindowMax


@dataclass(frozen=True, kw_only=True, slots=True)
class KedaSettings:
    """Settings of KEDA's Redis list scaler and of the HPA behind it."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    list_length: float = 5.0
    """`listLength`: jobs per replica to aim at."""
    activation_list_length: int = 0
    """`activationListLength`: more jobs than this take it from 0 replicas to 1."""
    polling_interval: Seconds = 30.0
    """`pollingInterval`: how often KEDA decides between none and some."""
    cooldown_period: Seconds = 300.0
    """`cooldownPeriod`: time without jobs after which all replicas go at once; only where the fewest are 0."""
    sync_period: Seconds = 15.0
    """`--horizontal-pod-autoscaler-sync-period`: how often the HPA looks."""
    tolerance: float = 0.1
    """`--horizontal-pod-autoscaler-tolerance`: how far the ratio may be from 1 without an effect."""
    stabilization_window: Seconds = 300.0
    """`scaleDown.stabilizationWindowSeconds`: it goes down to the highest recommendation of this time."""
    scale_up_pods: int = 4
    """`scaleUp.policies`, Pods: so many may be added within a period, or as many as the percentage gives."""
    scale_up_percent: float = 100.0
    """`scaleUp.policies`, Percent: of the replicas at the start of a period."""
    scale_up_period: Seconds = 15.0
    """`scaleUp.policies`, periodSeconds."""
    termination_grace_period: Seconds = 30.0
    """`terminationGracePeriodSeconds`: what a pod at work has to finish."""


class _Hpa:
    """The Horizontal Pod Autoscaler on an external metric of type AverageValue."""

    def __init__(self, settings: KedaSettings, limits: Span) -> None:
        self._settings = settings
        self._limits = limits
        self._recommended = WindowMax(settings.stabilization_window)
        self._added: deque[tuple[float, int]] = deque()

    def sync(self, now: float, replicas: int, metric: int) -> int:
        """Replicas wanted now."""
        recommended = self._recommend(replicas, metric)
        not_below = self._recommended.add(now, recommended)
        stable = recommended if recommended > replicas else min(replicas, not_below)
        wanted = self._limits.clamp(min(stable, self._ceiling(now, replicas)))
        if wanted > replicas:
            self._added.append((now, wanted - replicas))
        return wanted

    def _recommend(self, replicas: int, metric: int) -> int:
        ratio = metric / (self._settings.list_length * replicas)
        if abs(1.0 - ratio) <= self._settings.tolerance:
            return replicas
        return machines_for(metric, self._settings.list_length)

    def _ceiling(self, now: float, replicas: int) -> int:
        settings = self._settings
        while self._added and self._added[0][0] <= now - settings.scale_up_period:
            self._added.popleft()
        start = replicas - sum(count for _, count in self._added)
        by_percent = math.ceil(start * (1.0 + settings.scale_up_percent / 100.0))
        return max(replicas, start + settings.scale_up_pods, by_percent)


class Keda:
    """KEDA and the HPA on the metric given."""

    def __init__(self, settings: KedaSettings, limits: Span, metric: Callable[[PeerView], int]) -> None:
        self.every_s = settings.sync_period
        self.grace_s = settings.termination_grace_period
        self._settings = settings
        self._limits = limits
        self._metric = metric
        self._hpa = _Hpa(settings, Span(max(1, limits.low), limits.high))
        self._replicas = limits.low
        self._next_poll = -math.inf
        self._last_active = -math.inf

    def step(self, view: PeerView) -> Orders:
        """KEDA's part when its poll is due, then the HPA's, which rests while there are no replicas."""
        metric = self._metric(view)
        if view.now >= self._next_poll:
            self._next_poll = view.now + self._settings.polling_interval
            self._replicas = self._poll(view.now, metric)
        if self._replicas:
            self._replicas = self._hpa.sync(view.now, self._replicas, metric)
        return resize(view, self._replicas, youngest_ready_first)

    def _poll(self, now: float, metric: int) -> int:
        if metric > self._settings.activation_list_length:
            self._last_active = now
            return self._replicas or 1
        if self._limits.low == 0 and now - self._last_active > self._settings.cooldown_period:
            return 0
        return self._replicas


_SOURCE = (
    "kedacore/keda 8b4f083ca pkg/scalers/redis_scaler.go:133, pkg/scaling/executor/scale_scaledobjects.go:37; "
    "kubernetes/kubernetes 00067268 pkg/controller/podautoscaler/horizontal.go, replica_calculator.go; "
    "re-implementation"
)
_GRID = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)

LLEN = Baseline(
    name="keda-llen",
    title="KEDA + HPA on the length of the list",
    source=_SOURCE,
    settings=KedaSettings,
    make=lambda settings, limits: Keda(settings, limits, lambda view: view.waiting),
    knob="list_length",
    grid=_GRID,
)
ALL = Baseline(
    name="keda-all",
    title="KEDA + HPA on waiting and running jobs",
    source=_SOURCE,
    settings=KedaSettings,
    make=lambda settings, limits: Keda(settings, limits, lambda view: view.waiting + view.running),
    knob="list_length",
    grid=_GRID,
)
