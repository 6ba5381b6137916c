"""The page of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from autoscaler.core.units import format_duration
from autoscaler.sim.report.figures import table
from autoscaler.sim.report.frontier import frontier_chart
from autoscaler.sim.report.look import Chart
from autoscaler.sim.report.page import Section, page
from autoscaler.sim.report.trial import Trial, frontier, times_bound

_READS = (
    "Each line is one policy or peer over the values of its main setting; ours are bold. Peers are re-implementations"
    " of published formulas. Grey areas are out of reach for everybody: less money than the bound at their edge."
)


def comparison_page(title: str, subtitle: str, trials: Mapping[str, Sequence[Trial]]) -> str:
    """Cost against attainment of trials by trace, as the text of an HTML file; equal trials give equal text."""
    return page(title, subtitle, (section for trace, own in trials.items() for section in _sections(trace, own)))


def _sections(trace: str, trials: Sequence[Trial]) -> Iterator[Section]:
    yield Section(title=trace, charts=tuple(_charts(trials)), html=f"<p>{_READS}</p>")
    yield Section(title=f"{trace}: all figures", charts=(), html=_table(trials))


def _charts(trials: Sequence[Trial]) -> Iterator[Chart]:
    tiers = list(dict.fromkeys(tier for trial in trials for tier in trial.attainment_by_tier))
    if len(tiers) > 1:
        yield frontier_chart("The tier that is served worst", trials, lambda trial: trial.worst_attainment)
        yield frontier_chart("All jobs", trials, lambda trial: trial.attainment)
    for tier in tiers:
        yield frontier_chart(f"Tier {tier}", trials, partial(_share_of, tier=tier))


def _share_of(trial: Trial, tier: str) -> float | None:
    return trial.attainment_by_tier.get(tier)


def _table(trials: Sequence[Trial]) -> str:
    played = [trial for trial in trials if trial.kind != "bound"]
    bounds = [trial for trial in trials if trial.kind == "bound"]
    tiers = list(dict.fromkeys(tier for trial in played for tier in trial.attainment_by_tier))
    names = ["policy or peer", "setting", "USD", "× bound", "in time"]
    names += [text for tier in tiers for text in (f"{tier} in time", f"{tier} 95 % within")]
    rows = [
        [*_figures(trial, bounds), *(cell for tier in tiers for cell in _tier(trial, tier)), *_machines(trial)]
        for trial in [*played, *bounds]
    ]
    best = frontier([(trial.usd, trial.worst_attainment) for trial in played])
    return (
        "<p>Bold: nothing else costs less and serves its worst tier as well.</p>\n"
        f"{table([*names, 'rented', 'cut off', 'never finished'], rows, texts=2, best=best)}"
    )


def _figures(trial: Trial, bounds: Sequence[Trial]) -> Iterator[str]:
    yield trial.name
    yield trial.setting
    yield f"{trial.usd:,.2f}"
    ratio = None if trial.kind == "bound" else times_bound(trial, bounds)
    yield "-" if ratio is None else f"{ratio:.2f}"
    yield f"{trial.attainment:.1%}"


def _tier(trial: Trial, tier: str) -> Iterator[str]:
    share, p95_s = trial.attainment_by_tier.get(tier), trial.p95_s_by_tier.get(tier)
    yield "-" if share is None else f"{share:.1%}"
    yield "-" if p95_s is None else format_duration(p95_s)


def _machines(trial: Trial) -> tuple[str, str, str]:
    if trial.kind == "bound":
        return "-", "-", "-"
    return f"{trial.launches:,}", f"{trial.killed:,}", f"{trial.unserved:,}"
