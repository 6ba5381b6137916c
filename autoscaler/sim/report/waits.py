"""How long jobs waited, over time and in all, against the targets of their tiers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from autoscaler.core.spec import Pool
from autoscaler.sim.books import JobLog
from autoscaler.sim.report.durations import NEVER, WaitScale, spoken_wait
from autoscaler.sim.report.look import BLUE, INK, NAVY, PALE, VERMILION, Chart, axis, layout, line, marker, plain
from autoscaler.sim.report.panels import tier_panels
from autoscaler.sim.report.timeline import Parts
from autoscaler.sim.summary import nearest_rank

_PARTS = 360
"""So coarse that a part holds enough jobs for a quantile."""
_PANEL_PX = 120
_CURVE_POINTS = 240
_STATISTICS = {"longest": (1.0, PALE), "95 % waited less": (0.95, BLUE), "half waited less": (0.5, NAVY)}
"""Shares of the jobs, and the colours of their columns: one stands in the other, and the darker is the shorter."""


def waits_chart(pool: Pool, log: JobLog, until_s: float) -> Chart:
    """Waits over time: a panel for each tier."""
    parts = Parts.at_most(_PARTS, until_s)
    scale = _wait_scale(pool, log)
    figure = tier_panels(
        [f"<b>{plain(tier.name)}</b>, target {spoken_wait(tier.wait_target)}" for tier in pool.tiers],
        _PANEL_PX,
        until_s,
        legend=True,
        barmode="overlay",
    )
    for row, tier in enumerate(pool.tiers, start=1):
        _panel(figure, row, _by_part(log, row - 1, parts), scale, parts)
        figure.add_hline(tier.wait_target, row=row, line={"color": VERMILION, "dash": "dash", "width": 1.5})
    figure.update_yaxes(scale.axis("wait (log)"))
    return Chart(
        title="Waits",
        reads=f"How long the jobs that came in each {parts.name} waited until they started. Dashed: the tier's target.",
        figure=figure,
    )


def _by_part(log: JobLog, tier: int, parts: Parts) -> dict[int, list[float]]:
    """The waits of a tier's jobs, in rising order, by the part in which the jobs came."""
    waits_s: dict[int, list[float]] = {}
    for arrived_s, started_s, own in zip(log.arrived_s, log.started_s, log.tier, strict=True):
        if own == tier:
            wait_s = math.inf if math.isnan(started_s) else started_s - arrived_s
            waits_s.setdefault(parts.place(arrived_s), []).append(wait_s)
    for part in waits_s.values():
        part.sort()
    return waits_s


def _panel(figure: go.Figure, row: int, waits_s: Mapping[int, list[float]], scale: WaitScale, parts: Parts) -> None:
    for name, (share, colour) in _STATISTICS.items():
        quantiles_s = [nearest_rank(waits_s[part], share) if part in waits_s else None for part in range(len(parts))]
        figure.add_bar(
            **parts.starts(),
            offset=0,
            width=parts.width_s * 1000,
            y=[None if wait_s is None else scale.at(wait_s) for wait_s in quantiles_s],
            customdata=["" if wait_s is None else spoken_wait(wait_s) for wait_s in quantiles_s],
            hovertemplate="%{customdata}",
            marker={"color": colour, "line": {"width": 0}},
            name=name,
            legendgroup=name,
            showlegend=row == 1,
            row=row,
            col=1,
        )
    never = {part: waits.count(math.inf) for part, waits in waits_s.items() if waits[-1] == math.inf}
    if never:
        figure.add_scatter(
            x=[parts.middle(part) for part in never],
            y=[scale.ceiling_s] * len(never),
            customdata=list(never.values()),
            hovertemplate="%{customdata} jobs",
            mode="markers",
            marker={"symbol": "x", "size": 8, "color": INK},
            name=NEVER,
            legendgroup=NEVER,
            showlegend=not any(trace.name == NEVER for trace in figure.data),
            row=row,
            col=1,
        )


def spread_chart(pool: Pool, log: JobLog) -> Chart:
    """The share of each tier's jobs that waited at most so long."""
    scale = _wait_scale(pool, log)
    figure = go.Figure(layout=layout(400, hovermode="closest"))
    for place, tier in enumerate(pool.tiers):
        waits_s = sorted(log.waits_s(place))
        if not waits_s:
            continue
        name = plain(tier.name)
        in_time = 100 * sum(wait_s <= tier.wait_target for wait_s in waits_s) / len(waits_s)
        told = f"{name}: {in_time:.1f} % within its target of {spoken_wait(tier.wait_target)}"
        shares, points_s = _curve(waits_s, scale.ceiling_s)
        figure.add_scatter(
            x=[scale.at(wait_s) for wait_s in points_s],
            y=shares,
            customdata=[spoken_wait(wait_s) for wait_s in points_s],
            hovertemplate=f"{name}: %{{y:.1f}} % within %{{customdata}}<extra></extra>",
            line={**line(place), "shape": "hv"},
            mode="lines",
            name=told,
            legendgroup=name,
        )
        figure.add_scatter(
            x=[tier.wait_target],
            y=[round(in_time, 2)],
            mode="markers",
            marker={**marker(place), "size": 13, "line": {"color": INK, "width": 1}},
            hovertemplate=f"{told}<extra></extra>",
            legendgroup=name,
            showlegend=False,
        )
    figure.update_xaxes(scale.axis("wait until the start (log)"))
    figure.update_yaxes(axis("jobs started (% of all that came)", range=[-2, 102], ticksuffix=" %"))
    return Chart(
        title="Distribution",
        reads="How many of all jobs that came had started after so long a wait. The marks lie at the targets.",
        figure=figure,
        timed=False,
    )


def _curve(waits_s: Sequence[float], until_s: float) -> tuple[list[float], list[float]]:
    """Shares in percent and the waits that they did not exceed; the last share, of all that started, goes on."""
    started = sum(map(math.isfinite, waits_s))
    count = min(_CURVE_POINTS, started)
    places = [math.ceil(started * step / count) - 1 for step in range(1, count + 1)]
    shares = [round(100 * (place + 1) / len(waits_s), 2) for place in places]
    return [*shares, shares[-1] if shares else 0.0], [*(waits_s[place] for place in places), until_s]


def _wait_scale(pool: Pool, log: JobLog) -> WaitScale:
    """The axis on which all tiers of a pool can be read."""
    waits_s = (started_s - arrived_s for arrived_s, started_s in zip(log.arrived_s, log.started_s, strict=True))
    longest_s = max((wait_s for wait_s in waits_s if not math.isnan(wait_s)), default=0.0)
    return WaitScale.of((tier.wait_target for tier in pool.tiers), longest_s)
