"""Cost against attainment: where each policy and each peer comes to lie over its grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from autoscaler.core.units import format_duration
from autoscaler.sim.report.look import FAINT, INK, Chart, axis, layout, line, marker, plain
from autoscaler.sim.report.trial import Trial, frontier

Share = Callable[[Trial], float | None]
"""What a chart shows of a trial: an attainment."""
_TOP = 4.0
"""The axis ends at 99.99 %; what is better lies there, too."""
_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
_HEIGHT_PX = 620
_BOUND_DASHES = ("longdash", "dot", "dashdot")


def frontier_chart(title: str, trials: Sequence[Trial], share: Share) -> Chart:
    """All trials that have this share, the bounds, and the frontier of those that nothing beats."""
    shown = [trial for trial in trials if trial.kind != "bound" and share(trial) is not None and trial.usd > 0]
    bounds = [trial for trial in trials if trial.kind == "bound" and share(trial) is not None and trial.usd > 0]
    figure = go.Figure(
        layout=layout(
            _HEIGHT_PX, hovermode="closest", legend={"orientation": "h", "y": -0.14, "yanchor": "top"}, margin_t=10
        )
    )
    left_usd, right_usd = _span(trial.usd for trial in [*shown, *bounds])
    for place, own in enumerate(_by_name(bounds).values()):
        _add_bound(figure, own, share, left_usd, _BOUND_DASHES[place % len(_BOUND_DASHES)])
    best = [shown[place] for place in frontier([(trial.usd, share(trial) or 0.0) for trial in shown])]
    figure.add_scatter(
        **_points(best, share),
        mode="lines",
        line={"color": INK, "width": 6, "shape": "hv"},
        opacity=0.25,
        name="nothing beats these",
        hoverinfo="skip",
    )
    for place, (name, own) in enumerate(_by_name(shown).items()):
        ours = own[0].kind == "policy"
        figure.add_scatter(
            **_points(own, share),
            hovertext=[told(trial) for trial in own],
            hovertemplate="%{hovertext}<extra></extra>",
            mode="lines+markers",
            line={**line(place), "width": 3 if ours else 1.2},
            marker={**marker(place), "size": 12 if ours else 8},
            name=f"<b>{plain(name)}</b>" if ours else plain(name),
        )
    figure.update_xaxes(
        axis(
            "cost (USD, log)",
            type="log",
            range=[math.log10(left_usd), math.log10(right_usd)],
            **_ticks(left_usd, right_usd),
        )
    )
    figure.update_yaxes(_share_axis())
    return Chart(
        title=title,
        reads="Share of jobs that started in time, against cost; up and left is better.",
        figure=figure,
        timed=False,
    )


def _share_axis() -> dict[str, Any]:
    return axis(
        "jobs started in time (%)",
        range=[-0.1, _TOP + 0.1],
        tickmode="array",
        tickvals=[*map(_height, _TICKS), _TOP],
        ticktext=[*(f"{100 * share:g} %" for share in _TICKS), "99.99 %"],
    )


def _ticks(left_usd: float, right_usd: float) -> dict[str, Any]:
    decades = range(math.floor(math.log10(left_usd)), math.ceil(math.log10(right_usd)) + 1)
    costs_usd = [first * 10.0**decade for decade in decades for first in (1, 1.5, 2, 3, 5, 7)]
    return {"tickmode": "array", "tickvals": costs_usd, "ticktext": [f"{usd:,g}" for usd in costs_usd]}


def _height(share: float) -> float:
    """Where an attainment lies: as far above 90 % as 99 % is above that, for that is what it takes."""
    return round(min(_TOP, -math.log10(max(1.0 - share, 10.0**-_TOP))), 4)


def _points(trials: Sequence[Trial], share: Share) -> dict[str, list[float]]:
    return {"x": [round(trial.usd, 4) for trial in trials], "y": [_height(share(trial) or 0.0) for trial in trials]}


def _add_bound(figure: go.Figure, bounds: Sequence[Trial], share: Share, left_usd: float, dash: str) -> None:
    """Nothing can lie to the left of a bound at its attainment or above."""
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    for bound in bounds:
        height = _height(share(bound) or 0.0)
        figure.add_shape(
            type="rect",
            x0=left_usd,
            x1=bound.usd,
            y0=height,
            y1=_TOP + 0.1,
            fillcolor=FAINT,
            opacity=0.18,
            line_width=0,
        )
        x += [bound.usd, bound.usd, None]
        y += [height, _TOP + 0.1, None]
        texts += [told(bound), told(bound), ""]
    figure.add_scatter(
        x=x,
        y=y,
        hovertext=texts,
        hovertemplate="%{hovertext}<extra></extra>",
        mode="lines",
        line={"color": INK, "width": 2, "dash": dash},
        name=plain(bounds[0].name),
    )


def told(trial: Trial) -> str:
    """A trial's figures for a hover label."""
    lines = [f"<b>{plain(trial.title)}</b>", plain(trial.setting), f"{trial.usd:,.2f} USD"]
    lines.append(f"all jobs: {trial.attainment:.2%} in time")
    for tier, share in trial.attainment_by_tier.items():
        if share is not None:
            p95_s = trial.p95_s_by_tier.get(tier)
            wait = "" if p95_s is None else f", 95 % within {format_duration(p95_s)}"
            lines.append(f"{plain(tier)}: {share:.2%} in time{wait}")
    if trial.kind != "bound":
        lines.append(f"{trial.launches:,} rented, {trial.killed:,} jobs cut off, {trial.unserved:,} never finished")
    return "<br>".join(filter(None, lines))


def _by_name(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    names: dict[str, list[Trial]] = {}
    for trial in trials:
        names.setdefault(trial.name, []).append(trial)
    return names


def _span(costs_usd: Iterator[float]) -> tuple[float, float]:
    """What the axis of costs shows."""
    known = list(costs_usd) or [1.0]
    return 0.85 * min(known), 1.15 * max(known)
