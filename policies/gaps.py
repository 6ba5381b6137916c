"""How long a pool stays without jobs: a histogram of its idle gaps, and what follows for its last machine.

After the hybrid histogram of Shahrad et al., Serverless in the Wild (USENIX ATC 2020), with bins that widen, so that it
reaches from a minute to a day and a half. Older gaps fade: about the last fifty count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_S = 60.0
"""A shorter pause is no gap: no machine is stopped that soon."""

_BINS_PER_DOUBLING = 4
_BINS = 44
_KEEP = 0.98
_FEW = 5.0

_EDGES = tuple(LEAST_S * 2.0 ** (edge / _BINS_PER_DOUBLING) for edge in range(_BINS + 1))


@dataclass(frozen=True, slots=True)
class Gaps:
    """Decaying counts of gaps, one for each bin; the last has all that are longer."""

    counts: Sequence[float] = (0.0,) * _BINS

    def learned(self, gap_s: float) -> Gaps:
        """These counts after one more gap."""
        place = min(max(int(_bin(gap_s)), 0), _BINS - 1)
        return Gaps([round(count * _KEEP + (each == place), 4) for each, count in enumerate(self.counts)])

    def chance(self, idle_s: float, within_s: float) -> float:
        """The probability that a gap which has lasted for `idle_s` ends within so many seconds; 0 while unknown."""
        longer = self._longer(idle_s)
        return 1.0 - self._longer(idle_s + within_s) / longer if longer and self._known else 0.0

    def worth_running(self, idle_s: float, wake_s: float) -> bool:
        """Whether a machine that has been idle for so long should still run.

        Waking it up costs as much as `wake_s` of running. Of a gap that has lasted for y, G being its whole length, it
        should run on for x more if ``wake_s · P(G ≤ y + x) > E[min(G - y, x)]`` for some x (ski rental with a known law
        of gaps; Karlin et al., Algorithmica 1994). Worked example: half of all gaps last 10 minutes and half 5 hours,
        and waking up costs 25 minutes. 25 × 0.5 > 10, so it runs for 10 minutes; then 25 × 1 < 290, and it stops.
        """
        longer = self._longer(idle_s)
        if not longer or not self._known:
            return False
        run_s, last_s, left = 0.0, idle_s, 1.0
        for edge in _EDGES:
            if edge <= idle_s:
                continue
            still = self._longer(edge) / longer
            run_s += (edge - last_s) * (left + still) / 2.0
            last_s, left = edge, still
            if wake_s * (1.0 - still) > run_s:
                return True
        return False

    @property
    def _known(self) -> bool:
        return sum(self.counts) >= _FEW

    def _longer(self, than_s: float) -> float:
        """Gaps longer than this; within a bin, they are spread evenly by the logarithm of their length."""
        place = max(0.0, _bin(than_s))
        if place >= _BINS:
            return 0.0
        whole = int(place)
        return sum(self.counts[whole + 1 :]) + self.counts[whole] * (whole + 1.0 - place)


def _bin(gap_s: float) -> float:
    return _BINS_PER_DOUBLING * math.log2(max(gap_s, LEAST_S) / LEAST_S)
