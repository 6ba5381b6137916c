"""``autoscaler why``: the last decisions in sentences, and why other things were not done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence

import click

from autoscaler.cli.endpoint import ask_journal, ask_status, url_option
from autoscaler.cli.options import some_duration
from autoscaler.cli.view.fleet import leader_named
from autoscaler.cli.view.words import Object, harmless, moment
from autoscaler.cli.why_machine import find_machine, tell_machine
from autoscaler.cli.why_pool import tell_pool
from autoscaler.core.errors import SettingsError

_ENTRIES = 1000  # of the journal, among which the last decisions are looked for


@click.command()
@click.argument("pool", required=False)
@click.option("--pool", "option", metavar="POOL", help="The same as POOL.")
@click.option("--count", type=click.IntRange(min=0), default=5, show_default=True, help="How many past decisions.")
@click.option("--last", metavar="2h", callback=some_duration, help="All decisions of so long, whatever --count says.")
@click.option("--instance", metavar="ID", help="The life of one machine instead, by its id or as PROVIDER/ID.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print what it is told from: pools or a machine, and the journal."
)
@url_option
def why(
    *,
    pool: str | None,
    option: str | None,
    count: int,
    last: float | None,
    instance: str | None,
    as_json: bool,
    url: str,
) -> None:
    """Say why the daemon did what it did, and why not something else.

    For each pool, or for POOL alone: what is wanted and why, since when, what was done about it and what came of it,
    for every action how far it is from being done, what it costs, what stands in its way, and what you can do.
    """
    status, journal = asyncio.run(_ask(url))
    if last is not None:
        journal = [entry for entry in journal if entry["at"] >= status["clock"] - last]
    if instance is not None:
        _tell_machine(status, instance, journal, as_json=as_json)
        return
    pools = _chosen(status, pool or option)
    if as_json:
        click.echo(json.dumps({"pools": pools, "entries": _of_pools(pools, journal)}))
        return
    if not pools:
        click.echo(f"Nothing was decided here: {_why_none(status)}.")
    for each in pools:
        _echo(tell_pool(status, each, journal, count=count if last is None else _ENTRIES))
    if last is not None and journal and journal[-1]["at"] > status["clock"] - last and len(journal) == _ENTRIES:
        click.echo(f"The daemon's newest {_ENTRIES} entries reach back to {moment(journal[-1]['at'], day=True)} UTC.")


async def _ask(url: str) -> tuple[Object, Sequence[Object]]:
    return harmless(await ask_status(url)), harmless(await ask_journal(url, _ENTRIES))


def _chosen(status: Object, name: str | None) -> list[Object]:
    """The pool of that name, or all; none where nothing was decided here.

    Raises:
        SettingsError: there is no such pool here.
    """
    pools = [each for each in status["pools"] if name in (None, each["name"])]
    if pools or not status["pools"]:
        return pools
    if name in status["leaders"]:
        raise SettingsError(f"{name} is led by {leader_named(status['leaders'][name])}: ask there, with --url")
    known = ", ".join(each["name"] for each in status["pools"])
    raise SettingsError(f"no pool {name!r}; the daemon's pools: {known}")


def _why_none(status: Object) -> str:
    """Why this daemon decided nothing."""
    if status["error"]:
        return f"the newest tick failed, {status['error']}"
    if status["at"] is None:
        return "the first tick is still to come"
    leaders = sorted({leader_named(each) for each in status["leaders"].values() if each})
    return f"{' and '.join(leaders)} leads this fleet; ask there, with --url" if leaders else "nobody leads this fleet"


def _of_pools(pools: Sequence[Object], journal: Sequence[Object]) -> list[Object]:
    names = {pool["name"] for pool in pools}
    return [entry for entry in journal if entry["pool"] in names]


def _tell_machine(status: Object, name: str, journal: Sequence[Object], *, as_json: bool) -> None:
    """Tell a machine's life.

    Raises:
        SettingsError: neither the fleet nor the journal knows it.
    """
    machine = find_machine(status, name)
    own_id = machine["id"] if machine else name
    entries = [entry for entry in journal if entry["instance"] == own_id]
    if machine is None and not entries:
        raise SettingsError(f"no machine {name!r} in the fleet or in the journal's newest {len(journal)} entries")
    if as_json:
        click.echo(json.dumps({"instance": machine, "entries": entries}))
        return
    _echo(tell_machine(status, own_id, machine, journal))


def _echo(lines: Iterator[str]) -> None:
    for text in lines:
        click.secho(text, bold=not text.startswith(" "))
