"""Linear and mixed-integer programmes, drafted column by column and row by row, solved by HiGHS through scipy.

Only this module and `programme`, which drafts with it, import numpy and scipy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, sparse  # type: ignore[import-untyped]  # it ships no types

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_INFEASIBLE = 2
"""The status by which scipy says that there is no solution."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Programme:
    """Minimise `usd · x`, with `low ≤ x ≤ high` and `row_low ≤ matrix · x ≤ row_high`, some columns whole numbers."""

    usd: Floats
    low: Floats
    high: Floats
    whole: Floats
    matrix: Any
    row_low: Floats
    row_high: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Solution:
    """What a solver found within its limits."""

    usd: float
    """Value of the best solution found; infinite if none was found."""
    bound_usd: float
    """No solution is below it; infinite if there is none at all."""


class Draft:
    """A programme in the making."""

    def __init__(self) -> None:
        self._columns: list[tuple[Floats, ...]] = []
        self._rows: list[tuple[Floats, ...]] = []
        self._entries: list[tuple[Places, Places, Floats]] = []
        self._charges: list[tuple[Places, float]] = []
        self.column_count = 0
        self.row_count = 0

    def columns(
        self, count: int, *, usd: ArrayLike = 0.0, low: ArrayLike = 0.0, high: ArrayLike = np.inf, whole: bool = False
    ) -> Places:
        """New unknowns; gives their places."""
        self._columns.append(_spread(count, usd, low, high, float(whole)))
        self.column_count += count
        return np.arange(self.column_count - count, self.column_count)

    def rows(self, count: int, *, low: ArrayLike = -np.inf, high: ArrayLike = np.inf) -> Places:
        """New conditions, still empty; gives their places."""
        self._rows.append(_spread(count, low, high))
        self.row_count += count
        return np.arange(self.row_count - count, self.row_count)

    def put(self, rows: ArrayLike, columns: ArrayLike, values: ArrayLike) -> None:
        """Add `values` at these places of the matrix."""
        at_rows, at_columns, entries = np.broadcast_arrays(rows, columns, values)
        self._entries.append((at_rows.astype(np.intp), at_columns.astype(np.intp), entries.astype(np.float64)))

    def charge(self, columns: Places, usd: float) -> None:
        """Make each of these columns cost so much more."""
        self._charges.append((columns, usd))

    def programme(self) -> Programme:
        """What has been drafted."""
        usd, low, high, whole = map(np.concatenate, zip(*self._columns, strict=True))
        for columns, more_usd in self._charges:
            usd[columns] += more_usd
        row_low, row_high = map(np.concatenate, zip(*self._rows, strict=True))
        at_rows, at_columns, entries = map(np.concatenate, zip(*self._entries, strict=True))
        matrix = sparse.csr_array((entries, (at_rows, at_columns)), shape=(self.row_count, self.column_count))
        return Programme(usd=usd, low=low, high=high, whole=whole, matrix=matrix, row_low=row_low, row_high=row_high)


def _spread(count: int, *values: ArrayLike) -> tuple[Floats, ...]:
    return tuple(np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)) for value in values)


def solve(programme: Programme, *, gap: float, limit_s: float) -> Solution:
    """Solve to a relative gap between the solution and the bound, or for so many seconds."""
    rows = optimize.LinearConstraint(programme.matrix, programme.row_low, programme.row_high)
    bounds = optimize.Bounds(programme.low, programme.high)

    def found(whole: Floats, **options: float) -> Any:
        return optimize.milp(programme.usd, integrality=whole, bounds=bounds, constraints=rows, options=options)

    result = found(programme.whole, mip_rel_gap=gap, time_limit=limit_s)
    solution_usd, bound_usd = result.fun, result.mip_dual_bound
    if result.status != _INFEASIBLE and (bound_usd is None or math.isinf(bound_usd)):
        result = found(np.zeros_like(programme.whole))  # the time was too short for any answer; this takes no search
        bound_usd = result.fun
    if result.status == _INFEASIBLE:
        return Solution(usd=math.inf, bound_usd=math.inf)
    return Solution(usd=math.inf if solution_usd is None else float(solution_usd), bound_usd=float(bound_usd))


def shadow_prices(programme: Programme, rows: Places) -> Floats | None:
    """By how many USD the optimum changes for each unit by which the limits of these rows grow; None if there is none.

    No column need be whole for this: it is the relaxation that is solved, by an interior point method, which takes
    seconds where the simplex method may take minutes.
    """
    low, high = programme.row_low, programme.row_high
    equal = low == high
    below, above = np.isfinite(high) & ~equal, np.isfinite(low) & ~equal
    result = optimize.linprog(
        programme.usd,
        A_ub=sparse.vstack([programme.matrix[below], -programme.matrix[above]]),
        b_ub=np.concatenate([high[below], -low[above]]),
        A_eq=programme.matrix[equal],
        b_eq=high[equal],
        bounds=np.column_stack([programme.low, programme.high]),
        method="highs-ipm",
    )
    if result.status == _INFEASIBLE:
        return None
    prices = np.zeros(len(low))
    prices[equal] = result.eqlin.marginals
    prices[below] = result.ineqlin.marginals[: below.sum()]
    prices[above] -= result.ineqlin.marginals[below.sum() :]
    return prices[rows]
