"""Charts of several panels, one a tier, over the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from autoscaler.sim.report.look import INK, layout
from autoscaler.sim.report.timeline import time_axis

_FRAME_PX, _GAP_PX, _TITLE_PX = 76, 30, 24


def tier_panels(titles: Sequence[str], panel_px: int, until_s: float, *, legend: bool, **more: Any) -> go.Figure:
    """Empty panels below each other, with their titles at their left; `legend` leaves room for one above them."""
    count = len(titles)
    plots_px = panel_px * count + _GAP_PX * (count - 1)
    top_px = _TITLE_PX * (2 if legend else 1)
    figure = make_subplots(rows=count, shared_xaxes=True, vertical_spacing=_GAP_PX / plots_px, subplot_titles=[*titles])
    figure.update_layout(**layout(plots_px + _FRAME_PX + top_px - _TITLE_PX, hovermode="x unified", **more))
    figure.update_layout(margin_t=top_px, legend_y=1 + _TITLE_PX / plots_px, showlegend=legend)
    figure.for_each_annotation(lambda title: title.update(x=0, xanchor="left", font={"size": 13, "color": INK}))
    figure.update_xaxes(time_axis(until_s))
    for row in range(1, count):
        figure.update_xaxes(title=None, row=row)
    return figure
