"""How charts look: colours that colour-blind people tell apart, and never colour alone.

The colours are those of M. Okabe and K. Ito, "Color Universal Design" (2008).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

INK, FAINT, GRID = "#222222", "#8a8a8a", "#e4e4e4"
PALE, NAVY, DEEP = "#a8d0ea", "#00324f", "#00523c"
"""A paler blue, a deeper blue and a deeper green."""
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK)
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "triangle-down", "cross", "pentagon")
PATTERNS = ("", "/", ".", "x", "\\", "-")
_FONT = "system-ui, sans-serif"
_LEFT_PX, _RIGHT_PX = 76, 18
"""Margins: the same for all charts, so that their time axes lie below each other."""
_HOVER_COLUMNS = 84
_HOVER_LINES = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A chart with what is said about it."""

    title: str
    reads: str
    """What it shows and how to read it, for the caption and for those who cannot see it."""
    figure: go.Figure
    timed: bool = True
    """Its horizontal axis is the simulation's time, which all such charts share."""


def colour(place: int) -> str:
    """The colour of the series at this place of a list."""
    return _COLOURS[place % len(_COLOURS)]


def line(place: int) -> dict[str, Any]:
    """The line of the series at this place of a list: 35 differ."""
    return {"color": colour(place), "dash": _DASHES[place % len(_DASHES)], "width": 2}


def marker(place: int) -> dict[str, Any]:
    """The marker of the series at this place of a list: 63 differ."""
    return {"color": colour(place), "symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 8}


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis; the title tells the unit."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "gridcolor": GRID,
        "linecolor": FAINT,
        "zeroline": False,
        "automargin": False,
        **more,
    }


def layout(height_px: int, **more: Any) -> dict[str, Any]:
    """What all charts have in common."""
    return {
        "template": {},
        "height": height_px,
        "autosize": True,
        "font": {"family": _FONT, "size": 13, "color": INK},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "margin": {"l": _LEFT_PX, "r": _RIGHT_PX, "t": 34, "b": 52},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        "hoverlabel": {
            "align": "left",
            "bgcolor": "white",
            "bordercolor": FAINT,
            "font": {"color": INK, "family": _FONT},
        },
        **more,
    }


def pattern_on(colour: str, shape: str) -> dict[str, Any]:
    """A pattern over a colour, for areas and columns that lie on each other."""
    return {"shape": shape, "bgcolor": colour, "fgcolor": INK, "fgopacity": 0.5, "size": 6, "solidity": 0.2}


def plain(text: str) -> str:
    """A text from outside as charts may show it: no markup in it means anything. They know no entity of a quote."""
    return escape(text, quote=False)


def folded(text: str) -> str:
    """A text from outside for a hover label: its lines folded, markup without meaning, and an end to it."""
    lines = [part for written in text.splitlines() for part in wrap(written, _HOVER_COLUMNS)]
    if len(lines) > _HOVER_LINES:
        lines[_HOVER_LINES - 1 :] = ["…"]
    return "<br>".join(map(plain, lines))


PHASE_LOOK: Mapping[str, tuple[str, str]] = {
    "hot": (GREEN, ""),
    "resuming": (YELLOW, "/"),
    "booting": (ORANGE, "\\"),
    "warm": (SKY, "."),
    "lost": (VERMILION, "x"),
}
"""Colour and pattern of each phase, in the order in which they are stacked."""
