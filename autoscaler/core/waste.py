"""Money that served nobody, as a change of phase tells of it: boots that failed, disks that never came back."""

from __future__ import annotations

from enum import StrEnum

from autoscaler.core.diagnosis import Diagnosis
from autoscaler.core.instance import Instance
from autoscaler.core.lifecycle import ON_THE_WAY, Phase

_UNDER_WAY = ON_THE_WAY | {Phase.LOST}
"""Phases in which a boot may still come up."""


class Waste(StrEnum):
    """Why money was wasted; a stable code for the books and the API."""

    CRASH_LOOP = "crash_loop"
    """The image crashed, or was never ready."""
    SLOW_PULL = "slow_pull"
    """It was still being pulled at its deadline."""
    REFUSED = "refused"
    """The provider had no GPU for it after all."""
    INTERRUPTED = "interrupted"
    """It was stopped from outside while it booted."""
    LOST = "lost"
    """It was lost while it booted, and did not come back."""
    NOT_WANTED = "not_wanted"
    """Nobody wanted it any more before it was up."""
    FAILED = "failed"
    """It failed, and no more is known."""
    DROPPED_DISK = "dropped_disk"
    """No boot: a stopped machine was given up; its disk was kept in vain since it was last stopped."""


_DIAGNOSES = {
    Diagnosis.CRASH_LOOP: Waste.CRASH_LOOP,
    Diagnosis.SLOW_PULL: Waste.SLOW_PULL,
    Diagnosis.NO_CAPACITY: Waste.REFUSED,
}


def why_failed(old: Instance, new: Instance, *, ordered: bool) -> Waste | None:
    """Why a boot that is under way ends with this change other than in HOT; None where it came up, or still may."""
    if new.phase in _UNDER_WAY or new.phase is Phase.HOT:
        return None
    if new.diagnosis is not None:
        return _DIAGNOSES[new.diagnosis]
    if ordered:
        return Waste.NOT_WANTED
    if old.phase is Phase.LOST:
        return Waste.LOST
    if new.refusals > old.refusals or old.phase is Phase.PLANNED:
        return Waste.REFUSED
    return Waste.INTERRUPTED if new.phase is Phase.WARM else Waste.FAILED


def boot_is_over(new: Instance) -> bool:
    """Whether a boot that was under way has ended with this record, well or badly."""
    return new.phase not in _UNDER_WAY


def dropped_disk_usd(old: Instance, new: Instance, now: float) -> float | None:
    """What the disk of a stopped machine has cost since it was last stopped, as it is given up; None where it is not.

    It is reckoned at the disk's newest price.
    """
    if old.phase is not Phase.WARM or new.phase is not Phase.RELEASING:
        return None
    return old.burn_usd_per_hour * max(0.0, now - old.phase_since) / 3600.0
