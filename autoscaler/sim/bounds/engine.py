"""The clairvoyant programme of one day, and of all days together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from autoscaler.sim.bounds.day import Day, Prices
from autoscaler.sim.bounds.linear import Draft, Floats, Solution, shadow_prices, solve
from autoscaler.sim.bounds.programme import charge_prices, draft_day


def solve_priced(day: Day, *, gap: float, limit_s: float) -> Solution:
    """Solve a day that pays its prices for what it shares."""
    draft = Draft()
    charge_prices(draft, draft_day(draft, day), day)
    return solve(draft.programme(), gap=gap, limit_s=limit_s)


def shared_prices(days: Sequence[Day]) -> list[Prices] | None:
    """What each day is to pay for that which it shares with the others; None if nobody can keep the promise.

    All days are drafted into one programme, with a row for each thing that they share. A row's shadow price is what
    its limit is worth, so who takes of it pays as much.
    """
    draft = Draft()
    ties = [draft_day(draft, day) for day in days]
    late = draft.rows(len(days[0].late_most), high=days[0].late_most)
    left_over = draft.rows(1, high=0.0)
    for tie in ties:
        for row, columns in zip(late, tie.late, strict=True):
            draft.put(row, columns, 1.0)
        draft.put(left_over, tie.left_over, 1.0)
    hot, warm = draft.rows(len(days) - 1, low=0.0, high=0.0), draft.rows(len(days) - 1, low=0.0, high=0.0)
    for place, (before, after) in enumerate(pairwise(ties)):
        for rows, evening, morning in ((hot, before.hot[1], after.hot[0]), (warm, before.warm[1], after.warm[0])):
            draft.put(rows[place], [evening, morning], [-1.0, 1.0])
    worth = shadow_prices(draft.programme(), np.concatenate([late, left_over, hot, warm]))
    if worth is None:
        return None
    price_late, price_left_over, price_hot, price_warm = np.split(-worth, np.cumsum([len(late), 1, len(hot)]))
    return [
        Prices(
            late=tuple(price_late.tolist()),
            left_over=float(price_left_over[0]),
            hot=_at_ends(price_hot, place),
            warm=_at_ends(price_warm, place),
        )
        for place in range(len(days))
    ]


def _at_ends(prices: Floats, place: int) -> tuple[float, float]:
    """A machine is charged to the day that finds it in the morning, and credited to the day that leaves it."""
    padded = np.concatenate([[0.0], prices, [0.0]])
    return float(padded[place]), -float(padded[place + 1])
