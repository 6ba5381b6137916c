"""Peers that run one machine per so many jobs waiting or running, and stop a machine when it was idle for a while.

::

    needed = ceil((waiting + running) / jobs per machine);  target = needed + buffer
    a machine that was idle for the idle time goes, unless it takes it to reach the target

Only idle machines go. Machines that boot are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from autoscaler.core.spec import SETTINGS
from autoscaler.core.units import Seconds, Span
from autoscaler.sim.baselines.base import NOTHING, Baseline, Orders, PeerView
from autoscaler.sim.baselines.moves import NEVER_KILL, idle_for, machines_for


class InFlight:
    """The rule that Modal, beta9, Buildkite and RunPod's request count have in common."""

    grace_s = NEVER_KILL

    def __init__(
        self,
        limits: Span,
        *,
        every_s: float,
        idle_s: float,
        per_machine: float | None = None,
        buffer: Callable[[int], int] | None = None,
    ) -> None:
        """`per_machine` is the machine's slots when it is None; `buffer` gives the machines on top of those needed."""
        self.every_s = every_s
        self._limits = limits
        self._idle_s = idle_s
        self._per_machine = per_machine
        self._buffer = buffer

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        needed = machines_for(view.waiting + view.running, self._per_machine or view.slots)
        target = self._limits.clamp(needed + (self._buffer(needed) if self._buffer else 0))
        missing = target - len(view.machines)
        if missing > 0:
            return Orders(rent=missing)
        ended = idle_for(view, self._idle_s, keep=target)
        return Orders(end=ended) if ended else NOTHING


@dataclass(frozen=True, kw_only=True, slots=True)
class ModalSettings:
    """Settings of a Modal function; inputs per container are the machine's slots."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    buffer_containers: int = 0
    """Containers on top while there is work."""
    scaledown_window: Seconds = 60.0
    """How long a container may be idle, 2 s to 20 min."""
    period: Seconds = 1.0
    """How often it looks; Modal does not publish it."""


def _modal(settings: ModalSettings, limits: Span) -> InFlight:
    return InFlight(
        limits,
        every_s=settings.period,
        idle_s=settings.scaledown_window,
        buffer=lambda needed: settings.buffer_containers if needed else 0,
    )


MODAL = Baseline(
    name="modal",
    title="Modal",
    source="modal-labs/modal-client 69519aef4 py/modal, documented behaviour of a closed engine; re-implementation",
    settings=ModalSettings,
    make=_modal,
    knob="scaledown_window",
    grid=(2.0, 60.0, 180.0, 300.0, 600.0, 1200.0),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Beta9Settings:
    """Settings of a beta9 task queue; tasks per container are the machine's slots."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    keep_warm_seconds: Seconds = 10.0
    """How long a container may be idle."""
    period: Seconds = 1.0
    """How often it looks."""


def _beta9(settings: Beta9Settings, limits: Span) -> InFlight:
    return InFlight(limits, every_s=settings.period, idle_s=settings.keep_warm_seconds)


BETA9 = Baseline(
    name="beta9",
    title="beta9 (Beam) task queue",
    source="beam-cloud/beta9 0b79dfebd pkg/abstractions/taskqueue/autoscaler.go:53-80; re-implementation",
    settings=Beta9Settings,
    make=_beta9,
    knob="keep_warm_seconds",
    grid=(10.0, 60.0, 180.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildkiteSettings:
    """Settings of Buildkite's agent scaler in its Elastic CI Stack; agents per instance are the machine's slots."""

    __pydantic_config__: ClassVar[dict[str, Any]] = SETTINGS

    instance_buffer: int = 0
    """Instances on top, at most as many again as are needed."""
    scale_in_idle_period: Seconds = 600.0
    """How long an instance may be idle; then it ends itself."""
    poll_interval: Seconds = 10.0
    """How often it looks."""


def _buildkite(settings: BuildkiteSettings, limits: Span) -> InFlight:
    return InFlight(
        limits,
        every_s=settings.poll_interval,
        idle_s=settings.scale_in_idle_period,
        buffer=lambda needed: min(settings.instance_buffer, needed),
    )


BUILDKITE = Baseline(
    name="buildkite",
    title="Buildkite agent scaler",
    source="buildkite/buildkite-agent-scaler 49c4145 scaler/scaling_calculator.go:45-140; re-implementation",
    settings=BuildkiteSettings,
    make=_buildkite,
    knob="instance_buffer",
    grid=(0, 1, 2, 4),
)
