"""Kubernetes cluster-autoscaler, one pod a job.

A node is added for pods that fit on none that exists or is on its way. A node is removed when it was unneeded for ten
minutes, and when no node was added to the cluster for ten minutes. Jobs cannot be moved, so only an empty node is
unneeded: the limit on utilisation never applies. At most ten empty nodes go at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import NOTHING, Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import NEVER_KILL, idle_for, unplaced


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterAutoscalerSettings:
    """Flags of cluster-autoscaler."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    scan_interval: Seconds = 10.0
    """`--scan-interval`: how often it looks."""
    scale_down_unneeded_time: Seconds = 600.0
    """`--scale-down-unneeded-time`: how long a node must be empty."""
    scale_down_delay_after_add: Seconds = 600.0
    """`--scale-down-delay-after-add`: no node goes for so long after one was added."""
    max_empty_bulk_delete: int = 10
    """`--max-empty-bulk-delete`: most nodes that go at once."""


class ClusterAutoscaler:
    """cluster-autoscaler on one node group."""

    grace_s = NEVER_KILL

    def __init__(self, settings: ClusterAutoscalerSettings, limits: Span) -> None:
        self.every_s = settings.scan_interval
        self._settings = settings
        self._limits = limits
        self._added_at = -math.inf

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        nodes = len(view.machines)
        missing = self._limits.clamp(nodes + unplaced(view)) - nodes
        if missing > 0:
            self._added_at = view.now
            return Orders(rent=missing)
        if view.now - self._added_at < self._settings.scale_down_delay_after_add:
            return NOTHING
        unneeded = idle_for(view, self._settings.scale_down_unneeded_time, keep=self._limits.low)
        return Orders(end=unneeded[: self._settings.max_empty_bulk_delete]) if unneeded else NOTHING


BASELINE = Baseline(
    name="cluster-autoscaler",
    title="Kubernetes cluster-autoscaler",
    source=(
        "kubernetes-sigs/cluster-autoscaler 33c3f97bf pkg/config/flags/flags.go, pkg/core/scaledown/unneeded/nodes.go, "
        "pkg/core/static_autoscaler.go; re-implementation"
    ),
    settings=ClusterAutoscalerSettings,
    make=ClusterAutoscaler,
    knob="scale_down_unneeded_time",
    grid=(60.0, 180.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0),
)
