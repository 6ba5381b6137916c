"""``autoscaler compare``: configurations, our policies and the autoscalers of others on the same jobs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from autoscaler.cli.options import attainment_option, market_option, processes_option, seed_option, trace_option
from autoscaler.cli.output import out_option, require_writable, screen, writing

if TYPE_CHECKING:
    from autoscaler.sim.compare import Candidate
    from autoscaler.sim.report.trial import Trial
    from autoscaler.sim.scenario import Scenario

TRIALS = "trials.json"


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path))
@trace_option
@market_option
@seed_option
@click.option("--only", metavar="NAME,NAME", help="Compare with these policies and peers alone; `none` for none.")
@click.option("--ablate", is_flag=True, help="Play each FILE without each one of its policies, too.")
@attainment_option
@processes_option
@click.option("--bound", is_flag=True, help="Find the least that anyone could have paid, too; it takes minutes.")
@out_option
def compare(
    files: tuple[Path, ...],
    traces: tuple[str, ...],
    market: Path | None,
    seed: int,
    *,
    only: str | None,
    ablate: bool,
    attainment: float,
    processes: int,
    bound: bool,
    out: Path | None,
) -> None:
    """Play the same jobs under other policies and autoscalers.

    They are the configuration of each FILE, our policies, and the autoscalers of others. All live in the market and
    under the limits of the first FILE. Each policy and peer is tried with several values of its main setting, and shown
    with the best of them. Peers are re-implementations of published formulas.

    \b
      autoscaler compare fleet.yaml --trace jobs.csv.gz
      autoscaler compare fleet.yaml cheaper.yaml --trace jobs.csv.gz --only none
      autoscaler compare fleet.yaml --trace jobs.csv.gz --only keda-llen,knative --out result
      autoscaler compare fleet.yaml --trace jobs.csv.gz --only none --ablate    what each policy contributes

    With one pool, each --trace is played by itself. A star marks what nothing else beats in cost and in the attainment
    of its worst served tier.
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    from autoscaler.cli.progress import progress_bar
    from autoscaler.sim.bounds import require_solver
    from autoscaler.sim.compare import least_trial, play_all

    if bound:
        require_solver()
    if out:
        require_writable(out)
    rehearsals = list(_rehearsals(files, traces, market, seed))
    for _, scenarios in rehearsals:
        scenarios[0].surveys()
    candidates = {label: list(_candidates(files, scenarios, only, ablate=ablate)) for label, scenarios in rehearsals}
    several = [each for own in candidates.values() for each in own]
    with progress_bar(f"simulating {len(several)} settings", len(several)) as progress:
        trials = iter(play_all(several, processes=processes, done=progress))
    by_trace = {label: [next(trials) for _ in own] for label, own in candidates.items()}
    if bound:
        for label, scenarios in rehearsals:
            with progress_bar(f"{label}: the least cost", 1.0) as progress:
                by_trace[label].append(
                    least_trial(scenarios[0], by_trace[label], attainment, processes=processes, done=progress)
                )
    for label, own in by_trace.items():
        screen().print(_table(label, own, attainment), "")
    if out:
        _write(out, files, by_trace)


def _rehearsals(
    files: Sequence[Path], traces: Sequence[str], market: Path | None, seed: int
) -> Iterator[tuple[str, list[Scenario]]]:
    """What is played: its name, and the scenario of each configuration."""
    from autoscaler.cli.options import config_of
    from autoscaler.rehearsal import scenario_of

    configs = [config_of(file) for file in files or (None,)]
    together = [traces] if len(configs[0].pools) > 1 else [(trace,) for trace in traces]
    for played in together:
        scenarios = [scenario_of(config, played, market=market, seed=seed) for config in configs]
        yield ", ".join(Path(trace.rpartition("=")[2]).name for trace in played), scenarios


def _candidates(
    files: Sequence[Path], scenarios: Sequence[Scenario], only: str | None, *, ablate: bool
) -> Iterator[Candidate]:
    from autoscaler.core.errors import SettingsError
    from autoscaler.sim.baselines import BASELINES
    from autoscaler.sim.compare import Candidate, ablated, peer_candidates, policy_candidates
    from policies import POLICIES

    first = scenarios[0]
    for file, scenario in zip(files or (None,), scenarios, strict=True):
        same_world = replace(scenario, providers=first.providers, market=first.market)
        name, title = (file.name, f"the configuration {file}") if file else ("default", "the default configuration")
        candidate = Candidate(kind="policy", name=name, title=title, scenario=same_world)
        yield candidate
        if ablate:
            yield from ablated(candidate)
    known = [*(name for name, policy in POLICIES.items() if policy.search and policy.alone), *BASELINES]
    names = known if only is None else [name for name in only.split(",") if name != "none"]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SettingsError(f"--only: {', '.join(unknown)}: expected some of {', '.join(known)}, or none")
    yield from policy_candidates(first, [name for name in names if name in POLICIES])
    yield from peer_candidates(first, [name for name in names if name in BASELINES])


def _table(label: str, trials: Sequence[Trial], attainment: float) -> Table:
    from autoscaler.sim.compare import tuned
    from autoscaler.sim.report.trial import frontier, times_bound

    bounds = [trial for trial in trials if trial.kind == "bound"]
    played = [trial for trial in trials if trial.kind != "bound"]
    best = [played[place] for place in frontier([(trial.usd, trial.worst_attainment) for trial in played])]
    title = f"{label}: least cost with {attainment:.0%} of each tier in time"
    table = Table(title=title, title_justify="left", box=None)
    for name in ("", "policy", "setting"):
        table.add_column(name)
    for name in ("USD", *(["x least"] if bounds else []), *trials[0].attainment_by_tier, "killed", "rented"):
        table.add_column(name, justify="right")
    for trial in [*tuned(played, attainment), *bounds]:
        times = times_bound(trial, bounds)
        table.add_row(
            "*" if trial in best else "",
            trial.name,
            trial.setting,
            f"{trial.usd:,.2f}",
            *([f"{times:.2f}" if times else ""] if bounds else []),
            *("-" if share is None else f"{share:.1%}" for share in trial.attainment_by_tier.values()),
            *(["", ""] if trial.kind == "bound" else [f"{trial.killed}", f"{trial.launches}"]),
            style="" if trial.worst_attainment >= attainment else "dim",
        )
    return table


def _write(out: Path, files: Sequence[Path], by_trace: Mapping[str, Sequence[Trial]]) -> None:
    from autoscaler.sim.files import REPORT, replace_file
    from autoscaler.sim.report.comparison import comparison_page

    trials = [{"trace": label, **asdict(trial)} for label, own in by_trace.items() for trial in own]
    with writing(out):
        replace_file(out / TRIALS, json.dumps(trials, indent=2) + "\n")
        replace_file(out / REPORT, comparison_page("Comparison", ", ".join(map(str, files)), by_trace))
    click.echo(f"Every setting is in {out / TRIALS}; open {out / REPORT} in a browser.")
