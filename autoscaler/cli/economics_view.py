"""Unit economics on a terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from autoscaler.economics.claims import Verdict
from autoscaler.economics.compute import Judged
from autoscaler.economics.format import format_figure
from autoscaler.economics.interval import Interval
from autoscaler.economics.tables import Table, figures_of

_STYLES = {Verdict.FOLLOWS: "green", Verdict.IN_PART: "yellow", Verdict.NO: "red", Verdict.UNKNOWN: "red"}
_GAP = 2
"""Columns between two figures."""


def view(tables: Sequence[Table], judged: Sequence[Judged], width: int) -> Iterator[RenderableType]:
    """All tables, what is said of them in words, and what becomes of the author's own figures."""
    if not tables:
        yield Text("The plan says nothing that could be computed: docs/economics.md shows what it may hold.")
    for table in tables:
        yield Text(table.title, "bold")
        yield from _grids(table, width)
        yield from (Text(f"  ! {line}", "yellow") for line in table.said)
        yield Text()
    if judged:
        yield Text("Stated figures", "bold")
        yield _stated(judged)
        yield Text(f"\n{_summary(judged)}")


def _grids(table: Table, width: int) -> Iterator[Grid]:
    """A table, in several below each other where it is wider than the screen: no figure may be cut off."""
    names = [table.name, *(row.name for row in table.rows)]
    columns = [
        [title, *(format_figure(row.figures[place], unit) for row in table.rows)]
        for place, (title, unit) in enumerate(table.columns.items())
        if any(row.figures[place] is not None for row in table.rows)
    ]
    fitting: list[list[str]] = []
    free = width - _width(names)
    for column in columns:
        if fitting and free < _width(column):
            yield _grid([names, *fitting])
            fitting, free = [], width - _width(names)
        fitting.append(column)
        free -= _width(column)
    yield _grid([names, *fitting])


def _width(column: Sequence[str]) -> int:
    return max(map(len, column)) + _GAP


def _grid(columns: Sequence[Sequence[str]]) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    for place, (title, *_) in enumerate(columns):
        grid.add_column(title, justify="right" if place else "left", header_style="dim", no_wrap=True)
    for row in zip(*(cells for _, *cells in columns), strict=True):
        grid.add_row(*row)
    return grid


def _stated(judged: Sequence[Judged]) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    grid.add_column("figure", header_style="dim", overflow="fold")
    for name in ("stated", "computed", "off by"):
        grid.add_column(name, justify="right", header_style="dim", no_wrap=True)
    grid.add_column("", header_style="dim", no_wrap=True)
    for each in judged:
        grid.add_row(
            each.figure,
            each.claim.text,
            format_figure(each.computed, each.unit),
            _off_by(each),
            Text(each.verdict, _STYLES[each.verdict]),
        )
    return grid


def _off_by(each: Judged) -> str:
    off = None if each.verdict is Verdict.FOLLOWS else each.claim.difference(each.computed)
    return "" if off is None else f"{100.0 * off:+.0f} %"


def _summary(judged: Sequence[Judged]) -> str:
    counts = Counter(each.verdict for each in judged)
    told = ", ".join(f"{verdict}: {counts[verdict]}" for verdict in Verdict if counts[verdict])
    return f"Of {len(judged)} stated figures - {told}"


def as_json(tables: Sequence[Table], judged: Sequence[Judged]) -> str:
    """The stable form: each figure with its bounds, null where there is none or it is never reached."""
    return json.dumps(
        {
            "tables": [
                {
                    "name": table.name,
                    "title": table.title,
                    "rows": [
                        {"name": row.name, **dict(zip(table.columns, map(_bounds, row.figures), strict=True))}
                        for row in table.rows
                    ],
                    "said": table.said,
                }
                for table in tables
            ],
            "stated": [
                {
                    "figure": each.figure,
                    "stated": each.claim.text,
                    "computed": _bounds(each.computed),
                    "verdict": each.verdict,
                    "off_by": each.claim.difference(each.computed),
                }
                for each in judged
            ],
        }
    )


def _bounds(figure: Interval | None) -> dict[str, Any] | None:
    return None if figure is None else {"low": _finite(figure.low), "high": _finite(figure.high)}


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def as_csv(tables: Sequence[Table], judged: Sequence[Judged]) -> str:
    """A line for each figure, with what was stated of it; empty where there is none or it is never reached."""
    claims = {each.figure: each for each in judged}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("figure", "low", "high", "stated", "verdict"))
    for name, (_, figure) in figures_of(tables).items():
        bounds = _bounds(figure) or {"low": None, "high": None}
        claim = claims.get(name)
        rows.writerow((name, *bounds.values(), *((claim.claim.text, claim.verdict) if claim else ("", ""))))
    return text.getvalue()
