"""How far a forecast can be trusted: as far as the changes that it foretold have come.

Its rival is the forecast that all stays as it is. With f the changes foretold and c those that came, ``x + w·f`` has
the least squared error for ``w = Σfc / Σf²``: 1 when all that is foretold comes, 0 when what comes has nothing to do
with it. That weight is itself an estimate, off by ``σ² / Σf²`` of squared error, σ² the error that is left; so it is
taken down by that share of its own square (the positive part of James and Stein, 1961). Worked example: foretold
changes of 1, -1 and 2 slots came as 0.8, -0.5 and 1.9: w = (0.8 + 0.5 + 3.8) / 6 = 0.85.

Skill is the share of the rival's squared error that the weighted forecast would have saved. Chance alone gives a weight
and a skill of 0 more often than not, and little otherwise. Older slots fade within a day, so that a habit that ends
is not believed for long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from policies.profile import DAY

REACH = 4
"""Slots from a forecast to what it foretells: one hour, about what a set-up takes."""

_KEEP = math.exp(-1.0 / DAY)


@dataclass(frozen=True, slots=True)
class Skill:
    """Decaying sums over the forecasts whose time has come."""

    foretold: float = 0.0
    """Σf²"""
    both: float = 0.0
    """Σfc"""
    came: float = 0.0
    """Σc²: the squared error of the rival."""
    count: float = 0.0

    def scored(self, foretold: float, came: float) -> Skill:
        """These sums after one more forecast."""
        return Skill(
            foretold=self.foretold * _KEEP + foretold * foretold,
            both=self.both * _KEEP + foretold * came,
            came=self.came * _KEEP + came * came,
            count=self.count * _KEEP + 1.0,
        )

    @property
    def weight(self) -> float:
        """The share of a foretold change to believe, from 0 to 1."""
        if self.both <= 0.0:
            return 0.0
        saved = self.both * self.both / self.foretold
        # Forecasts an hour apart are of one cause: so many fewer are there to learn from.
        doubt = max(0.0, self.came - saved) * REACH / (self.count * saved)
        return min(1.0, self.both / self.foretold) * max(0.0, 1.0 - doubt)

    @property
    def skill(self) -> float:
        """The share of the rival's squared error that the weighted forecast would have saved, from 0 to 1."""
        if not self.came:
            return 0.0
        weight = self.weight
        return max(0.0, weight * (2.0 * self.both - weight * self.foretold) / self.came)
