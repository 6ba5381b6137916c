"""What a peer's autoscaler sees and what it orders, in a form that all of them fit.

A peer is re-implemented from its own published formula, with its own defaults and its own way of stopping machines. It
sees the truth at once and without error: nothing that our own daemon has to find out is held against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from autoscaler.core.units import Span


@dataclass(frozen=True, kw_only=True, slots=True)
class PeerMachine:
    """One machine that a peer rented and has not told to end."""

    id: str
    created_at: float
    ready_at: float | None
    """When it last came up; None while it boots or is suspended."""
    busy: int = 0
    """Slots at work."""
    idle_since: float | None = None
    """When its last job ended, or it came up; None while it works or is not up."""
    suspended: bool = False
    """Stopped and kept; its disk is billed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PeerView:
    """All that a peer may look at. Times are seconds since the simulation began."""

    now: float
    waiting: int
    running: int
    """Jobs in progress."""
    oldest_wait_s: float
    """Of the jobs that wait; 0 when there is none."""
    mean_service_s: float
    """The true mean service time of the trace, for peers that are given a rate per machine."""
    slots: int
    """Jobs that one machine works on at the same time."""
    machines: tuple[PeerMachine, ...]
    """Oldest first."""
    arrived: Callable[[float], int]
    """How many jobs came within the last so many seconds; to be asked during the look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """What a peer wants done now."""

    rent: int = 0
    """Machines to rent."""
    resume: tuple[str, ...] = ()
    """Suspended machines to start."""
    end: tuple[str, ...] = ()
    """Machines to give back: they pull no more jobs, and after the peer's grace they are killed."""
    suspend: tuple[str, ...] = ()
    """Idle machines to stop and keep."""


NOTHING = Orders()
"""Leave all as it is."""


class Peer(Protocol):
    """One peer at work on one pool. It keeps its own state."""

    @property
    def every_s(self) -> float:
        """How often it looks."""
        ...

    @property
    def grace_s(self) -> float:
        """How long a machine told to end may go on with its jobs before they are killed; infinite: to their end."""
        ...

    def step(self, view: PeerView) -> Orders:
        """Look once."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """A peer as `compare` offers it."""

    name: str
    """How it is asked for, such as `knative`."""
    title: str
    source: str
    """Where its formula was read."""
    settings: type[Any]
    """A frozen dataclass of the peer's own settings with its own defaults."""
    make: Callable[[Any, Span], Peer]
    """From its settings and the fewest and most machines to a peer."""
    knob: str
    """The setting that trades cost against waiting."""
    grid: tuple[Any, ...]
    """Values of the knob to try."""
    boot_deadline_s: float = 900.0
    """When it gives up a machine that has not come up; by default as cluster-autoscaler, Karpenter and GitLab do."""
