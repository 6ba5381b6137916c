"""What a lower bound is asked about: the jobs, the world's terms, and what was promised to each tier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.core.units import Span

HOUR_S = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """Jobs in the order in which they come."""

    arrived_s: Sequence[float]
    """Seconds since the beginning."""
    service_s: Sequence[float]
    """How long one slot works on each; the least, where the world draws it."""
    tier: Sequence[int]
    """The place of each one's tier among the promises."""

    def __len__(self) -> int:
        return len(self.arrived_s)

    def between(self, start_s: float, end_s: float) -> Jobs:
        """Those that come from `start_s` on and before `end_s`."""
        chosen = [place for place, at in enumerate(self.arrived_s) if start_s <= at < end_s]
        return Jobs(
            arrived_s=[self.arrived_s[place] for place in chosen],
            service_s=[self.service_s[place] for place in chosen],
            tier=[self.tier[place] for place in chosen],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """On what terms machines are to be had; for a strict bound, the least of whatever the world draws."""

    slots: int
    """Jobs that one machine works on at the same time."""
    setup_s: float
    """From renting to HOT."""
    resume_s: float
    """From WARM to HOT."""
    usd_per_hour: float
    """Price of a machine that is HOT or on its way there, disk included."""
    disk_usd_per_hour: float
    """Price of a WARM machine."""
    can_stop: bool
    """Whether machines can be WARM at all."""
    hot: Span
    """HOT machines, fewest and most."""
    warm: Span
    """WARM machines, fewest and most."""

    @property
    def setup_usd(self) -> float:
        """What a set-up costs."""
        return self.setup_s * self.usd_per_hour / HOUR_S

    @property
    def resume_usd(self) -> float:
        """What a resume costs beyond the disk, which is paid all the while."""
        return self.resume_s * (self.usd_per_hour - self.disk_usd_per_hour) / HOUR_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """What was promised to one tier."""

    wait_target_s: float
    """The longest a job should wait before it starts."""
    late_share: float
    """The share of the tier's jobs that may start later than that; they must still be served."""
