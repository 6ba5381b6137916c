"""Vast.ai Serverless: active workers by load, and a multiple of them kept, most of it stopped.

::

    active >= max(min_load, load / target_util);  all = active * cold_mult, within min_workers .. max_workers
    inactive = all - active: machines that are stopped, their disk billed

The engine is closed; how it foresees load is not published. Here the load foreseen is the highest of the last minutes,
and load is waiting and running jobs, in machines that they keep at work: by Little's law, running jobs are on average
the rate of arrivals times the service time, and waiting ones are what the queue time asks on top.

A machine that does not come back when it is asked to is given back and another rented in its place. Only idle machines
are stopped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import NEVER_KILL, idle_for
from autoscaler.sim.baselines.windows import WindowMax


@dataclass(frozen=True, kw_only=True, slots=True)
class VastSettings:
    """Settings of a Vast Serverless endpoint."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    min_load: float = 1.0
    """Load to be ready for at any time. Vast counts units of work per second; here 1 is one machine at work."""
    target_util: float = 0.9
    """Load per active capacity to aim at."""
    cold_mult: float = 3.0
    """All workers, stopped ones included, per active one."""
    min_workers: int = 5
    """Fewest workers, stopped ones included."""
    max_workers: int = 16
    """Most workers, stopped ones included."""
    inactivity_timeout: Seconds = 0.0
    """How long after the last job the last active worker stays when `min_load` is 0."""
    anticipation: Seconds = 300.0
    """The load foreseen is the highest of this time. Our assumption; Vast does not publish how it foresees load."""
    period: Seconds = 2.0
    """How often it looks; Vast does not publish it."""


class VastServerless:
    """Vast Serverless at work on one endpoint."""

    grace_s = NEVER_KILL

    def __init__(self, settings: VastSettings, limits: Span) -> None:
        self.every_s = settings.period
        self._settings = settings
        self._limits = limits
        self._highest = WindowMax(settings.anticipation)
        self._last_load = -math.inf
        self._asked: frozenset[str] = frozenset()

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        active = self._active(view)
        total = self._total(active)
        up = [machine.id for machine in view.machines if machine.ready_at is not None]
        stopped = [machine.id for machine in view.machines if machine.suspended]
        resuming = self._asked.difference(up, stopped)
        refused = tuple(id_ for id_ in stopped if id_ in self._asked)
        ready_to_go = [id_ for id_ in stopped if id_ not in self._asked]
        resumed = ready_to_go[: max(0, active - len(up) - len(resuming))]
        self._asked = resuming.union(resumed)
        excess = len(view.machines) - len(refused) - total
        return Orders(
            rent=max(0, -excess),
            resume=tuple(resumed),
            end=refused + tuple(ready_to_go[len(resumed) :][: max(0, excess)]),
            suspend=idle_for(view, 0.0, keep=len(view.machines) - max(0, len(up) - active)),
        )

    def _active(self, view: PeerView) -> int:
        settings = self._settings
        jobs = view.waiting + view.running
        if jobs:
            self._last_load = view.now
        load = self._highest.add(view.now, jobs) / view.slots
        active = math.ceil(max(settings.min_load, load / settings.target_util))
        recent = view.now - self._last_load < settings.inactivity_timeout
        return self._limits.clamp(max(active, int(recent)))

    def _total(self, active: int) -> int:
        workers = Span(self._settings.min_workers, max(self._settings.min_workers, self._settings.max_workers))
        return max(active, workers.clamp(math.ceil(active * self._settings.cold_mult)))


BASELINE = Baseline(
    name="vast-serverless",
    title="Vast.ai Serverless",
    source=(
        "vast-ai/docs c624622 guides/serverless/serverless-parameters.mdx, managing-scale.mdx, documented behaviour of "
        "a closed engine; re-implementation"
    ),
    settings=VastSettings,
    make=VastServerless,
    knob="target_util",
    grid=(0.3, 0.5, 0.7, 0.9, 1.0),
)
