"""Decisions, commands and alarms, with their reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from autoscaler.core.decision import Action, Result
from autoscaler.core.journal import Entry, Kind
from autoscaler.core.lifecycle import Phase
from autoscaler.sim.books import Books
from autoscaler.sim.report.look import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Chart,
    axis,
    folded,
    layout,
)
from autoscaler.sim.report.timeline import moment, spoken, time_axis

_MOST_MARKS = 2000
_CELLS_S = (0.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 86400.0)
_SHOWN = 3
_ROW_PX, _FRAME_PX = 25, 88
_LOOKS = {
    Kind.DECISION: ("circle-open", INK),
    Action.RENT: ("triangle-up", ORANGE),
    Action.RESUME: ("triangle-right", GREEN),
    Action.DRAIN: ("triangle-down-open", BLUE),
    Action.UNDRAIN: ("triangle-up-open", BLUE),
    Action.STOP: ("square", SKY),
    Action.RELEASE: ("x-thin-open", INK),
    Action.SET_BID: ("hash-open", INK),
    "refused": ("x", VERMILION),
    "lost": ("diamond", PURPLE),
    Kind.ADMISSION: ("octagon-open", BLUE),
    Kind.RESERVE: ("pentagon-open", PURPLE),
    Kind.HEALTH: ("cross-open", VERMILION),
    Kind.DIAGNOSIS: ("hexagon-open", ORANGE),
    Kind.ALARM: ("star", VERMILION),
}
"""Symbol and colour of each row, from top to bottom."""


_UP = (Phase.BOOTING, Phase.HOT, Phase.DRAINING)
"""Out of these a machine becomes WARM only when it is interrupted."""


class _Mark(NamedTuple):
    at_s: float
    text: str


def events_chart(books: Books) -> Chart | None:
    """What was decided and done, and why; None for those who keep no journal."""
    rows = _rows(books.entries)
    if not rows:
        return None
    shown = [row for row in _LOOKS if row in rows]
    figure = go.Figure(layout=layout(_ROW_PX * len(shown) + _FRAME_PX, hovermode="closest", showlegend=False))
    cell_s = next((cell for cell in _CELLS_S if _marks_needed(rows.values(), cell) <= _MOST_MARKS), _CELLS_S[-1])
    for row in shown:
        symbol, colour = _LOOKS[row]
        marks = _marks(rows[row], cell_s, books.epoch)
        figure.add_scatter(
            x=[moment(mark.at_s) for mark in marks],
            y=[_label(row)] * len(marks),
            hovertext=[mark.text for mark in marks],
            hovertemplate="%{hovertext}<extra></extra>",
            mode="markers",
            cliponaxis=False,
            marker={"symbol": symbol, "color": colour, "size": 9, "line": {"color": colour, "width": 1.5}},
            name=_label(row),
        )
    figure.update_layout(margin_t=30)
    figure.update_xaxes(time_axis(books.until_s))
    figure.update_yaxes(axis("", categoryorder="array", categoryarray=[_label(row) for row in reversed(shown)]))
    return Chart(title="Decisions", reads="What was decided and done. Point at a mark to read why.", figure=figure)


def _rows(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The entries that are shown, by row."""
    rows: dict[str, list[Entry]] = {}
    phases: dict[str, str] = {}
    for entry in entries:
        if row := _row(entry, phases.get(entry.instance)):
            rows.setdefault(row, []).append(entry)
        if entry.kind is Kind.PHASE:
            phases[entry.instance] = entry.result
    return rows


def _row(entry: Entry, phase_before: str | None) -> str | None:
    """The row of an entry; None for what other charts tell."""
    match entry.kind:
        case Kind.DECISION | Kind.ADMISSION | Kind.RESERVE | Kind.HEALTH | Kind.DIAGNOSIS | Kind.ALARM:
            return entry.kind
        case Kind.COMMAND:
            return entry.action
        case Kind.OUTCOME if entry.result != Result.OK:
            return "refused"
        case Kind.PHASE if entry.result == Phase.LOST or (entry.result == Phase.WARM and phase_before in _UP):
            return "lost"
        case _:
            return None


def _label(row: str) -> str:
    return row.replace("_", " ")


def _cells(entries: Iterable[Entry], cell_s: float) -> dict[float, list[Entry]]:
    """Entries that share a mark: those in the same cell of time; all at one moment when cells have no width."""
    cells: dict[float, list[Entry]] = {}
    for entry in entries:
        cells.setdefault(entry.at // cell_s if cell_s else entry.at, []).append(entry)
    return cells


def _marks_needed(rows: Iterable[Sequence[Entry]], cell_s: float) -> int:
    return sum(len(_cells(entries, cell_s)) for entries in rows)


def _marks(entries: Sequence[Entry], cell_s: float, epoch: float) -> list[_Mark]:
    marks = []
    for together in _cells(entries, cell_s).values():
        texts = [f"<b>{spoken(entry.at - epoch)}</b><br>{_told(entry)}" for entry in together[:_SHOWN]]
        if len(together) > _SHOWN:
            texts.append(f"and {len(together) - _SHOWN} more until {spoken(together[-1].at - epoch)}")
        marks.append(_Mark(together[0].at - epoch, "<br>".join(texts)))
    return marks


def _told(entry: Entry) -> str:
    why_not = [f"Not done: {reason.text}" for reason in entry.why_not]
    return folded("\n".join([entry.text, *why_not]))
