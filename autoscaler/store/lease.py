"""What one daemon knows of its lease, whichever store it lies in."""

from __future__ import annotations

SAFE_SHARE = 0.8
"""Part of the lease's time in which provider calls may start; the rest covers clocks that run unevenly."""


class Lead:
    """One daemon's claim to lead, by its own clock.

    The fence number rises whenever the lease is taken, so a number that is neither the one we held nor, where we took
    the lease anew, the next one, tells that another daemon led in between.
    """

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s
        self._safe_s = ttl_s * SAFE_SHARE
        self._follows = False
        self._free_since: float | None = None
        """When nobody was first found to lead; None while somebody does."""
        self._safe_until = float("-inf")
        self.fence: int | None = None
        """The number that goes with each write; None while another leads."""

    def answered(self, fence: int | None, *, taken: bool, asked_at: float) -> bool:
        """Note who leads, and give whether it is us.

        After another led in between, this says no once, even though the lease is ours: what we know of the fleet is
        old and must be loaded again.
        """
        superseded = self.fence is not None and fence != self.fence + taken
        if fence is None or superseded:
            self.lost()
            return False
        self.fence, self._follows, self._free_since = fence, False, None
        self._safe_until = asked_at + self._safe_s
        return True

    def heard(self, leader: str, *, asked_at: float) -> None:
        """Note who leads of the others, if anybody; to be called while this daemon does not."""
        if leader:
            self._follows, self._free_since = True, None
        elif self._free_since is None:
            self._free_since = asked_at

    @property
    def found_free(self) -> bool:
        """Whether nobody led when it was last asked."""
        return self._free_since is not None

    def leaves_to_former(self, now: float) -> bool:
        """Whether a lease of which the store has forgotten that it ever was is left to whoever led until then.

        The store came back empty, and he alone still knows what was spent. For the time of a lease: he may be dead.
        """
        return self._follows and (self._free_since is None or now < self._free_since + self._ttl_s)

    def lost(self) -> None:
        """Another leads, or we gave it back."""
        self.fence = None
        self._safe_until = float("-inf")

    def certain(self, now: float) -> bool:
        """Whether the lease is still ours beyond doubt."""
        return now < self._safe_until
