"""The life of a rented machine: one enum, one transition table, one deadline and escalation for each phase that waits.

::

    PLANNED → RENTING → BOOTING → HOT → DRAINING → STOPPING → WARM → RESUMING → BOOTING …
    any → RELEASING → GONE          LOST: the provider no longer lists it

COLD is the absence of a record. SERVING is HOT with busy slots; it is derived and never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from autoscaler.core.spec import Deadlines


class Phase(StrEnum):
    """Where a machine stands."""

    PLANNED = "planned"
    """The intent to rent is stored; the provider has not answered yet."""
    RENTING = "renting"
    """Accepted, or its outcome unclear; the token has not been seen in a listing yet."""
    BOOTING = "booting"
    """Listed and starting: image pull, model load."""
    HOT = "hot"
    """Running with the model loaded."""
    DRAINING = "draining"
    """Marked: its workers stop pulling and finish what they have."""
    STOPPING = "stopping"
    """A stop is ordered and not yet seen."""
    WARM = "warm"
    """Stopped; its disk is billed. It may never come back."""
    RESUMING = "resuming"
    """A start is ordered and not yet seen."""
    RELEASING = "releasing"
    """A release is ordered; it ends only by absence from complete listings."""
    LOST = "lost"
    """Missing from complete listings, or its host is offline."""
    GONE = "gone"
    """Proven gone. The record stays for a while as a tombstone, then is forgotten."""


class InvalidTransition(Exception):
    """A phase change that the table does not know: a bug of ours."""


P = Phase

TRANSITIONS: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        P.PLANNED: frozenset(
            {
                P.RENTING,  # the provider accepted, or did not answer clearly
                P.RELEASING,  # it failed and yet made a machine
                P.GONE,  # a definite refusal
            }
        ),
        P.RENTING: frozenset(
            {
                P.BOOTING,  # the listing shows it
                P.RELEASING,  # never listed, made stopped, not what was rented, or failed
                P.GONE,  # the outcome was unclear, and the token is proven absent
            }
        ),
        P.BOOTING: frozenset(
            {
                P.HOT,  # ready
                P.STOPPING,  # started without a GPU, or nobody wants it any more
                P.WARM,  # interrupted before it was ready
                P.LOST,  # missing from the listing
                P.RELEASING,  # never ready, failed, or nobody wants it any more
            }
        ),
        P.HOT: frozenset(
            {
                P.DRAINING,  # no longer wanted
                P.BOOTING,  # the provider restarts it
                P.WARM,  # interrupted: outbid, or stopped by its host
                P.LOST,
                P.RELEASING,  # failed
            }
        ),
        P.DRAINING: frozenset(
            {
                P.HOT,  # wanted again
                P.STOPPING,  # idle: stop it
                P.RELEASING,  # idle: give it back; or failed
                P.WARM,  # interrupted
                P.LOST,
            }
        ),
        P.STOPPING: frozenset(
            {
                P.WARM,  # the listing shows it stopped
                P.LOST,
                P.RELEASING,  # it does not stop: give it back
            }
        ),
        P.WARM: frozenset(
            {
                P.RESUMING,  # wanted
                P.BOOTING,  # the provider started it unasked
                P.STOPPING,  # a start is queued that nobody ordered, or its GPU bills: stop it again
                P.LOST,
                P.RELEASING,  # not worth its disk any more, or it will not come back
            }
        ),
        P.RESUMING: frozenset(
            {
                P.BOOTING,  # the listing shows it running
                P.WARM,  # refused
                P.STOPPING,  # refused but queued, or too slow: cancel the order
                P.LOST,
                P.RELEASING,  # it will not come back, or failed
            }
        ),
        P.LOST: frozenset(
            {
                P.BOOTING,  # it is back and runs
                P.WARM,  # it is back and stopped
                P.RELEASING,  # it stayed away
            }
        ),
        P.RELEASING: frozenset({P.GONE}),  # absent from complete listings; nothing else ends it
        P.GONE: frozenset({P.RELEASING}),  # listed again after all
    }
)


class Escalation(StrEnum):
    """What follows when a phase outlives its deadline."""

    LOOK = "look for the token"
    RELEASE = "release"
    CANCEL = "cancel the order"
    ALARM = "alarm and go on"


ESCALATIONS: Mapping[Phase, Escalation] = MappingProxyType(
    {
        P.PLANNED: Escalation.LOOK,
        P.RENTING: Escalation.RELEASE,
        P.BOOTING: Escalation.RELEASE,
        P.DRAINING: Escalation.ALARM,
        P.STOPPING: Escalation.RELEASE,
        P.RESUMING: Escalation.CANCEL,
        P.RELEASING: Escalation.ALARM,
        P.LOST: Escalation.RELEASE,
    }
)

ON_THE_WAY = frozenset({P.PLANNED, P.RENTING, P.BOOTING, P.RESUMING})
"""Phases that will be HOT without further orders."""


def deadline_s(phase: Phase, deadlines: Deadlines) -> float | None:
    """Seconds a machine may stay in a phase, or None for the phases that do not wait."""
    return getattr(deadlines, phase.value) if phase in ESCALATIONS else None


def check(old: Phase, new: Phase) -> None:
    """Refuse a phase change that the table does not know.

    Raises:
        InvalidTransition: it does not.
    """
    if new not in TRANSITIONS[old]:
        raise InvalidTransition(f"{old} → {new} is not in the transition table")
