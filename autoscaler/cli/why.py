"""``autoscaler why``: the last decisions, and why other things were not done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from autoscaler.cli.endpoint import ask_journal, ask_status, url_option
from autoscaler.cli.view import leader_named
from autoscaler.core.errors import SettingsError

_ENTRIES = 1000  # of the journal, among which the last decisions are looked for
_UP, _DOWN = ("rent", "resume"), ("stop", "release")
_HOLDS: Mapping[str, Sequence[str]] = {
    "paused": (*_UP, *_DOWN),
    "order.floor": ("stop",),
    "order.ceiling": _UP,
    "up": _UP,
    "budget.stop": _UP,
    "unknown": _DOWN,
    "fresh_start": _DOWN,
    "down": ("stop",),
    "hold": ("stop",),
    "keep": ("stop",),
    "open": ("stop",),
    "early": ("stop",),
    "warm": ("release",),
}
"""What a rule that led to the decision speaks against, by its name or the last word of it."""
_NOT_DONE: Mapping[str, Sequence[str]] = {
    **{action: (action,) for action in (*_UP, *_DOWN)},
    "race": ("rent",),
    "replace": ("rent",),
    "standby": ("rent",),
    "fewer": ("stop",),
    **_HOLDS,
}
"""What a rule that tells of something not done speaks of; of a machine more where its name does not say."""

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
    if not pools and pool in status["leaders"]:
        raise SettingsError(f"{pool} is led by {leader_named(status['leaders'][pool])}: ask there, with --url")
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
    for action in (*_UP, *_DOWN):
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
    """What stands between now and an action: each rule that spoke of it, and how far the numbers are from it."""
    decision = pool["decision"]
    texts = [f"{command['reason']} - being done" for command in pool["commands"] if command["action"] == action]
    against = [(reason, _spoken_of(reason["rule"], _NOT_DONE, _UP)) for reason in decision["why_not"]]
    against += [(reason, _held_back(reason["rule"], pool)) for reason in decision["why"]]
    texts += [f"{reason['text']}  [{reason['rule']}]" for reason, actions in against if action in actions]
    return [*texts, f"{_by_numbers(action, pool)}  [plan]"]


def _spoken_of(rule: str, known: Mapping[str, Sequence[str]], otherwise: Sequence[str]) -> Sequence[str]:
    return known.get(rule) or known.get(rule.rpartition(".")[2], otherwise)


def _held_back(rule: str, pool: Object) -> Sequence[str]:
    """What a rule that led to the decision speaks against: limits against more at the most, else against fewer."""
    if rule != "limits.hot":
        return _spoken_of(rule, _HOLDS, ())
    _, _, most = pool["limits"]["hot"].rpartition("..")
    return _UP if pool["decision"]["hot"] >= int(most) else ("stop",)


def _by_numbers(action: str, pool: Object) -> str:
    decision, phases, limits = pool["decision"], pool["phases"], pool["limits"]
    missing = decision["hot"] - pool["up"]
    match action:
        case "resume" if not phases["warm"]:
            return "no machine is WARM"
        case "rent" if phases["warm"] and missing > 0:
            return f"WARM machines are resumed first: {phases['warm']}"
        case "rent" | "resume":
            short = f"{missing} missing" if missing > 0 else "none is missing"
            return f"{pool['up']} up, {decision['hot']} wanted, {limits['hot']} allowed: {short}"
        case "stop":
            return _surplus(phases["hot"], "HOT", decision["hot"], "wanted")
        case _:
            return _surplus(phases["warm"], "WARM", decision["warm"], "kept at most")


def _surplus(there: int, phase: str, wanted: int, how: str) -> str:
    surplus = f"{there - wanted} too many" if there > wanted else "none is too many"
    return f"{there} {phase}, {wanted} {how}: {surplus}"
