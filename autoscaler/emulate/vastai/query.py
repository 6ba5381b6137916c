"""Filters, orders and columns, as searches and listings take them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from autoscaler.emulate.vastai.errors import Refused, refusal

Row = dict[str, Any]

_COMPARES: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "lt": operator.lt,
    "gte": operator.ge,
    "lte": operator.le,
    "in": lambda value, wanted: value in wanted,
    "notin": lambda value, wanted: value not in wanted,
}


def invalid(msg: str) -> Refused:
    """A query that cannot be understood."""
    return refusal(400, "invalid_request", msg)


def checked(filters: object) -> Mapping[str, Mapping[str, Any]]:
    """Filters of the form `{field: {op: value}}`.

    Raises:
        Refused: they are of another form, or an operator is not known.
    """
    if not isinstance(filters, Mapping):
        raise invalid("Invalid json body")
    for name, bounds in filters.items():
        if not isinstance(bounds, Mapping):
            raise invalid(f"{name}: {bounds!r} is not a valid search value")
        for op in bounds:
            if op not in _COMPARES:
                raise invalid(f"{op} is not a valid search op")
    return filters


def matches(row: Row, filters: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a row lies within all bounds."""
    return all(_holds(row.get(name), op, wanted) for name, bounds in filters.items() for op, wanted in bounds.items())


def ordered(rows: Iterable[Row], order: Sequence[tuple[str, bool]]) -> list[Row]:
    """Rows in the order of columns, each falling where its flag says so; what has no value comes last.

    Raises:
        Refused: a column's values have no order.
    """
    result = list(rows)
    for column, falling in reversed(order):
        absent = [row for row in result if row.get(column) is None]
        present = [row for row in result if row.get(column) is not None]
        try:
            result = [*sorted(present, key=operator.itemgetter(column), reverse=falling), *absent]
        except TypeError:
            raise invalid(f"{column} cannot be ordered by") from None
    return result


def chosen(row: Row, columns: Any) -> Row:
    """A row's columns of these names, null where it has none; all for `["*"]`, or where nothing is said.

    Raises:
        Refused: they are no list of names.
    """
    if columns is None:
        return row
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise invalid(f"{columns!r} is not a valid list of columns")
    return row if "*" in columns else {name: row.get(name) for name in columns}


def _holds(value: Any, op: str, wanted: Any) -> bool:
    if op in ("in", "notin"):
        if not isinstance(wanted, list):
            raise invalid(f"{wanted!r} is not a valid list of search values")
        return _COMPARES[op](value, [_like(value, each) for each in wanted])
    wanted = _like(value, wanted)
    if op in ("eq", "neq"):
        return _COMPARES[op](value, wanted)
    try:
        return value is not None and _COMPARES[op](value, wanted)
    except TypeError:
        raise invalid(f"{wanted!r} is not a valid search value") from None


def _like(value: Any, wanted: Any) -> Any:
    """A value of a query as the type of what it is compared with; clients send most numbers as text."""
    if not isinstance(wanted, str) or isinstance(value, str):
        return wanted
    if isinstance(value, bool):
        return wanted.lower() == "true"
    try:
        return float(wanted)
    except ValueError:
        return wanted
