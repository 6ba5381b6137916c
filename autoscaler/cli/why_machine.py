"""The life of one machine in sentences, with what it has cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from autoscaler.cli.view.machines import odd_about, state_of
from autoscaler.cli.view.words import Object, moment
from autoscaler.core.units import format_duration


def find_machine(status: Object, name: str) -> Object | None:
    """The machine of this id, or of this PROVIDER/ID."""
    for machine in status["instances"]:
        if name in (machine["id"], f"{machine['provider']}/{machine['provider_id']}"):
            found: Object = machine
            return found
    return None


def tell_machine(status: Object, name: str, machine: Object | None, journal: Sequence[Object]) -> Iterator[str]:
    """Lines about a machine, the heading without an indent.

    Args:
        status: The whole fleet's.
        name: Its id.
        machine: What the status says of it; None where it is gone.
        journal: Entries of the whole fleet, newest first.
    """
    entries = [entry for entry in reversed(journal) if entry["instance"] == name]
    if machine is None:
        yield f"Machine {name}: it is no more of the fleet."
    else:
        yield from _now(machine)
    yield "  Its life:"
    yield from _life(entries)
    born = any(entry["kind"] == "phase" and "→" not in entry["text"] for entry in entries)
    if journal and not born:
        yield f"    (what was before {moment(journal[-1]['at'], day=True)} UTC was not looked at)"
    own = [concern for concern in status["concerns"] if concern["subject"] == name]
    if own:
        yield "  To do:"
    for concern in own:
        yield f"    - {concern['text']}"
        if concern["command"]:
            yield f"        {concern['command']}"


def _now(machine: Object) -> Iterator[str]:
    buy, price = machine["buy"].replace("_", " "), machine["usd_per_hour"]
    yield f"Machine {machine['id']}: {state_of(machine)} for {format_duration(machine['since_s'])}, {machine['reason']}"
    there = (
        f"{machine['provider']}/{machine['provider_id'] or 'not known yet'} on host {machine['host'] or 'not known'}"
    )
    yield f"  {machine['gpu']} in {machine['region']}, {buy}, by placement {machine['placement']}; {there}."
    yield f"  It serves the pool {machine['pool']}."
    yield f"  It costs {price:.3f} USD/h now, and has cost {machine['usd_spent']:.2f} USD."
    busy = "nobody knows how many" if machine["busy"] is None else str(machine["busy"])
    words = [f"{busy} of its {machine['slots']} slots at work"]
    if machine["tier"]:
        words.append(f"set apart for {machine['tier']}")
    if machine["primary"]:
        words.append("its pool's primary, which is stopped last")
    if machine["adopted"]:
        words.append("adopted")
    yield f"  {'; '.join([*words, *odd_about(machine)])}."


def _life(entries: Sequence[Object]) -> Iterator[str]:
    """What is known of it, oldest first, each phase but the last with how long it lasted."""
    phases = [entry for entry in entries if entry["kind"] == "phase"]
    lasted = {id(phase): following["at"] - phase["at"] for phase, following in pairwise(phases)}
    for entry in entries:
        so_long = f"; {format_duration(lasted[id(entry)])} long" if id(entry) in lasted else ""
        yield f"    {moment(entry['at'], day=True)}  {entry['text']}{so_long}"
    if not entries:
        yield "    the journal does not speak of it"
