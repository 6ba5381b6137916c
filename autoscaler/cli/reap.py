"""``autoscaler reap``: what bills in our name, and nobody takes care of."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from autoscaler.cli.order_options import Hand, hand, listings, opened, yes_option
from autoscaler.core.units import format_duration

if TYPE_CHECKING:
    from autoscaler.app import App
    from autoscaler.core.instance import Instance
    from autoscaler.core.market import Remote


@dataclass(frozen=True, kw_only=True, slots=True)
class _Find:
    """A machine that should not be there."""

    provider: str
    remote: Remote
    why: str
    goes: bool
    """A release is to be ordered; otherwise its release is under way, or is a person's to decide."""

    @property
    def line(self) -> str:
        remote = self.remote
        usd = remote.burn_usd_per_hour or remote.usd_per_hour
        known = (f"{self.provider}/{remote.provider_id}", remote.label, remote.status, f"{usd:.3f} USD/h", self.why)
        return "  ".join(known)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looked:
    """What the providers list."""

    finds: list[_Find]
    unlisted: list[str]
    """Of which providers it is not known, and why."""
    ours: str
    """How many machines have this fleet's label, in words."""


@click.command()
@hand
@click.option("--dry-run", is_flag=True, help="Only show them.")
@yes_option
def reap(hand: Hand, dry_run: bool, yes: bool) -> None:
    """Find and release machines that nobody takes care of.

    It asks every provider itself, so it works while no daemon runs. It shows machines with this fleet's label that no
    record names, those whose pool is no longer configured, and those that are stuck. Machines with other labels are
    never looked at. A release that is ordered is carried out by the daemon that leads, as `autoscaler release` says:
    one that may hold a job is drained first.

    \b
      autoscaler reap fleet.yaml --dry-run      look
      autoscaler reap fleet.yaml                look, answer y
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    if hand.url:
        raise click.UsageError("it asks the providers of FILE itself; drop --url")
    looked = asyncio.run(_look(hand))
    for text in looked.unlisted:
        click.echo(f"error: {text}", err=True)
    for find in looked.finds:
        click.echo(find.line)
    going = [find for find in looked.finds if find.goes]
    if going and not dry_run:
        count = "this machine" if len(going) == 1 else f"these {len(going)} machines"
        if not yes:
            click.confirm(f"Order the release of {count}?", abort=True)
        asyncio.run(_order(hand, going))
        click.echo("Ordered. The daemon that leads releases them; while none runs, they bill on: autoscaler run FILE")
        hand.next("orders")
    if looked.unlisted:
        sys.exit(1)
    if not looked.finds:
        click.echo(f"Nothing to reap: {looked.ours} listed, each with a record, a pool and a way out.")


async def _look(hand: Hand) -> _Looked:
    from autoscaler.core.demand import Unknown
    from autoscaler.core.instance import parse_label
    from autoscaler.runtime.clock import SystemClock

    async with opened(hand.file) as app:
        records = await app.records()
        listed = await listings(app, set(app.providers))
    finds: list[_Find] = []
    unlisted, machines = [], 0
    for provider, listing in listed.items():
        if isinstance(listing, Unknown):
            unlisted.append(f"{provider}: {listing.reason}")
        else:
            finds += _finds(app, provider, listing.machines, records, SystemClock().now())
            machines += sum(parse_label(remote.label, app.config.fleet) is not None for remote in listing.machines)
    ours = f"{machines} machine{'' if machines == 1 else 's'} with the label of {app.config.fleet}"
    return _Looked(finds=finds, unlisted=unlisted, ours=ours)


def _finds(
    app: App, provider: str, machines: Iterable[Remote], records: Iterable[Instance], now: float
) -> Iterator[_Find]:
    from autoscaler.core.instance import parse_label

    known = {record.provider_id or record.id: record for record in records if record.provider == provider}
    for remote in machines:
        ours = parse_label(remote.label, app.config.fleet)
        record = known.get(remote.provider_id) or (known.get(ours[1]) if ours else None)
        if record is not None:
            why, goes = _of_record(record, app, now)
        elif ours is not None:
            why, goes = "no record names it", True
        else:
            continue
        if why:
            yield _Find(provider=provider, remote=remote, why=why, goes=goes)


def _of_record(record: Instance, app: App, now: float) -> tuple[str, bool]:
    """What is wrong with a machine that a record names, and whether a release would mend it."""
    from autoscaler.core.lifecycle import Phase

    since = f"{record.phase} for {format_duration(now - record.phase_since)}"
    if record.phase is Phase.GONE:
        return f"listed though its record says it is gone, {since}: the daemon releases it again", False
    if record.alarmed and record.phase is Phase.RELEASING:
        return f"stuck: {since}, and asked for again and again; look in the provider's console", False
    if record.alarmed:
        return f"stuck: {since}; to end it whatever runs on it: autoscaler release {record.id} FILE --lose-jobs", False
    if record.pool not in app.config.pools and record.phase is not Phase.RELEASING:
        return f"its pool {record.pool} is not configured, {since}", True
    return "", False


async def _order(hand: Hand, finds: Iterable[_Find]) -> None:
    from autoscaler.core.orders import Order, OrderKind
    from autoscaler.runtime.clock import SystemClock

    async with opened(hand.file) as app:
        for find in finds:
            await app.store.give(
                Order(
                    kind=OrderKind.RELEASE,
                    subject=f"{find.provider}/{find.remote.provider_id}",
                    by=hand.by,
                    why=hand.why or f"reaped, {find.why}"[:200],
                    at=SystemClock().now(),
                )
            )
