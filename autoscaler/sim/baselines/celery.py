"""Celery's worker autoscaler, each machine with as many pool processes as it has slots.

It grows at once to the number of reserved requests. It shrinks to them only when it has grown before and more than
30 s ago, and a busy process is never taken. A real worker reserves only a few requests per process; here every waiting
and running job counts as reserved, so that it sees the whole queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import NOTHING, Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import NEVER_KILL, idle_for, machines_for


@dataclass(frozen=True, kw_only=True, slots=True)
class CelerySettings:
    """Settings of `celery worker --autoscale`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    keepalive: Seconds = 30.0
    """Time after it has grown before it shrinks."""
    period: Seconds = 1.0
    """How often it looks."""


class Celery:
    """The class `Autoscaler` of a Celery worker."""

    grace_s = NEVER_KILL

    def __init__(self, settings: CelerySettings, limits: Span) -> None:
        self.every_s = settings.period
        self._keepalive = settings.keepalive
        self._limits = limits
        self._grew_at: float | None = None

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        wanted = self._limits.clamp(machines_for(view.waiting + view.running, view.slots))
        missing = wanted - len(view.machines)
        if missing > 0:
            self._grew_at = view.now
            return Orders(rent=missing)
        if self._grew_at is None or view.now - self._grew_at <= self._keepalive:
            return NOTHING
        ended = idle_for(view, 0.0, keep=wanted)
        return Orders(end=ended) if ended else NOTHING


BASELINE = Baseline(
    name="celery",
    title="Celery worker autoscale",
    source="celery/celery 5dc781f0b celery/worker/autoscale.py:84-130; re-implementation",
    settings=CelerySettings,
    make=Celery,
    knob="keepalive",
    grid=(30.0, 120.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0),
)
