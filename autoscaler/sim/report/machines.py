"""What machines there were, and how many of them served."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import plotly.graph_objects as go

from autoscaler.core.journal import Kind
from autoscaler.sim.books import Books
from autoscaler.sim.report.look import DEEP, INK, PHASE_LOOK, Chart, axis, layout, pattern_on
from autoscaler.sim.report.timeline import FINE, Parts, time_axis

Span = tuple[float, float, float]
"""From and to in seconds, and how much for all that time."""


def machines_chart(books: Books) -> Chart:
    """Machines by phase over time, with those that served and those wanted."""
    parts = Parts.at_most(FINE, books.until_s)
    figure = go.Figure(layout=layout(330, hovermode="x unified"))
    phases = {row.phase for row in books.phases}
    for phase, (colour, pattern) in PHASE_LOOK.items():
        if phase in phases:
            means = parts.means((row.from_s, row.to_s, 1.0) for row in books.phases if row.phase == phase)
            figure.add_scatter(
                **parts.starts(),
                y=_rounded(means),
                stackgroup="machines",
                mode="lines",
                line={"shape": "hv", "width": 0.5, "color": colour},
                fillcolor=colour,
                fillpattern=pattern_on(colour, pattern),
                name=phase,
                hovertemplate="%{y:.2f}",
            )
    _line(figure, parts, "serving", _serving(books), fill="tozeroy", fillcolor=DEEP, line_color=DEEP)
    if wanted := list(_wanted(books)):
        _line(figure, parts, "HOT wanted", wanted, line_color=INK)
    figure.update_xaxes(time_axis(books.until_s))
    figure.update_yaxes(axis("machines", rangemode="tozero"))
    return Chart(
        title="Machines",
        reads=f"How many machines were in each phase, on average over each {parts.name}; dark: those that served.",
        figure=figure,
    )


def _line(figure: go.Figure, parts: Parts, name: str, spans: Iterable[Span], **look: Any) -> None:
    figure.add_scatter(
        **parts.starts(),
        y=_rounded(parts.means(spans)),
        mode="lines",
        line={"shape": "hv", "width": 1},
        name=name,
        hovertemplate="%{y:.2f}",
        **look,
    )


def _serving(books: Books) -> Iterator[Span]:
    """Each job's last attempt, as the share of a machine that it took."""
    for pool, log in books.jobs.items():
        share = 1.0 / books.pools[pool].machine.slots
        for started_s, finished_s in zip(log.started_s, log.finished_s, strict=True):
            if not math.isnan(started_s):
                yield started_s, books.until_s if math.isnan(finished_s) else finished_s, share


def _wanted(books: Books) -> Iterator[Span]:
    """How many HOT machines each pool wanted, from each decision to its next."""
    for pool in books.pools:
        decisions = [
            (entry.at - books.epoch, float(entry.hot))
            for entry in books.entries
            if entry.kind is Kind.DECISION and entry.pool == pool and entry.hot is not None
        ]
        ends_s = [at_s for at_s, _ in decisions[1:]] + [books.until_s]
        for (from_s, hot), to_s in zip(decisions, ends_s, strict=False):
            yield from_s, to_s, hot


def _rounded(means: list[float]) -> list[float]:
    # Adding 0.0 makes a negative zero a plain one.
    return [round(mean, 3) + 0.0 for mean in means]
