"""What is computed: tables of figures, each figure with a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from autoscaler.economics.interval import Interval


class Unit(Enum):
    """How a figure is written."""

    USD = auto()
    COUNT = auto()
    SHARE = auto()
    NUMBER = auto()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table."""

    name: str
    figures: tuple[Interval | None, ...]
    """As the table's columns; None where there is no such figure."""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures of one kind."""

    name: str
    title: str
    columns: Mapping[str, Unit]
    rows: tuple[Row, ...]
    said: tuple[str, ...] = ()
    """What must be said of them, in words."""


def figures_of(tables: Iterable[Table]) -> dict[str, tuple[Unit, Interval | None]]:
    """All figures by name: table, row and column, such as ``scenarios.minimal.usd_per_month``."""
    return {
        f"{table.name}.{row.name}.{column}": (unit, figure)
        for table in tables
        for row in table.rows
        for (column, unit), figure in zip(table.columns.items(), row.figures, strict=True)
    }
