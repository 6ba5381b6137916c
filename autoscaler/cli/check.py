"""``autoscaler check``: whether a configuration is right, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoscaler.cli.options import config_of, file_argument

if TYPE_CHECKING:
    from rich.table import Table

    from autoscaler.config import Config, PoolSettings
    from autoscaler.core.spec import FleetLimits, Limits, MachineSpec, Pace, Placement, Tier
    from autoscaler.link import RedisSettings
    from autoscaler.survey import OnOffer, Survey


@click.command()
@file_argument
@click.option("--full", is_flag=True, help="Print the whole configuration with every default, secrets masked.")
@click.option(
    "--providers", is_flag=True, help="Ask each provider, too: key, credit, and what is on offer. Rents nothing."
)
def check(file: Path | None, full: bool, providers: bool) -> None:
    """Check a configuration and say what it means; touch nothing. Without FILE, the one in AUTOSCALER_CONFIG.

    With --providers it asks each provider, with a daemon's own requests, for its machines, its credit and what it has
    on offer for each placement; where it has nothing, more widely, to say why. It cannot rent. Exit code 2 says that
    something must be mended.
    """
    from autoscaler.config import full_yaml, warnings

    config = config_of(file)
    for warning in warnings(config):
        click.echo(f"warning: {warning}", err=True)
    if full:
        click.echo(full_yaml(config), nl=False)
    elif not providers:
        for line in _summary(config):
            click.echo(line)
    if providers:
        _show(asyncio.run(_ask(config)))
    if not full:
        click.echo(f"\nNext: autoscaler plan {file or ''}".rstrip())


async def _ask(config: Config) -> Survey:
    from autoscaler.app import build
    from autoscaler.cli.progress import progress_bar
    from autoscaler.runtime.clock import SystemClock
    from autoscaler.survey import questions, survey

    clock = SystemClock()
    app = build(config, clock=clock, preview=True)
    try:
        with progress_bar("asking", questions(config)) as done:
            return await survey(config, app.providers, clock, done)
    finally:
        await app.close()


def _show(found: Survey) -> None:
    """What is on offer and worth knowing.

    Raises:
        SettingsError: something must be mended.
    """
    from autoscaler.cli.output import screen
    from autoscaler.core.errors import SettingsError

    if found.on_offer:
        screen().print(_on_offer(found.on_offer))
    for note in found.notes():
        click.echo(f"note: {note}")
    if problems := found.problems():
        raise SettingsError(*problems)


def _on_offer(found: list[OnOffer]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("pool", "placement"):
        table.add_column(name)
    table.add_column("on offer", justify="right")
    table.add_column("cheapest, USD per hour", justify="right")
    for name in ("GPU", "region"):
        table.add_column(name)
    for each in found:
        best = each.offers[0] if each.offers else None
        cells = (f"{best.usd_per_hour:.3f}", best.gpu, best.region or "-") if best else ("-", "-", "-")
        table.add_row(each.pool, each.placement, str(len(each.offers)), *cells)
    return table


def _place(redis: RedisSettings) -> str:
    from autoscaler.config.words import mask_password

    return mask_password(redis.url) if redis.url else str(redis)


def _summary(config: Config) -> Iterator[str]:
    from autoscaler.core.units import format_duration

    state = f", own state at {_place(config.store)}" if config.store else ""
    queue, every = _place(config.redis), format_duration(config.tick)
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
    from autoscaler.core.units import format_duration

    gpus, jobs = " or ".join(machine.gpus), "1 job" if machine.slots == 1 else f"{machine.slots} jobs"
    ends = f", ends itself {format_duration(machine.dead_man)} after its daemon" if machine.dead_man is not None else ""
    return (
        f"{machine.image} on {gpus}, {machine.disk_gb:g} GB disk, {jobs} at a time, ready when: {machine.ready}{ends}"
    )


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
