"""GitLab Runner's taskscaler: instances for the jobs in hand and those accepted, and a number of idle slots.

::

    idle target = max(idle_count, min(ceil(scale_factor * in use), scale_factor_limit))      in jobs, not machines
    instances = ceil((in use + accepted + idle target) / capacity per instance)
    up at once;  an instance that was idle for idle_time goes, unless the idle target needs it

Every waiting job counts as accepted. Capacity per instance is the machine's slots. Only idle instances go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import NOTHING, Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import NEVER_KILL, idle_for, machines_for


@dataclass(frozen=True, kw_only=True, slots=True)
class GitlabSettings:
    """Settings of `[[runners.autoscaler.policy]]`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    idle_count: int = 0
    """Idle slots to have ready."""
    idle_time: Seconds = 300.0
    """How long an instance may be idle. GitLab gives no default."""
    scale_factor: float = 0.0
    """Idle slots to have ready, per slot in use."""
    scale_factor_limit: int = 0
    """Most idle slots by `scale_factor`; 0 means no limit."""
    check_interval: Seconds = 3.0
    """How often it asks for jobs, and looks."""


class Gitlab:
    """The taskscaler with one policy that always holds."""

    grace_s = NEVER_KILL

    def __init__(self, settings: GitlabSettings, limits: Span) -> None:
        self.every_s = settings.check_interval
        self._settings = settings
        self._limits = limits

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        jobs = view.running + view.waiting + self._idle_target(view.running)
        required = self._limits.clamp(machines_for(jobs, view.slots))
        missing = required - len(view.machines)
        if missing > 0:
            return Orders(rent=missing)
        ended = idle_for(view, self._settings.idle_time, keep=required)
        return Orders(end=ended) if ended else NOTHING

    def _idle_target(self, in_use: int) -> int:
        settings = self._settings
        by_factor = math.ceil(settings.scale_factor * in_use)
        return max(settings.idle_count, min(by_factor, settings.scale_factor_limit or by_factor))


BASELINE = Baseline(
    name="gitlab",
    title="GitLab Runner taskscaler",
    source=(
        "gitlab-org/gitlab-runner d79f3e7b8 docs/configuration/advanced-configuration.md:1225-1400, "
        "executors/kubernetes/autoscaler/pause_pod_manager.go:257-303; re-implementation"
    ),
    settings=GitlabSettings,
    make=Gitlab,
    knob="idle_count",
    grid=(0, 1, 2, 4, 8),
)
