"""A page of charts: one HTML file that needs nothing but a browser, and asks for nothing on the network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import count

from plotly.offline import get_plotlyjs

from autoscaler.sim.report.look import Chart

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""Holds the browser to it, too: whatever a page of ours might ask for is refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Charts under one heading."""

    title: str
    charts: Sequence[Chart]
    html: str = ""
    """What stands above them."""


def page(title: str, subtitle: str, sections: Iterable[Section]) -> str:
    """The whole page; all texts but `html` may come from outside."""
    sections = list(sections)
    charts = [chart for section in sections for chart in section.charts]
    numbers = count()
    body = "\n".join(_section(section, numbers) for section in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{_resource("page.css")}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p>{escape(subtitle)}</p>
</header>
<noscript><p class="bad">The charts need JavaScript; the tables do not.</p></noscript>
<main>
{body}
</main>
<script>{get_plotlyjs()}</script>
<script>
const charts = {_data(charts)};
{_resource("page.js")}</script>
</body>
</html>
"""


def _section(section: Section, numbers: Iterator[int]) -> str:
    figures = "\n".join(_figure(chart, next(numbers)) for chart in section.charts)
    heading = f"<h2>{escape(section.title)}</h2>\n" if section.title else ""
    return f"<section>\n{heading}{section.html}\n{figures}\n</section>"


def _figure(chart: Chart, number: int) -> str:
    return f"""<figure>
<figcaption><strong>{escape(chart.title)}</strong> {escape(chart.reads)}</figcaption>
<div id="chart-{number}" role="img" aria-label="{escape(chart.title)}: {escape(chart.reads)}"\
 style="min-height:{chart.figure.layout.height}px"></div>
</figure>"""


def _data(charts: Iterable[Chart]) -> str:
    """The charts as JSON that may stand in a script."""
    told = [{"timed": chart.timed, **chart.figure.to_plotly_json()} for chart in charts]
    return json.dumps(told, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
