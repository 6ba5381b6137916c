"""``autoscaler trace info``: what traces look like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from autoscaler.cli.trace import format_option, progress_of, tier_option
from autoscaler.core.units import format_duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from autoscaler.sim.traces import Trace
    from autoscaler.sim.traces.summary import Bars, Names, Service, Summary

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 6
_MARGIN = 12  # columns: left of the picture, its scale
_NAMES = 5
_PER_S = {"an hour": 3600.0, "a minute": 60.0, "a second": 1.0}


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@format_option
@tier_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print the stable JSON form: a list with an object for each file."
)
def info(files: tuple[Path, ...], format_name: str | None, tier_column: str | None, as_json: bool) -> None:
    """Say what traces hold, and draw their arrivals."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    documents = []
    for file in files:
        trace, summary = _look(file, format_name, tier_column)
        if as_json:
            documents.append(_document(trace, summary))
        else:
            console.print(*_view(trace, summary, console.width), sep="\n")
    if as_json:
        click.echo(json.dumps(documents))


def _look(file: Path, format_name: str | None, tier_column: str | None) -> tuple[Trace, Summary | None]:
    from autoscaler.sim.traces import open_trace
    from autoscaler.sim.traces.format import Reading
    from autoscaler.sim.traces.summary import summarize

    trace = open_trace(file, format_name=format_name, reading=Reading(tier_column=tier_column))
    with progress_of(trace) as watch:
        return trace, summarize(trace.jobs(watch))


def _document(trace: Trace, summary: Summary | None) -> dict[str, Any]:
    document = {"file": str(trace.path), "format": trace.format.name}
    if summary is None:
        return document | {"jobs": 0}
    return document | asdict(summary) | {"span_s": summary.span_s, "jobs_per_s": summary.jobs_per_s}


def _view(trace: Trace, summary: Summary | None, width: int) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text.assemble((str(trace.path), "bold"), f"  format {trace.format.name}")
    if summary is None:
        yield Text("  It holds no jobs.")
        return
    yield Text()
    if summary.span_s:
        yield from _picture(summary.bars, width - _MARGIN)
        yield Text()
    for title, text in _facts(summary):
        yield Text.assemble((f"  {title:<12}", "dim"), text)
    yield Text()
    yield Text(f"Next: {_next(trace)}\n")


def _next(trace: Trace) -> str:
    if trace.format.name == "plain":
        return f"autoscaler simulate CONFIG --trace {quote(str(trace.path))}"
    plain = f"{trace.path.name.partition('.')[0]}.plain.csv.gz"
    return f"autoscaler trace convert {quote(str(trace.path))} {quote(plain)}"


def _facts(summary: Summary) -> Iterator[tuple[str, str]]:
    span, first = format_duration(summary.span_s), format_duration(summary.first_s)
    yield "jobs", f"{summary.jobs:,} in {span}, the first at {first}"
    if summary.jobs_per_s is not None:
        yield "rate", f"{_rate(summary.jobs_per_s)} on average"
    hour, minute = summary.busiest_hour, summary.busiest_minute
    yield "busiest", f"{hour.value:,.0f} in the hour at {format_duration(hour.at_s)}"
    yield "", f"{minute.value:,.0f} in the minute at {format_duration(minute.at_s)}"
    yield "dispersion", f"{summary.dispersion:,.1f} (variance ÷ mean of jobs a minute; a Poisson process has 1)"
    yield "tiers", _names(summary.tiers) if summary.tiers else "not told"
    yield from _service(summary.service)
    if summary.models:
        yield "models", _names(summary.models)
        yield "", f"another than the job before in {_share(summary.models.changes)} of jobs"


def _service(service: Service | None) -> Iterator[tuple[str, str]]:
    if service is None:
        yield "service", "not told"
        return
    quantiles = f"half within {_brief(service.p50)}, 95 % {_brief(service.p95)}, 99 % {_brief(service.p99)} (± 0.5 %)"
    yield "service", f"{_brief(service.mean)} on average, {quantiles}"
    mean = "" if service.load is None else f"{service.load:,.2f} slots busy on average, "
    hour = service.busiest_hour
    yield "load", f"{mean}{hour.value:,.2f} with the work of the hour at {format_duration(hour.at_s)}"


def _names(names: Names) -> str:
    total = sum(names.jobs.values()) + names.unlisted
    shown = [f"{name} {_share(jobs / total)}" for name, jobs in list(names.jobs.items())[:_NAMES]]
    more = len(names.jobs) - _NAMES
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _share(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def _brief(seconds: float) -> str:
    return f"{seconds:.2f}s" if seconds < 10 else format_duration(seconds)


def _unit(per_s: float) -> tuple[str, float]:
    """The widest span for which a rate is a handy number, and its seconds."""
    handy = [(name, span_s) for name, span_s in _PER_S.items() if per_s * span_s < 100.0]
    return handy[0] if handy else ("a second", 1.0)


def _rate(per_s: float) -> str:
    name, span_s = _unit(per_s)
    return f"{_figure(per_s * span_s)} jobs {name}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _picture(bars: Bars, width: int) -> Iterator[Text]:
    """Arrivals over time as columns of blocks, with a scale below and to the left."""
    from rich.text import Text

    merged = -(-len(bars.jobs) // max(1, width))
    jobs = [sum(bars.jobs[at : at + merged]) for at in range(0, len(bars.jobs), merged)]
    column_s = bars.width_s * merged
    name, span_s = _unit(max(jobs) / column_s)
    yield Text(f"  jobs {name}, in columns of {format_duration(column_s)}", "dim")
    for row in reversed(range(_HEIGHT)):
        level = max(jobs) * (row + 1) / _HEIGHT / column_s * span_s
        scale = f"{_figure(level):>{_MARGIN - 3}} " if row % 2 else " " * (_MARGIN - 2)
        yield Text.assemble(
            (f"{scale}│", "dim"), ("".join(_block(each / max(jobs), row) for each in jobs).rstrip(), "cyan")
        )
    yield Text(f"{'0':>{_MARGIN - 3}} └{'─' * len(jobs)}", "dim")
    yield Text(" " * (_MARGIN - 1) + _times(bars.from_s, column_s, len(jobs)), "dim")


def _block(height: float, row: int) -> str:
    """What of a column of this height, 1 being the highest, is seen in a row; anything at all is seen in the lowest."""
    eighths = height * _HEIGHT * 8 - row * 8
    least = 1 if row == 0 and height > 0 else 0
    return _BLOCKS[max(least, min(8, round(eighths)))]


def _times(from_s: float, column_s: float, columns: int) -> str:
    """The time at every quarter of the picture, as far as there is room."""
    line = ""
    for quarter in range(5):
        at = columns * quarter // 4
        time = format_duration(from_s + at * column_s)
        starts = min(at, columns - len(time))
        if not line or starts >= len(line) + 2:
            line = line.ljust(starts) + time
    return line
