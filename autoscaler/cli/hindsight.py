"""``autoscaler hindsight``: what the daemon's own last days could have cost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from autoscaler.cli.history import read_samples
from autoscaler.cli.options import (
    attainment_option,
    config_of,
    file_argument,
    processes_option,
    seed_option,
    some_duration,
)
from autoscaler.core.errors import SettingsError

if TYPE_CHECKING:
    from autoscaler.config import Config
    from autoscaler.core.samples import Sample
    from autoscaler.sim.least import Least
    from autoscaler.sim.record import Recording
    from autoscaler.sim.summary import Summary
    from autoscaler.sim.tune import Tuned


@click.command()
@file_argument
@click.option(
    "--last",
    callback=some_duration,
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="How far to look back; about a month is kept.",
)
@attainment_option
@click.option("--trials", type=click.IntRange(1), default=20, show_default=True, help="Settings to try.")
@click.option(
    "--service", callback=some_duration, metavar="DURATION", help="Mean service time, if workers count no jobs."
)
@processes_option
@seed_option
def hindsight(
    file: Path | None,
    *,
    last: float,
    attainment: float,
    trials: int,
    service: float | None,
    processes: int,
    seed: int,
) -> None:
    """Say what the last day or month could have cost.

    The daemon's own history is played again: with the present settings, and with others; and the least that anybody
    could have paid is found. The market is that of the configuration's mock provider.

    \b
      autoscaler hindsight fleet.yaml
      autoscaler hindsight fleet.yaml --last 30d
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    from autoscaler.cli.figures import policies_yaml
    from autoscaler.cli.progress import progress_bar
    from autoscaler.rehearsal import scenario_of
    from autoscaler.sim.bounds import require_solver
    from autoscaler.sim.compare import summary_of
    from autoscaler.sim.least import least_cost
    from autoscaler.sim.tune import require_optuna, tune

    require_optuna()
    require_solver()
    config = config_of(file)
    samples = _recent(asyncio.run(read_samples(config)), last)
    recordings = _recordings(config, samples, service)
    with TemporaryDirectory() as directory:
        scenario = scenario_of(config, _traces(recordings, Path(directory)), market=None, seed=seed)
        present = summary_of(scenario)
        with progress_bar(f"trying {trials} settings", trials) as progress:
            best, *_ = tune(
                scenario,
                attainment=attainment,
                trials=trials,
                processes=processes,
                study="hindsight",
                storage=None,
                done=progress,
            )
        with progress_bar("the least cost", 1.0) as progress:
            least = least_cost(
                scenario,
                attainment=attainment,
                horizon_s=present.simulated_s,
                processes=processes,
                done=progress,
                standing=_standing(samples[0]),
            )
    span_s = samples[-1].until - samples[0].at
    for line in _told(span_s, [*recordings.values()], present, best, least, attainment=attainment, trials=trials):
        click.echo(line)
    click.echo(f"\nThe best settings:\n\n{policies_yaml(best.scenario)}", nl=False)


def _told(
    span_s: float,
    recordings: Sequence[Recording],
    present: Summary,
    best: Tuned,
    least: Least,
    *,
    attainment: float,
    trials: int,
) -> Iterator[str]:
    """What was paid, and what could have been."""
    from autoscaler.core.units import format_duration
    from autoscaler.sim.bounds import regret

    paid_usd = sum(recording.totals.usd for recording in recordings)
    jobs = sum(len(recording.jobs) for recording in recordings)
    yield f"{format_duration(span_s)}, {jobs:,} jobs: {paid_usd:,.2f} USD by the books"
    yield f"  played again as it is   {present.usd:,.2f} USD, {present.worst_attainment:.1%} in time where it was worst"
    yield f"  best of {trials} settings     {best.usd:,.2f} USD, {best.worst_attainment:.1%}"
    text = f"nobody could have started {attainment:.0%} of every tier in time within these limits"
    if math.isfinite(least.usd):
        times = regret(paid_usd, least.usd)
        text = f"{least.usd:,.2f} USD for {attainment:.0%} in every tier; the books say {times:.2f} times that"
    yield f"  the least possible      {text}"


def _recent(samples: Sequence[Sample], last: float) -> list[Sample]:
    from autoscaler.core.samples import window

    if not samples:
        raise SettingsError("nothing was recorded yet; a running daemon adds a sample each minute")
    return window(samples, max(sample.until for sample in samples) - last)


def _recordings(config: Config, samples: Sequence[Sample], service_s: float | None) -> dict[str, Recording]:
    """What came to each pool."""
    from autoscaler.sim.record import record

    recordings = {pool: record(samples, pool, service_s) for pool in config.pools}
    if not any(recording.jobs for recording in recordings.values()):
        raise SettingsError("no jobs came in that time; --last looks further back")
    return recordings


def _traces(recordings: Mapping[str, Recording], directory: Path) -> list[str]:
    """The recordings as files, each as a command names it."""
    from autoscaler.sim.traces.write import write_plain

    for pool, recording in recordings.items():
        write_plain(recording.jobs, directory / f"{pool}.csv", ("tier", "service_s"))
    return [f"{pool}={directory / f'{pool}.csv'}" for pool in recordings]


def _standing(first: Sample) -> dict[str, int]:
    """How many machines each pool had in a sample, at most."""
    length_s = max(1.0, first.until - first.at)
    return {pool: math.ceil(sum(part.machine_s.values()) / length_s) for pool, part in first.pools.items()}
