"""``autoscaler why``: the last decisions, and why other things were not done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from autoscaler.cli.endpoint import ask_journal, ask_status, url_option
from autoscaler.core.errors import SettingsError

_ENTRIES = 1000  # of the journal, among which the last decisions are looked for
_DOWN = ("stop", "release")

Object = Mapping[str, Any]


@click.command()
@click.argument("pool", required=False)
@click.option("--count", type=click.IntRange(min=0), default=5, show_default=True, help="How many past decisions.")
@url_option
def why(pool: str | None, count: int, url: str) -> None:
    """Say why the daemon did what it did, and why not something else.

    For each pool, or for POOL alone: its last decisions, what is wanted now, and for every action how far it is from
    being done.
    """
    status, journal = asyncio.run(_ask(url))
    if not status["pools"]:
        why_none = "the first tick is still to come" if status["at"] is None else "another daemon leads this fleet"
        click.echo(f"Nothing was decided here: {why_none}.")
        return
    pools = [each for each in status["pools"] if pool in (None, each["name"])]
    if not pools:
        known = ", ".join(each["name"] for each in status["pools"])
        raise SettingsError(f"no pool {pool!r}; the daemon's pools: {known}")
    decisions = [entry for entry in journal if entry["kind"] == "decision"]
    for each in pools:
        last = [entry for entry in decisions if entry["pool"] == each["name"]][:count]
        click.echo("\n".join(_pool(each, last)))


async def _ask(url: str) -> tuple[Object, Sequence[Object]]:
    return await ask_status(url), await ask_journal(url, _ENTRIES)


def _pool(pool: Object, last: Sequence[Object]) -> Iterator[str]:
    yield click.style(f"Pool {pool['name']}", bold=True)
    if last:
        yield "  What was decided, newest first:"
    for entry in last:
        yield from _past(entry)
    yield from _present(pool)
    yield "  Why nothing else is done:"
    for action in ("rent", "resume", *_DOWN):
        for text in _why_not(action, pool):
            yield f"    {action:<8} {text}"


def _past(entry: Object) -> Iterator[str]:
    moment = datetime.fromtimestamp(entry["at"], UTC).strftime("%m-%d %H:%M:%S")
    yield f"    {moment}  {_wanted(entry)}"
    for text in [reason["text"] for reason in entry["why"]] or ["nothing was to be changed"]:
        yield f"                    because {text}"


def _present(pool: Object) -> Iterator[str]:
    decision, demand = pool["decision"], pool["demand"]
    queue = f"the queue cannot be read ({demand['unknown']})" if demand["unknown"] else f"{demand['waiting']} jobs wait"
    yield f"  Now {queue}; machines up or on their way: {pool['up']}, WARM: {pool['phases']['warm']}."
    yield f"    wanted   {_wanted(decision)}"
    for reason in decision["why"]:
        yield f"    because  {reason['text']}"
    for command in pool["commands"]:
        about = command["instance"] or f"a machine at {command['placement']}"
        yield f"    done     {command['action']} {about}: {command['reason']}"
    if not pool["commands"]:
        yield "    done     nothing"


def _wanted(decision: Object) -> str:
    return f"{decision['hot']} HOT, at most {decision['warm']} WARM"


def _why_not(action: str, pool: Object) -> list[str]:
    """What stands between now and an action, in the words of the rules that spoke of it, or from the numbers."""
    decision = pool["decision"]
    texts = [command["reason"] + " - being done" for command in pool["commands"] if command["action"] == action]
    texts += [r["text"] for r in decision["why_not"] if r["rule"].endswith(f".{action}")]
    blanket = {"paused"} | ({"unknown", "fresh_start"} if action in _DOWN else {"limits.hot", "budget.stop"})
    texts += [r["text"] for r in (*decision["why"], *decision["why_not"]) if r["rule"] in blanket]
    return texts or [_by_numbers(action, pool)]


def _by_numbers(action: str, pool: Object) -> str:
    decision, phases, limits = pool["decision"], pool["phases"], pool["limits"]
    match action:
        case "resume" if not phases["warm"]:
            return "no machine is WARM"
        case "rent" if phases["warm"]:
            return f"WARM machines are resumed first: {phases['warm']}"
        case "rent" | "resume":
            return f"{pool['up']} up and {decision['hot']} wanted; {limits['hot']} allowed"
        case "stop":
            return f"{pool['up']} up and {decision['hot']} wanted: none is too many"
        case _:
            return f"{phases['warm']} WARM and up to {decision['warm']} kept: none is too many"
