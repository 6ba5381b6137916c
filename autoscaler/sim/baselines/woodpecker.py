"""Woodpecker's autoscaler, with as many workflows per agent as a machine has slots.

::

    needed = ceil((pending + running) / workflows) - ceil((free + running) / workflows)

`free` are the slots of agents that are connected: an agent that boots is not subtracted, so as long as one boots each
look creates another. An agent goes when it was idle for ten minutes. Its rule for clouds that bill by the hour does
not apply: machines are billed by the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import NOTHING, Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import NEVER_KILL, idle_for, machines_for


@dataclass(frozen=True, kw_only=True, slots=True)
class WoodpeckerSettings:
    """Settings of Woodpecker's autoscaler."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    reconciliation_interval: Seconds = 60.0
    """How often it looks."""
    agent_idle_timeout: Seconds = 600.0
    """How long an agent may be idle."""


class Woodpecker:
    """Woodpecker's autoscaler on one pool."""

    grace_s = NEVER_KILL

    def __init__(self, settings: WoodpeckerSettings, limits: Span) -> None:
        self.every_s = settings.reconciliation_interval
        self._idle_s = settings.agent_idle_timeout
        self._limits = limits

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        agents = len(view.machines)
        free = sum(view.slots - machine.busy for machine in view.machines if machine.ready_at is not None)
        demand = machines_for(view.waiting + view.running, view.slots)
        needed = demand - machines_for(free + view.running, view.slots)
        wanted = self._limits.clamp(agents + needed)
        if wanted > agents:
            return Orders(rent=wanted - agents)
        ended = idle_for(view, self._idle_s, keep=wanted)
        return Orders(end=ended) if ended else NOTHING


BASELINE = Baseline(
    name="woodpecker",
    title="Woodpecker autoscaler",
    source="woodpecker-ci/autoscaler 9176b31 engine/autoscaler.go; re-implementation",
    settings=WoodpeckerSettings,
    make=Woodpecker,
    knob="agent_idle_timeout",
    grid=(60.0, 180.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0),
    boot_deadline_s=600.0,
)
