"""How many machines the work has needed lately: a histogram of levels that fades.

Each job counts, for as long as it is at work, for the number of machines that were needed then. Worked example: of 100
job-hours, 85 fell into times in which one machine was needed, 12 into times of two and 3 of three. Two machines cover
all but 3 % of the work, so with a share of 5 % that may be uncovered, two are enough.
"""

from __future__ import annotations

from collections.abc import Sequence

HALF_LIFE_S = 3 * 86400.0
"""The age at which work counts for half of new work."""


def seen(levels: Sequence[float], needed: int, jobs: int, elapsed_s: float) -> list[float]:
    """The histogram after `elapsed_s` seconds in which that many jobs were at work and so many machines needed.

    Its first number is for one machine; each is in job-seconds.
    """
    fade = 0.5 ** (elapsed_s / HALF_LIFE_S)
    fresh = [level * fade for level in levels]
    fresh += [0.0] * (needed - len(fresh))
    if needed:
        fresh[needed - 1] += jobs * elapsed_s
    return fresh


def covering(levels: Sequence[float], uncovered: float) -> int:
    """The fewest machines that are enough for all but this share of the work."""
    left = sum(levels) * uncovered
    for level in range(len(levels), 0, -1):
        left -= levels[level - 1]
        if left < 0.0:
            return level
    return 0
