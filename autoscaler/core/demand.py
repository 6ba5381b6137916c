"""What a queue holds, as read at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that could not be read. Never to be taken for zero."""

    reason: str
    since: float
    """Epoch seconds of the first failed or missing read."""


@dataclass(frozen=True, slots=True)
class Pending(Unknown):
    """Asked for `since` then, and the answer may come any moment."""


class AgeSource(StrEnum):
    """Where the age of the next job comes from."""

    EXACT = "exact"
    """The library's own stamp."""
    STREAM_ID = "stream-id"
    CONFIGURED = "configured"
    """A field that the user named."""
    ESTIMATED = "estimated"
    """Bracketed by what was seen on earlier ticks; the upper end is given."""
    NONE = "none"


class InFlightKind(StrEnum):
    """What a queue's in-flight number counts."""

    EXECUTING = "executing"
    DELIVERED = "delivered"
    """Handed to a worker, which may hold more than it runs (prefetch)."""
    HIDDEN = "hidden"
    """The queue does not show it; whether a machine is busy must be known from elsewhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TierDemand:
    """One tier of a queue."""

    tier: str
    waiting: int
    """Jobs ready to start, delayed jobs already due included."""
    waiting_is_lower_bound: bool = False
    delayed: int | None = 0
    """Jobs not due yet; None where the queue cannot tell."""
    next_due_at: float | None = None
    oldest_enqueued_at: float | None = None
    """Epoch seconds; None when the tier is empty or the time unknown."""
    oldest_wait_s: float | None = None
    """Age of the job next in line, in seconds, never negative; None when empty or unknown."""
    age_source: AgeSource = AgeSource.NONE


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """One pool's queue at one moment."""

    taken_at: float
    """Epoch seconds of the daemon's clock."""
    tiers: tuple[TierDemand, ...]
    """Most urgent first."""
    in_flight: int | None = None
    """Jobs delivered and not finished; None where the queue hides them."""
    in_flight_kind: InFlightKind = InFlightKind.HIDDEN
    oldest_in_flight_at: float | None = None
    busy: Mapping[str, int] = field(default_factory=dict)
    """Jobs at work by instance id, as far as the library's own workers tell. It proves a machine busy, never idle."""
    paused: bool = False
    """Workers take no jobs until somebody resumes the queue."""
    seen: bool = True
    """False when no key of the queue has ever been seen: perhaps its name is misspelt."""
    advice: Mapping[str, str] = field(default_factory=dict)
    """What is in doubt, by stable codes such as `clock_skew`, and what to do about each."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """The codes of what is in doubt."""
        return tuple(self.advice)

    @property
    def waiting(self) -> int:
        """Jobs waiting in all tiers."""
        return sum(tier.waiting for tier in self.tiers)

    @property
    def oldest_wait_s(self) -> float | None:
        """The longest known wait of any tier, in seconds."""
        return max((t.oldest_wait_s for t in self.tiers if t.oldest_wait_s is not None), default=None)
