"""When a daemon that leads, and whose ticks are bad, yields to another one."""

from __future__ import annotations

_LEAST = 3
_MOST = 96


class Yielding:
    """Counts bad ticks in a row while this daemon leads.

    It bears twice as many each time that it has yielded for them: where all daemons fail alike, they hand the lead on
    ever more rarely.
    """

    def __init__(self) -> None:
        self._bad = 0
        self._borne = _LEAST

    @property
    def is_due(self) -> bool:
        """Whether another daemon that lives shall try."""
        return self._bad >= self._borne

    def bad(self) -> None:
        """A tick is bad, or has begun and is not known to be good."""
        self._bad += 1

    def good(self) -> None:
        """A tick was good."""
        self._bad, self._borne = 0, _LEAST

    def yielded(self) -> None:
        """The lead was given back, be it for bad ticks or for another reason."""
        if self.is_due:
            self._borne = min(2 * self._borne, _MOST)
        self.stood_by()

    def stood_by(self) -> None:
        """A tick did not lead."""
        self._bad = 0
