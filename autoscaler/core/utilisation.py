"""How well a running machine uses its GPU, by what its worker says.

The strategy's table: below 20 % for an hour warns, below 10 % for two hours speaks for stopping. Such a machine is the
first of the healthy and idle ones to go. No machine goes for this alone: how many are needed is the policies' to say,
and a floor stays a floor.
"""

from __future__ import annotations

from enum import StrEnum

from autoscaler.core.spec import Health


class Use(StrEnum):
    """How well a GPU was used of late."""

    NORMAL = "normal"
    """Well enough, or nobody says."""
    LOW = "low"
    """Below `low_gpu` for `low_gpu_for`: a warning."""
    IDLE = "idle"
    """Below `idle_gpu` for `idle_gpu_for`: it goes before others that are idle."""


def judge(before: Use, share: float, low_s: float, idle_s: float, rules: Health) -> Use:
    """The use of a GPU at work for this share of its time, 0 to 1.

    `low_s` and `idle_s` tell for how long it has been below each mark without a break. A verdict stands until the
    share is above its mark again, so that a daemon that was restarted, and counts anew, does not take it back.
    """
    if share < rules.idle_gpu and (before is Use.IDLE or idle_s >= rules.idle_gpu_for):
        return Use.IDLE
    if share < rules.low_gpu and (before is not Use.NORMAL or low_s >= rules.low_gpu_for):
        return Use.LOW
    return Use.NORMAL
