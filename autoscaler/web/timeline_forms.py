"""The form of the last day. Times are epoch seconds, money is USD; null is what is not known."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12, and brings this one

from autoscaler.core.lifecycle import Phase
from autoscaler.web.forms import DESCRIBED


@with_config(DESCRIBED)
class TierOfTimeline(TypedDict):
    """A tier."""

    tier: str
    wait_target_s: float


@with_config(DESCRIBED)
class TierPoints(TypedDict):
    """What waited in a tier; null where the queue was not seen."""

    waiting: list[int | None]
    """Jobs at the end of a step, the most of its minutes."""
    oldest_wait_s: list[float | None]
    """How long the next job had waited then, the longest of its minutes."""


@with_config(DESCRIBED)
class PointsForm(TypedDict):
    """A pool over time, column by column: all lists are of one length. A step of which nothing is known is missing."""

    at: list[float]
    """When each step begins."""
    hot: list[float]
    """Machines that took jobs, on average: HOT and DRAINING."""
    warm: list[float]
    """Machines that were stopped, on average."""
    up: list[float]
    """Machines that were HOT or on their way there, on average."""
    wanted: list[int | None]
    """Machines that were wanted HOT."""
    usd_per_hour: list[float]
    """What all machines cost, on average."""
    tiers: list[TierPoints]
    """In the order of the pool's tiers."""


@with_config(DESCRIBED)
class PoolOfTimeline(TypedDict):
    """A pool."""

    name: str
    tiers: list[TierOfTimeline]
    """Most urgent first."""
    points: PointsForm


SpanForm = TypedDict("SpanForm", {"phase": Phase, "from": float, "to": float | None, "usd_per_hour": float})
"""A machine's time in one phase, and what it cost then; `to` is null while it lasts."""


@with_config(DESCRIBED)
class MachineOfTimeline(TypedDict):
    """A machine that was there within the time."""

    id: str
    pool: str
    placement: str
    provider: str
    gpu: str
    region: str
    usd_per_hour: float
    """The highest price within the time."""
    phases: list[SpanForm]
    """In order; `to` of the last one is null while the machine is there."""


_Ends = TypedDict("_Ends", {"from": float, "to": float})


@with_config(DESCRIBED)
class TimelineForm(_Ends):
    """What happened between two moments."""

    step_s: float
    """Seconds between two points: a minute, or more where there are many pools."""
    pools: list[PoolOfTimeline]
    machines: list[MachineOfTimeline]
    """By pool, the one that came first at the top."""
    machines_left_out: int
    """Machines that changed longest ago, where there are too many."""
