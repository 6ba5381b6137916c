"""Rules of queueing theory, which any autoscaler should beat or match, and a fixed number of machines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import NOTHING, Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import NEVER_KILL, idle_for, newest_not_ready_first, resize, unplaced

_LOOK_S = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DelayedOffSettings:
    """Settings of DelayedOff."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    t_wait: Seconds = 120.0
    """How long a machine may be idle."""


class DelayedOff:
    """A machine is started for each job that finds none idle or booting for it; an idle one goes after `t_wait`."""

    every_s = _LOOK_S
    grace_s = NEVER_KILL

    def __init__(self, settings: DelayedOffSettings, limits: Span) -> None:
        self._settings = settings
        self._limits = limits

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        machines = len(view.machines)
        missing = self._limits.clamp(machines + unplaced(view)) - machines
        if missing > 0:
            return Orders(rent=missing)
        ended = idle_for(view, self._settings.t_wait, keep=self._limits.low)
        return Orders(end=ended) if ended else NOTHING


DELAYED_OFF = Baseline(
    name="delayed-off",
    title="DelayedOff",
    source="Gandhi, Gupta, Harchol-Balter, Kozuch: Optimality analysis of energy-performance trade-off for server farm "
    "management (2010); re-implementation",
    settings=DelayedOffSettings,
    make=DelayedOff,
    knob="t_wait",
    grid=(30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class SqrtStaffingSettings:
    """Settings of square-root staffing."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    c: float = 1.0
    """Machines of reserve, per square root of those at work."""
    window: Seconds = 600.0
    """Window of the rate of arrivals."""
    horizon: Seconds = 300.0
    """Time within which the backlog should be worked off."""
    period: Seconds = 10.0
    """How often it looks."""


class SqrtStaffing:
    """n = R + c √R + backlog / horizon, where R is the work that arrives, in machines. Only idle machines go."""

    grace_s = NEVER_KILL

    def __init__(self, settings: SqrtStaffingSettings, limits: Span) -> None:
        self.every_s = settings.period
        self._settings = settings
        self._limits = limits

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        settings = self._settings
        window = min(settings.window, max(view.now, settings.period))
        per_job = view.mean_service_s / view.slots
        load = view.arrived(window) / window * per_job
        backlog = view.waiting * per_job / settings.horizon
        target = self._limits.clamp(math.ceil(load + settings.c * math.sqrt(load) + backlog))
        missing = target - len(view.machines)
        if missing > 0:
            return Orders(rent=missing)
        ended = idle_for(view, 0.0, keep=target)
        return Orders(end=ended) if ended else NOTHING


SQRT_STAFFING = Baseline(
    name="sqrt-staffing",
    title="Square-root staffing",
    source="Halfin, Whitt: Heavy-traffic limits for queues with many exponential servers (1981), with a backlog term; "
    "re-implementation",
    settings=SqrtStaffingSettings,
    make=SqrtStaffing,
    knob="c",
    grid=(0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticSettings:
    """Settings of a fixed number of machines."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    n: int = 1
    """Machines, as far as the pool's limits allow."""


class Static:
    """Always the same number of machines."""

    every_s = 60.0
    grace_s = NEVER_KILL

    def __init__(self, settings: StaticSettings, limits: Span) -> None:
        self._n = limits.clamp(settings.n)

    def step(self, view: PeerView) -> Orders:
        """Look once: replace what was lost."""
        return resize(view, self._n, newest_not_ready_first)


STATIC = Baseline(
    name="static",
    title="Fixed number of machines",
    source="no formula",
    settings=StaticSettings,
    make=Static,
    knob="n",
    grid=(1, 2, 3, 4, 6, 8, 12, 16),
)
