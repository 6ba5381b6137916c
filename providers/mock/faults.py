"""What goes wrong in the market: every fault by name, and the calls it can strike."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, auto
from types import MappingProxyType


class Operation(StrEnum):
    """The calls of a provider, as a scenario names them."""

    LIST = auto()
    OFFERS = auto()
    RENT = auto()
    RESUME = auto()
    STOP = auto()
    RELEASE = auto()
    SET_BID = auto()
    BALANCE = auto()


class Fault(StrEnum):
    """Every way in which this market misbehaves, and the vendor that does it."""

    # Any call: the line between us and the provider.
    RATE_LIMITED = auto()
    """429 with a Retry-After header; nothing was done. RunPod; Vast.ai since late 2026."""
    RATE_LIMITED_SILENT = auto()
    """429 without a word on when to come back; nothing was done. Vast.ai's plain-text answer, RunPod's old API."""
    AUTH_FAILED = auto()
    """401 or 403: the key was revoked or lacks a right. Both."""
    UNAVAILABLE = auto()
    """Refused before anything was done, for now. Both, in maintenance."""
    REQUEST_LOST = auto()
    """A time-out or reset before the request arrived: nothing was done, and nobody can tell. Both."""
    ANSWER_LOST = auto()
    """A time-out, a reset or a 5xx after it was done: a rented machine shows in the listing alone. Both."""
    HANGS = auto()
    """The call never answers, and nothing was done. Both."""
    ANSWER_HANGS = auto()
    """The call never answers, and yet it was done. Both."""

    # Renting.
    OFFER_GONE = auto()
    """Somebody else was quicker. Vast.ai `no_such_ask`; RunPod "no longer any instances available"."""
    FUNDS_REFUSED = auto()
    """This one rent is refused for money though the balance is not spent. Vast.ai `spend_rate_limit`; RunPod 402."""
    PARTIAL_LAUNCH = auto()
    """An error whose body names a machine that was made, stopped, and bills its disk. Vast.ai `new_contract`."""
    REFUSED_YET_MADE = auto()
    """A plain refusal, and yet the machine was made and runs. Vast.ai, 400 with an empty body."""
    DEARER = auto()
    """Rented at a quarter more than was offered. Vast.ai, on demand instead of spot; no answer tells."""
    NO_OFFERS = auto()
    """The search finds nothing, without an error. Both, in a dry market."""

    # Starting: struck when a machine is rented or resumed.
    BOOT_HANGS = auto()
    """It starts for ever. Vast.ai `loading` with a stuck pull; RunPod's volume that never attaches."""
    CRASH_LOOP = auto()
    """It fails early in the boot and stays failed, billed. Vast.ai "OCI runtime create failed"; RunPod ERROR."""
    SLOW_PULL = auto()
    """A first boot takes three times as long. Both, large images on slow hosts."""
    ZERO_GPU = auto()
    """A resumed machine runs with no GPU in it. RunPod."""

    # Resuming: a stopped machine does not keep its GPU.
    RESUME_REFUSED = auto()
    """Its GPU is let to others for a while. Both."""
    RESUME_NEVER = auto()
    """It will be refused for ever. Both, where the other renter stays."""
    RESUME_QUEUED = auto()
    """Refused, and yet queued: it starts and bills by itself once its GPU is free. Vast.ai."""

    # Stopping and giving back.
    STOP_IGNORED = auto()
    """Answered as done, and it runs on. Vast.ai, `success: false` under 200 read carelessly."""
    RELEASE_IGNORED = auto()
    """Answered as done, and the machine stays and bills. Vast.ai, as above."""

    # The listing.
    LISTED_LATE = auto()
    """Struck by a rent: the new machine is missing from the listing for a while. Both."""
    LINGERS = auto()
    """Struck by a release: the machine is shown for a while after it is gone. Both."""
    LISTS_HALF = auto()
    """A listing without its second half, and without an error. RunPod's pages read by a client that knows none."""
    LISTING_FAILS = auto()
    """The listing is an error. Both."""

    # Struck by time: chances are per hour.
    OUTBID = auto()
    """A running spot machine is stopped; it may start again by itself, and bill. Vast.ai; RunPod's former spot."""
    HOST_OFFLINE = auto()
    """The host stops answering for a while; what ran on it starts again when it is back. Vast.ai `offline`."""
    VANISHES = auto()
    """The machine is gone for good, unasked. RunPod on an empty account; Vast.ai after a contract's end."""
    BALANCE_SPENT = auto()
    """The account is empty: all is stopped, nothing can be rented or resumed, disks bill on. Scripted only."""


_ANY = frozenset(Operation)
_CHANGES = frozenset({Operation.RENT, Operation.RESUME, Operation.STOP, Operation.RELEASE, Operation.SET_BID})
_RENT = frozenset({Operation.RENT})
_RESUME = frozenset({Operation.RESUME})

STRIKES: Mapping[Fault, frozenset[Operation]] = MappingProxyType(
    {
        Fault.RATE_LIMITED: _ANY,
        Fault.RATE_LIMITED_SILENT: _ANY,
        Fault.AUTH_FAILED: _ANY,
        Fault.UNAVAILABLE: _ANY - {Operation.LIST},
        Fault.REQUEST_LOST: _CHANGES,
        Fault.ANSWER_LOST: _CHANGES,
        Fault.HANGS: _ANY,
        Fault.ANSWER_HANGS: _CHANGES,
        Fault.OFFER_GONE: _RENT,
        Fault.FUNDS_REFUSED: _RENT,
        Fault.PARTIAL_LAUNCH: _RENT,
        Fault.REFUSED_YET_MADE: _RENT,
        Fault.DEARER: _RENT,
        Fault.NO_OFFERS: frozenset({Operation.OFFERS}),
        Fault.BOOT_HANGS: _RENT | _RESUME,
        Fault.CRASH_LOOP: _RENT | _RESUME,
        Fault.SLOW_PULL: _RENT,
        Fault.ZERO_GPU: _RESUME,
        Fault.RESUME_REFUSED: _RESUME,
        Fault.RESUME_NEVER: _RESUME,
        Fault.RESUME_QUEUED: _RESUME,
        Fault.STOP_IGNORED: frozenset({Operation.STOP}),
        Fault.RELEASE_IGNORED: frozenset({Operation.RELEASE}),
        Fault.LISTED_LATE: _RENT,
        Fault.LINGERS: frozenset({Operation.RELEASE}),
        Fault.LISTS_HALF: frozenset({Operation.LIST}),
        Fault.LISTING_FAILS: frozenset({Operation.LIST}),
        Fault.OUTBID: frozenset(),
        Fault.HOST_OFFLINE: frozenset(),
        Fault.VANISHES: frozenset(),
        Fault.BALANCE_SPENT: frozenset(),
    }
)
"""The calls each fault can strike; those struck by time have none."""

MARKET_ODDS: Mapping[Fault, float] = MappingProxyType({Fault.RESUME_REFUSED: 0.1, Fault.OUTBID: 0.02})
"""What goes wrong in any market unless `faults` says otherwise."""

Struck = frozenset[Fault]
"""The faults that strike one call."""
NOTHING: Struck = frozenset()
