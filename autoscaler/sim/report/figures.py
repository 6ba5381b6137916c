"""The figures of a simulation as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from autoscaler.core.units import format_duration
from autoscaler.sim.summary import Summary, TierSummary

_DAY_S = 86400.0


def figures(summary: Summary) -> str:
    """What it cost, how the jobs were served, what became of the machines."""
    cards = "\n".join(
        f"<div><dt>{title}</dt><dd>{lines[0]}</dd>{_more(lines[1:])}</div>" for title, *lines in _cards(summary)
    )
    return f"{_warnings(summary)}<dl>\n{cards}\n</dl>\n{_tiers(summary)}"


def _more(lines: Iterable[str]) -> str:
    return "".join(f"<dd>{line}</dd>" for line in lines)


def _cards(summary: Summary) -> Iterator[tuple[str, ...]]:
    days = summary.simulated_s / _DAY_S
    a_day = f"{summary.usd / days:,.2f} USD a day" if days else ""
    a_job = f"{1000 * summary.usd / summary.jobs:,.2f} USD per 1,000 jobs" if summary.jobs else ""
    yield "cost", f"{summary.usd:,.2f} USD", a_day, a_job
    yield "started in time", f"{summary.attainment:.1%}", f"of {summary.jobs:,} jobs"
    refused = f" ({summary.refused_resumes} refused)" if summary.refused_resumes else ""
    yield (
        "machines rented",
        f"{summary.launches:,}",
        f"{summary.resumes:,} resumes{refused}",
        f"{summary.interruptions:,} lost to the market",
    )
    again = f"{summary.interrupted_jobs:,} had to start again"
    yield (
        "jobs cut off by our orders",
        _count(summary.killed_jobs),
        again,
        f"{_count(summary.unserved_jobs)} never finished",
    )


def _count(bad: int) -> str:
    return f'<span class="bad">{bad:,}</span>' if bad else "0"


def _warnings(summary: Summary) -> str:
    """What nobody should overlook."""
    warnings = []
    if summary.unserved_jobs:
        warnings.append(
            f"{summary.unserved_jobs:,} of {summary.jobs:,} jobs were not finished when the simulation ended. Those"
            " that never started count as late; the waits in the table are those of jobs that started."
        )
    if summary.killed_jobs:
        warnings.append(f"Jobs were cut off {summary.killed_jobs:,} times because their machine was ordered to end.")
    if summary.failed_ticks:
        warnings.append(f"{summary.failed_ticks:,} ticks of the daemon could not be made.")
    return "".join(f'<p class="bad">{warning}</p>\n' for warning in warnings)


def _tiers(summary: Summary) -> str:
    several = len(summary.tiers) > 1
    names = [
        "tier",
        "jobs",
        "target",
        "in time",
        "half within",
        "95 % within",
        "99 % within",
        "longest",
        "never finished",
    ]
    rows = [
        [f"{pool} / {name}" if several else name, *tier_cells(tier), f"{tier.jobs - tier.served:,}"]
        for pool, tiers in summary.tiers.items()
        for name, tier in tiers.items()
    ]
    return table(names, rows)


def tier_cells(tier: TierSummary) -> Iterator[str]:
    """A tier's jobs, its target, the share in time, and its waits: half, 95 % and 99 % of them, the longest."""
    yield f"{tier.jobs:,}"
    yield format_duration(tier.wait_target_s)
    yield "-" if tier.attainment is None else f"{tier.attainment:.1%}"
    for wait_s in (tier.wait_p50_s, tier.wait_p95_s, tier.wait_p99_s, tier.wait_max_s):
        yield "-" if wait_s is None else format_duration(wait_s)


def table(names: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1, best: Sequence[int] = ()) -> str:
    """A table whose first columns are texts; rows at the places in `best` stand out. All cells are escaped."""
    head = "".join(f"<th{_kind(column, texts)}>{escape(name)}</th>" for column, name in enumerate(names))
    body = "\n".join(
        f"<tr{' class=best' if number in best else ''}>"
        + "".join(f"<td{_kind(column, texts)}>{escape(cell)}</td>" for column, cell in enumerate(row))
        + "</tr>"
        for number, row in enumerate(rows)
    )
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


def _kind(column: int, texts: int) -> str:
    return " class=text" if column < texts else ""
