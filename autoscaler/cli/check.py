"""``autoscaler check``: whether a configuration is right, and what it says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from autoscaler.config import Config, PoolSettings
    from autoscaler.core.spec import FleetLimits, Limits, MachineSpec, Pace, Placement, Tier


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--full", is_flag=True, help="Print the whole configuration with every default, secrets masked.")
def check(file: Path, full: bool) -> None:
    """Check a configuration and say what it means; nothing is touched."""
    from autoscaler.config import full_yaml, load_config, warnings

    config = load_config(file, os.environ)
    for warning in warnings(config):
        click.echo(f"warning: {warning}", err=True)
    if full:
        click.echo(full_yaml(config), nl=False)
        return
    for line in _summary(config):
        click.echo(line)
    click.echo(f"\nNext: autoscaler plan {file}")


def _summary(config: Config) -> Iterator[str]:
    from autoscaler.config.words import mask_password
    from autoscaler.core.units import format_duration

    state = f", own state at {mask_password(config.store)}" if config.store else ""
    queue, every = mask_password(config.redis), format_duration(config.tick)
    yield f"fleet {config.fleet}: queue at {queue}{state}, a tick every {every}"
    if together := _caps(config.limits):
        yield f"all pools together: {together}"
    for name, pool in config.pools.items():
        yield ""
        yield f"pool {name}"
        for title, text in _pool_lines(pool):
            yield f"  {title:<11} {text}"


def _pool_lines(pool: PoolSettings) -> Iterator[tuple[str, str]]:
    yield "queue", f"{pool.queue.kind}: {', then '.join(map(_tier, pool.queue.tiers))}"
    yield "machine", _machine(pool.machine)
    for number, placement in enumerate(pool.placements, 1):
        yield "" if number > 1 else "placements", f"{number}. {_placement(placement)}"
    yield "limits", _limits(pool.limits)
    if pace := _pace(pool.pace):
        yield "pace", pace
    yield "policies", ", ".join(choice.name for choice in pool.policies)


def _tier(tier: Tier) -> str:
    from autoscaler.core.units import format_duration

    refusing = f", new jobs refused above {format_duration(tier.refuse_above)}" if tier.refuse_above is not None else ""
    reserving = f", {tier.reserve} {'slot' if tier.reserve == 1 else 'slots'} reserved" if tier.reserve else ""
    return f"{tier.name} (wait up to {format_duration(tier.wait_target)}{refusing}{reserving})"


def _machine(machine: MachineSpec) -> str:
    gpus, jobs = " or ".join(machine.gpus), "1 job" if machine.slots == 1 else f"{machine.slots} jobs"
    return f"{machine.image} on {gpus}, {machine.disk_gb:g} GB disk, {jobs} at a time, ready when: {machine.ready}"


def _placement(placement: Placement) -> str:
    regions = f" in {' or '.join(placement.regions)}" if placement.regions else ""
    gpus = f" on {' or '.join(placement.gpus)}" if placement.gpus else ""
    cloud = f", {placement.cloud} cloud" if placement.cloud else ""
    what = f"{placement.buy.replace('_', ' ')} at {placement.provider}{cloud}{gpus}{regions}"
    return f"{placement.label}: {what}, up to {placement.max_usd_per_hour:g} USD per hour"


def _limits(limits: Limits) -> str:
    hot, warm = limits.hot, limits.warm
    return f"{hot.low} to {hot.high} running, {warm.low} to {warm.high} stopped; {_caps(limits)}"


def _pace(pace: Pace) -> str:
    from autoscaler.core.units import format_duration

    counts = {"started": pace.up, "drained": pace.down}
    parts = [f"up to {count} {what}" for what, count in counts.items() if count is not None]
    return f"{' and '.join(parts)} within {format_duration(pace.per)}" if parts else ""


def _caps(limits: Limits | FleetLimits) -> str:
    from autoscaler.core.money import caps

    periods = {"usd_per_hour": "an hour", "usd_per_day": "a day", "usd_per_month": "a month"}
    return "; ".join(
        f"warn at {cap.warn:g} USD {periods[name]}, stop at {cap.stop:g}" for name, cap in caps(limits).items()
    )
