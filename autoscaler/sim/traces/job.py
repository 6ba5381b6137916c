"""What a trace says of one job."""

from __future__ import annotations

from typing import NamedTuple


class TraceJob(NamedTuple):
    """One job of a trace."""

    t_s: float
    """When it arrived, in seconds since the start of the trace."""
    tier: str | None
    """What its tier column says; None where the trace has none."""
    service_s: float | None
    """How long one slot worked on it; None where the trace does not tell."""
    model: str | None
    """The model it needs loaded; None where the trace does not tell."""
