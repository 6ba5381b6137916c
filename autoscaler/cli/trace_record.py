"""``autoscaler trace record``: a plain trace of the user's own queue, out of the daemon's history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from autoscaler.cli.history import read_samples
from autoscaler.cli.options import config_of, some_duration
from autoscaler.core.arrivals import RUNNING
from autoscaler.core.errors import SettingsError
from autoscaler.core.units import format_duration

if TYPE_CHECKING:
    from autoscaler.config import Config
    from autoscaler.core.samples import Sample
    from autoscaler.sim.record import Recording


def _moment(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    try:
        moment = None if value is None else datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value}: expected a time such as 2026-11-21T08:00 (UTC)") from error
    return None if moment is None else (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="[CONFIG] OUT", type=click.Path(path_type=Path))
@click.option("--pool", help="Whose jobs; needed where there are several pools.")
@click.option("--last", callback=some_duration, metavar="DURATION", help="Only what was recorded last, as in 24h.")
@click.option("--since", callback=_moment, metavar="TIME", help="Only from then on, as in 2026-11-21T08:00 (UTC).")
@click.option("--until", callback=_moment, metavar="TIME", help="Only before then.")
@click.option(
    "--service", callback=some_duration, metavar="DURATION", help="Mean service time where workers counted no jobs."
)
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
def record(
    files: tuple[Path, ...],
    *,
    pool: str | None,
    last: float | None,
    since: float | None,
    until: float | None,
    service: float | None,
    force: bool,
) -> None:
    """Make a plain trace of the daemon's own history, to replay your own queue.

    The daemon that runs with CONFIG keeps a sample of each minute for about 31 days. OUT gets the columns t_s, tier and
    service_s, where t_s counts from the first sample; it is compressed if its name ends with .gz.

    \b
    What is exact and what is not:
      arrivals   by minute and tier, where each worker counts the jobs it takes;
                 else those seen waiting, and as many more as the work done is
                 worth (--service)
      t_s        a minute's arrivals are spread evenly over it
      service_s  slot-seconds of work ÷ jobs started: the mean of about 30 jobs
                 around it
    """  # noqa: D301 - the escape is click's mark of lines to be left as they are
    from autoscaler.core.samples import window
    from autoscaler.sim import record as recording
    from autoscaler.sim.traces.write import write_plain

    if len(files) > 2:
        raise click.UsageError("expected at most a configuration and the trace to write")
    if last is not None and (since is not None or until is not None):
        raise click.UsageError("--last goes neither with --since nor with --until")
    config_file, out = (files[0] if len(files) == 2 else None), files[-1]
    if out.exists() and not force:
        raise SettingsError(f"{out}: exists; --force replaces it")
    config = config_of(config_file)
    pool = _pool(config, pool)
    samples = [sample for sample in asyncio.run(read_samples(config)) if pool in sample.pools]
    if not samples:
        raise SettingsError(f"nothing was recorded of pool {pool!r} yet; a running daemon adds a sample each minute")
    if last is not None:
        since = max(sample.until for sample in samples) - last
    chosen = window(samples, float("-inf") if since is None else since, float("inf") if until is None else until)
    if not chosen:
        raise SettingsError(f"nothing was recorded in that time; there are samples {_span(window(samples))}")
    recorded = recording.record(chosen, pool, service)
    write_plain(recorded.jobs, out, ("tier", "service_s"))
    for line in _summary(recorded, pool, out):
        click.echo(line)
    named = f" {quote(str(config_file))}" if config_file else ""
    click.echo(f"Next: autoscaler simulate{named} --trace {quote(str(out))}")


def _pool(config: Config, name: str | None) -> str:
    known = ", ".join(config.pools)
    if name is None and len(config.pools) > 1:
        raise SettingsError(f"several pools are configured; --pool names one of them: {known}")
    if name is not None and name not in config.pools:
        raise SettingsError(f"no pool {name!r}; the configured pools: {known}")
    return name or next(iter(config.pools))


def _span(samples: Sequence[Sample]) -> str:
    begin, end = (
        datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M") for at in (samples[0].at, samples[-1].until)
    )
    return f"from {begin} to {end} (UTC)"


def _summary(recorded: Recording, pool: str, out: Path) -> Iterator[str]:
    totals, jobs = recorded.totals, len(recorded.jobs)
    begin = datetime.fromtimestamp(totals.at, UTC).strftime("%Y-%m-%d %H:%M")
    span_s = totals.until - totals.at
    yield f"{out}: {jobs:,} jobs of pool {pool} in {format_duration(span_s)} from {begin} (UTC)"
    if jobs:
        counted = jobs - recorded.inferred
        yield f"  arrivals    {counted:,} counted or seen waiting, {recorded.inferred:,} inferred from the work done"
        yield f"  service     {recorded.service_s:.1f}s in the mean"
    if recorded.blind_s:
        yield (
            f"  unseen      for {format_duration(recorded.blind_s)} neither jobs nor work were counted, "
            "and jobs that did not wait are missing"
        )
    if totals.gap_s >= 1.0:
        yield f"  gaps        {format_duration(totals.gap_s)} without data; no jobs are made up for them"
    hours = sum(totals.machine_s.get(phase, 0.0) for phase in RUNNING) / 3600.0
    yield f"  cost        {totals.usd:.2f} USD, {hours:.1f} machine-hours HOT"
