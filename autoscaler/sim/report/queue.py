"""How many jobs waited."""

from __future__ import annotations

import math

from autoscaler.core.spec import Pool
from autoscaler.sim.books import JobLog
from autoscaler.sim.report.look import BLUE, PALE, Chart, axis, plain
from autoscaler.sim.report.panels import tier_panels
from autoscaler.sim.report.timeline import FINE, Parts

_PANEL_PX = 85


def queue_chart(pool: Pool, log: JobLog, until_s: float) -> Chart:
    """The depth of each tier's queue over time."""
    parts = Parts.at_most(FINE, until_s)
    titles = [f"<b>{plain(tier.name)}</b>" for tier in pool.tiers]
    figure = tier_panels(titles, _PANEL_PX, until_s, legend=False)
    for row in range(1, len(pool.tiers) + 1):
        figure.add_scatter(
            **parts.starts(),
            y=_deepest(log, row - 1, parts),
            mode="lines",
            line={"color": BLUE, "shape": "hv", "width": 1},
            fill="tozeroy",
            fillcolor=PALE,
            hovertemplate="%{y} waiting<extra></extra>",
            row=row,
            col=1,
        )
    figure.update_yaxes(axis("jobs", rangemode="tozero", nticks=4))
    return Chart(
        title="Queue",
        reads=f"The most jobs of each tier that waited at the same time in each {parts.name}.",
        figure=figure,
    )


def _deepest(log: JobLog, tier: int, parts: Parts) -> list[int]:
    """In each part, the most jobs of a tier that waited at the same time.

    The books tell of a job's last start alone: one that was interrupted counts as waiting up to that.
    """
    steps = []
    for arrived_s, started_s, own in zip(log.arrived_s, log.started_s, log.tier, strict=True):
        if own == tier and arrived_s != started_s:
            steps.append((arrived_s, 1))
            if not math.isnan(started_s):
                steps.append((started_s, -1))
    steps.sort()
    depth = last = 0
    deepest = [0] * len(parts)
    for at_s, step in steps:
        part = parts.place(at_s)
        deepest[last + 1 : part + 1] = [depth] * (part - last)
        last = part
        depth += step
        deepest[part] = max(deepest[part], depth)
    deepest[last + 1 :] = [depth] * (len(parts) - last - 1)
    return deepest
