"""Why machines do not come up: three diagnoses with three reactions.

===============  ==================================================  =================================================
diagnosis        seen by                                             reaction
===============  ==================================================  =================================================
`no_capacity`    a rent or a resume was refused                      the next placement; this one is left alone for a
                                                                     while, longer each time
`crash_loop`     it failed while it booted or within 10 minutes      it is released; the same image on two hosts: no
                 after, or restarted three times, each within 10     pool rents it any more, save one trial an hour
                 minutes of being HOT, or ran up to the deadline
                 of its boot and never was ready
`slow_pull`      it boots far longer than machines there usually     another machine is tried beside it; it is released
                 do, or was still being started at the deadline      at the deadline of its boot
===============  ==================================================  =================================================

They must be told apart: of five jobs that starved for "capacity" on RunPod, four had workers that crashed in a loop
(runpod-mcp#62), and whoever rents more machines then buys more crashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SETTLED_S = 600.0
"""A machine that has been HOT for this long was started well: what happens to it later is not its image's start."""
MOST_RESTARTS = 3
"""So many restarts, each before the machine had settled, are a crash loop."""
_HOSTS = 2  # one host may be broken; that two break the same image is hard to believe


class Diagnosis(StrEnum):
    """Why a machine did not come up; a stable code for journal and metrics."""

    NO_CAPACITY = "no_capacity"
    CRASH_LOOP = "crash_loop"
    SLOW_PULL = "slow_pull"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageHistory:
    """Where an image crashed in a loop since a machine last started well with it."""

    crashed: Mapping[str, float] = field(default_factory=dict)
    """Epoch seconds of the last crash, by host."""

    @property
    def given_up(self) -> bool:
        """Whether nothing is rented with this image any more, save trials."""
        return len(self.crashed) >= _HOSTS

    @property
    def crashed_at(self) -> float:
        """Epoch seconds of the last crash on any host."""
        return max(self.crashed.values(), default=float("-inf"))

    def after_crash(self, host: str, now: float) -> ImageHistory:
        """This history after one more crash."""
        return ImageHistory(crashed={**self.crashed, host: now})

    def not_after(self, now: float) -> ImageHistory:
        """This history with nothing in it later than now: for when the clock was set back."""
        return ImageHistory(crashed={host: min(at, now) for host, at in self.crashed.items()})

    def trial_in_s(self, now: float, retry_s: float) -> float:
        """Seconds until one machine may be rented to see whether the image starts by now."""
        return max(0.0, self.crashed_at + retry_s - now)
