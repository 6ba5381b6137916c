"""``autoscaler trace convert``: plain traces of public ones."""

from __future__ import annotations

import math
from pathlib import Path
from shlex import quote

import click

from autoscaler.cli.options import duration
from autoscaler.cli.trace import format_option, progress_of, tier_option
from autoscaler.core.errors import SettingsError
from autoscaler.core.units import format_duration
from autoscaler.sim.traces.formats import FORMATS

_FORMATS = "\n".join(["\b", "Formats:", *(f"  {name:<15}{each.about}" for name, each in FORMATS.items())])
_SPEED = click.FloatRange(min=0.0, min_open=True)


@click.command(epilog=_FORMATS)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@format_option
@tier_option
@click.option(
    "--tokens-per-s",
    type=(_SPEED, _SPEED),
    metavar="PROMPT OUTPUT",
    help="Make service times of tokens: prompt tokens ÷ PROMPT + output tokens ÷ OUTPUT.",
)
@click.option("--from", "from_s", metavar="DURATION", callback=duration, help="Leave out the jobs before, as in 2d12h.")
@click.option("--until", "until_s", metavar="DURATION", callback=duration, help="Leave out the jobs from then on.")
@click.option("--seed", type=int, default=1, show_default=True, help="For jobs drawn from rates (servegen).")
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
def convert(
    source: Path,
    target: Path,
    *,
    format_name: str | None,
    tier_column: str | None,
    tokens_per_s: tuple[float, float] | None,
    from_s: float | None,
    until_s: float | None,
    seed: int,
    force: bool,
) -> None:
    """Make a plain trace of a trace in any format that is known.

    OUT has the columns t_s and, where IN tells them, tier, service_s and model; it is compressed if its name ends with
    .gz. Times count from the first job, or, in plain and servegen traces, from their own zero; with --from, from then.
    Without --tokens-per-s, traces that tell tokens give no service times.
    """
    from autoscaler.sim.traces import open_trace
    from autoscaler.sim.traces.format import Reading, TokenSpeed
    from autoscaler.sim.traces.write import window, write_plain

    begin, end = from_s or 0.0, math.inf if until_s is None else until_s
    if end <= begin:
        raise SettingsError("--until: expected a later moment than that of --from")
    if target.exists() and not force:
        raise SettingsError(f"{target}: exists; --force replaces it")
    speed = TokenSpeed(prefill=tokens_per_s[0], decode=tokens_per_s[1]) if tokens_per_s else None
    reading = Reading(tier_column=tier_column, speed=speed, seed=seed)
    trace = open_trace(source, format_name=format_name, reading=reading)
    with progress_of(trace) as watch:
        written = write_plain(window(trace.jobs(watch), begin, end), target, trace.tells)
    columns = ", ".join(("t_s", *trace.tells))
    click.echo(f"{target}: {written.jobs:,} jobs, the last at {format_duration(written.last_s)} ({columns})")
    click.echo(f"Next: autoscaler trace info {quote(str(target))}")
