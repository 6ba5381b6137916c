"""How long an idle machine is worth its price: ski rental over COLD, WARM and HOT.

A machine that may be wanted again costs ``h`` an hour while it runs and ``w`` while it is stopped; to have it HOT again
costs ``K_W`` out of WARM and ``K_C`` out of COLD. Follow the lower envelope of ``h t``, ``w t + K_W`` and ``K_C``
(Lotker, Patt-Shamir and Rawitz, 2012): stop it after ``t1 = K_W ÷ (h - w)``, release it after ``t2 = (K_C - K_W) ÷ w``.
The price is then at most twice what a clairvoyant pays. A resume that is refused, which it is with the chance 1 - p,
makes a set-up necessary: ``K_W = p k_W + (1 - p) K_C``, where a start costs what the machine costs meanwhile.

Worked example: h = 0.40 USD an hour, a resume of 45 s, 60 GB at 0.15 USD a month or w = 0.0125 an hour, a set-up of
240 s with 25 GB of downloads at 5 USD a TB, so K_C = 0.152 USD: with p = 0.8, K_W = 0.034, t1 = 5.3 min and t2 = 9.4 h;
with p = 0.3, K_W = 0.108, t1 = 17 min and t2 = 3.5 h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakEven:
    """After how many idle seconds a machine changes its state."""

    stop_s: float
    """HOT to WARM."""
    release_s: float
    """WARM to COLD, from when it was needed last; at most `stop_s` where a stopped one is not worth its disk."""


def break_even(
    *, usd_per_hour: float, disk_usd_per_hour: float, resume_s: float, setup_usd: float, resume_chance: float
) -> BreakEven:
    """The break-even times at these prices, this duration and chance of a resume and this cost of a set-up."""
    warm_usd = resume_chance * usd_per_hour * resume_s / 3600.0 + (1.0 - resume_chance) * setup_usd
    saved = usd_per_hour - disk_usd_per_hour
    stop_s = 3600.0 * warm_usd / saved if saved > 0.0 else math.inf
    release_s = 3600.0 * (setup_usd - warm_usd) / disk_usd_per_hour if disk_usd_per_hour > 0.0 else math.inf
    return BreakEven(stop_s, max(0.0, release_s))
