"""The record of one rented machine, and the one way to change its phase."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from autoscaler.core import lifecycle
from autoscaler.core.diagnosis import Diagnosis
from autoscaler.core.lifecycle import Phase
from autoscaler.core.spec import Buy
from autoscaler.core.utilisation import Use

RECORD_VERSION = 3
"""Version of the stored forms; it rises when an older program could not read them, or would do wrong by them."""

_LABEL_PREFIX = "autoscaler"
_LABEL = re.compile(rf"{_LABEL_PREFIX}\.(?P<fleet>[a-z0-9-]+)\.(?P<pool>[a-z0-9-]+)\.(?P<token>[a-z0-9]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One rented machine. In a phase that waits for the provider, the record is the intent."""

    id: str
    """Our own token, unique for ever; it is in the machine's label from the create call on."""
    pool: str
    placement: str
    provider: str
    phase: Phase
    phase_since: float
    """Epoch seconds."""
    created_at: float
    provider_id: str | None = None
    image: str = ""
    """Container image it was rented with; empty when that is not known."""
    gpu: str = ""
    region: str = ""
    host: str = ""
    buy: Buy = "on_demand"
    slots: int = 1
    usd_per_hour: float = 0.0
    """Upper bound of the price while running, disk included."""
    disk_usd_per_hour: float = 0.0
    """Price while stopped."""
    burn_usd_per_hour: float = 0.0
    """What it costs at this moment, by the last listing; the upper bound where unseen."""
    usd_spent: float = 0.0
    """Cost up to `booked_at`."""
    booked_at: float = 0.0
    address: str | None = None
    ends_at: float | None = None
    """Epoch seconds when its contract ends and its provider stops it for good; None where it has no end."""
    tier: str | None = None
    """Of a HOT machine set apart: the least urgent tier whose jobs it takes. None while it takes those of all."""
    ordered_at: float = 0.0
    """When it was last rented or resumed, to learn how long that takes."""
    drained_at: float = 0.0
    """When it was last told to drain."""
    called_at: float = 0.0
    """When the last call about it ended; a listing asked for before says nothing of its effect."""
    attempts: int = 0
    """Calls made for the present phase."""
    retry_at: float | None = 0.0
    """Not before this may the present phase's call be made; None when it is not to be repeated."""
    absent_since: float | None = None
    """When the first of the complete listings was asked for that did not show it."""
    refusals: int = 0
    """Resumes refused in a row."""
    resumed: bool = False
    """It boots out of WARM rather than out of COLD."""
    boot_since: float | None = None
    """When the boot began during which it was LOST; should it come back, the deadline goes on from there."""
    restarts: int = 0
    """Restarts in a row, each before it had settled."""
    diagnosis: Diagnosis | None = None
    """Why it does not come up, or did not."""
    ailment: str = ""
    """What is wrong with it though it runs, in words for people; empty while it is healthy."""
    gpu_use: Use = Use.NORMAL
    races: str | None = None
    """The machine beside whose resume it was rented: the first of the two to be HOT stays."""
    adopted: bool = False
    """It was found by its label, without a record."""
    alarmed: bool = False
    """The alarm of the present phase's deadline was raised."""
    reason: str = ""
    """Why it is in its phase, in words for people."""
    version: int = 0
    """Rises with every change that is stored."""

    def moved(self, phase: Phase, now: float, reason: str, **changes: Any) -> Instance:
        """This record in another phase, its cost booked up to now.

        Raises:
            InvalidTransition: the table does not allow it.
        """
        lifecycle.check(self.phase, phase)
        fresh: dict[str, Any] = {"attempts": 0, "retry_at": 0.0, "absent_since": None, "alarmed": False, "tier": None}
        if phase is Phase.GONE:
            fresh["burn_usd_per_hour"] = 0.0
        return replace(self.booked(now), **(fresh | {"phase": phase, "phase_since": now, "reason": reason} | changes))

    def not_after(self, now: float) -> Instance:
        """This record with nothing in it later than now: for when the clock was set back.

        Its phase begins anew then, so that the deadline may come late, but not by as much as the clock was set back.
        """
        return replace(
            self,
            created_at=min(self.created_at, now),
            phase_since=min(self.phase_since, now),
            booked_at=min(self.booked_at, now),
            called_at=min(self.called_at, now),
            drained_at=min(self.drained_at, now),
            ordered_at=self.ordered_at if self.ordered_at <= now else 0.0,
            retry_at=self.retry_at if self.retry_at is None else min(self.retry_at, now),
            absent_since=self.absent_since if self.absent_since is None else min(self.absent_since, now),
            boot_since=self.boot_since if self.boot_since is None else min(self.boot_since, now),
        )

    def later(self, seconds: float) -> Instance:
        """This record with all its times that many seconds later: for when the clock was set forward.

        What it waits for takes as long as it would have, and the time that did not pass costs nothing. When its
        contract ends is its provider's to say, and stays.
        """
        absent_since, boot_since = self.absent_since, self.boot_since
        return replace(
            self,
            created_at=self.created_at + seconds,
            phase_since=self.phase_since + seconds,
            booked_at=self.booked_at + seconds,
            called_at=self.called_at + seconds,
            drained_at=self.drained_at and self.drained_at + seconds,
            ordered_at=self.ordered_at and self.ordered_at + seconds,
            retry_at=self.retry_at and self.retry_at + seconds,
            absent_since=None if absent_since is None else absent_since + seconds,
            boot_since=None if boot_since is None else boot_since + seconds,
        )

    def booked(self, now: float) -> Instance:
        """This record with its cost up to now."""
        return replace(self, usd_spent=self.cost_usd(now), booked_at=now)

    def cost_usd(self, now: float) -> float:
        """What this machine has cost up to now, in USD."""
        return self.usd_spent + self.burn_usd_per_hour * max(0.0, now - self.booked_at) / 3600.0


def make_label(fleet: str, pool: str, token: str) -> str:
    """The label a machine carries at its provider, from the create call on."""
    return f"{_LABEL_PREFIX}.{fleet}.{pool}.{token}"


def parse_label(label: str, fleet: str) -> tuple[str, str] | None:
    """Pool and token of a label of ours, or None for a machine that is not ours.

    Only what `make_label` gives is one of ours, to the letter: what merely looks like it is somebody's copy, or a name
    that he gave in a hurry.
    """
    ours = _LABEL.fullmatch(label)
    return (ours["pool"], ours["token"]) if ours and ours["fleet"] == fleet else None


def resembles_label(label: str, fleet: str) -> bool:
    """Whether a label begins as those of the fleet do, yet is none of them: that of a clone, or one that was edited."""
    return label.startswith(f"{_LABEL_PREFIX}.{fleet}.") and parse_label(label, fleet) is None


def fleet_of(label: str) -> str | None:
    """The fleet of a label, be it ours or another; None for a machine that no autoscaler rented."""
    rented = _LABEL.fullmatch(label)
    return rented["fleet"] if rented else None
