"""What the machines cost, and where the money went."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import plotly.graph_objects as go

from autoscaler.sim.books import Books, PhaseRow
from autoscaler.sim.report.look import PATTERNS, PHASE_LOOK, VERMILION, Chart, axis, colour, layout, pattern_on, plain
from autoscaler.sim.report.timeline import DAY_S, Parts, time_axis

_HOUR_S = 3600.0
_ELSEWHERE = "not ours"


def placement_chart(books: Books) -> Chart:
    """Cost by placement, with the budget where days are shown."""
    names = sorted({row.placement for row in books.phases})
    looks = {name: (colour(place), PATTERNS[place % len(PATTERNS)]) for place, name in enumerate(names)}
    chart = _bars(books, "Cost by placement", "the placement", looks, lambda row: row.placement)
    if Parts.of_account(books.until_s).width_s == DAY_S:
        stop_usd = sum(pool.limits.usd_per_day.stop for pool in books.pools.values())
        chart.figure.add_hline(
            stop_usd,
            line={"color": VERMILION, "dash": "dash", "width": 1.5},
            annotation={"text": f"budget: stop at {stop_usd:g} USD a day", "font": {"color": VERMILION, "size": 12}},
            annotation_position="top left",
        )
    return chart


def phase_chart(books: Books) -> Chart:
    """Cost by phase."""
    phases = {row.phase for row in books.phases}
    looks = {phase: look for phase, look in PHASE_LOOK.items() if phase in phases}
    return _bars(books, "Cost by phase", "what the machines were doing", looks, lambda row: row.phase)


def _bars(
    books: Books,
    title: str,
    by: str,
    looks: dict[str, tuple[str, str]],
    key: Callable[[PhaseRow], str],
) -> Chart:
    parts = Parts.of_account(books.until_s)
    figure = go.Figure(layout=layout(270, hovermode="x unified", barmode="stack", showlegend=True))
    for name, (colour_, pattern) in looks.items():
        rows: Iterable[PhaseRow] = (row for row in books.phases if key(row) == name)
        totals = parts.totals((row.from_s, row.to_s, row.usd_per_hour / _HOUR_S) for row in rows)
        figure.add_bar(
            **parts.starts(),
            y=[round(usd, 4) + 0.0 for usd in totals],
            offset=0,
            width=parts.width_s * 1000,
            marker={
                "color": colour_,
                "line": {"color": "white", "width": 0.5},
                "pattern": pattern_on(colour_, pattern),
            },
            name=plain(name) or _ELSEWHERE,
            hovertemplate="%{y:.2f} USD",
        )
    figure.update_xaxes(time_axis(books.until_s))
    figure.update_yaxes(axis(f"USD per {parts.name}", rangemode="tozero"))
    return Chart(title=title, reads=f"What each {parts.name} cost, by {by}.", figure=figure)
