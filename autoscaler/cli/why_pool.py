"""A pool in sentences: what it wants and why, since when, what came of it, what it costs, and what is left to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import groupby

from autoscaler.cli.view.pool import tier_state
from autoscaler.cli.view.words import Object, moment, order_text
from autoscaler.cli.why_not import ACTIONS, why_not
from autoscaler.core.units import format_duration

_MOST_DONE = 10
_NOT = {"rent": "rented", "resume": "resumed", "stop": "stopped", "release": "released"}
_DEEDS = frozenset({"outcome", "phase", "alarm", "loss", "operator"})
"""Kinds of entries that tell what was done, and what came of it."""


def tell_pool(status: Object, pool: Object, journal: Sequence[Object], *, count: int) -> Iterator[str]:
    """Lines about a pool, headings without an indent.

    Args:
        status: The whole fleet's.
        pool: One of its pools.
        journal: Entries of all pools, newest first.
        count: How many earlier decisions are told.
    """
    entries = [entry for entry in journal if entry["pool"] == pool["name"]]
    courses = _courses(entries)
    current = courses[0] if courses and _wants(courses[0][0]) == _wants(pool["decision"]) else None
    yield f"Pool {pool['name']}: {_standing(pool)}"
    yield from _wanted(pool, current, status["clock"])
    yield f"  {_queue(pool['demand'])}"
    yield from _done(pool, entries, current[-1]["at"] if current else status["clock"])
    yield "  Why nothing else is done:"
    for action in ACTIONS:
        yield from _listed(f"not {_NOT[action]}", why_not(action, pool))
    yield f"  {_cost(pool)}"
    yield from _in_the_way(status, pool)
    yield from _to_do(status["concerns"], pool["name"])
    earlier = courses[1:] if current else courses
    if earlier[:count]:
        yield "  Before that:"
    for course in earlier[:count]:
        yield from _past(course)


def _standing(pool: Object) -> str:
    decision, warm = pool["decision"], pool["phases"]["warm"]
    missing = decision["hot"] - pool["up"]
    held = f"{missing} missing" if missing > 0 else f"{-missing} too many" if missing < 0 else "as it should be"
    return (
        f"{decision['hot']} HOT wanted, {pool['up']} up or on their way, {held}; "
        f"{warm} WARM, at most {decision['warm']} kept."
    )


# --- decisions --------------------------------------------------------------------------------------------------------


def _wants(decision: Object) -> tuple[int, int]:
    return decision["hot"], decision["warm"]


def _courses(entries: Sequence[Object]) -> list[list[Object]]:
    """Decisions, newest first; those that follow on each other and want the same are one course."""
    decisions = [entry for entry in entries if entry["kind"] == "decision"]
    return [list(course) for _, course in groupby(decisions, key=_wants)]


def _wanted(pool: Object, course: Sequence[Object] | None, now: float) -> Iterator[str]:
    if course is None:
        yield "  For longer than was looked back, because"
    else:
        at = course[-1]["at"]
        yield f"  Since {moment(at, day=True)} UTC, for {format_duration(max(0.0, now - at))}, because"
    for text in [reason["text"] for reason in pool["decision"]["why"]] or ["nothing asks for a change"]:
        yield f"    - {text}"


def _past(course: Sequence[Object]) -> Iterator[str]:
    first = course[-1]
    yield f"    {moment(first['at'], day=True)}  {first['hot']} HOT, at most {first['warm']} WARM, because"
    for text in [reason["text"] for reason in first["why"]] or ["nothing asked for a change"]:
        yield f"      - {text}"


def _done(pool: Object, entries: Sequence[Object], since: float) -> Iterator[str]:
    """What is being done now, and what was done under this decision, the newest first."""
    deeds = [entry for entry in entries if entry["at"] >= since and entry["kind"] in _DEEDS]
    if not pool["commands"] and not deeds:
        yield "  Nothing had to be done about it."
        return
    yield "  What is done about it, and what came of it, the newest first:"
    for command in pool["commands"]:
        about = command["instance"] or f"a machine at {command['placement']}"
        yield f"    now             {command['action']} {about}: {command['reason']}"
    for entry in deeds[:_MOST_DONE]:
        yield f"    {moment(entry['at'], day=True)}  {entry['text']}"
    if len(deeds) > _MOST_DONE:
        yield f"    … and {len(deeds) - _MOST_DONE} things before"


def _listed(name: str, texts: Sequence[str]) -> Iterator[str]:
    for number, text in enumerate(texts):
        yield f"    {name if number == 0 else '':<14}{text}"


# --- queue, money and what is left to do ------------------------------------------------------------------------------


def _queue(demand: Object) -> str:
    if demand["unknown"]:
        return f"The queue cannot be read ({demand['unknown']}): nothing is stopped for that."
    words = f"{demand['waiting']} waiting"
    if demand["in_flight"] is not None:
        words += f", {demand['in_flight']} in flight"
    late = [_late(tier) for tier in demand["tiers"] if tier_state(tier)[0] == "late"]
    return f"{words}; {'; '.join(late) if late else 'no tier is late'}."


def _late(tier: Object) -> str:
    waits = f"{tier['tier']} is late: its oldest job has waited for {format_duration(tier['oldest_wait_s'])}"
    return f"{waits}, the target is {format_duration(tier['wait_target_s'])}"


def _cost(pool: Object) -> str:
    limits = pool["limits"]
    cap = f"of {limits['usd_per_day_stop']:g} allowed, with a warning at {limits['usd_per_day_warn']:g}"
    words = f"It costs {pool['usd_per_hour']:.2f} USD/h now; today {pool['usd_today']:.2f} USD {cap}"
    forecast = pool["usd_month_forecast"]
    return f"{words}; the month {forecast:.0f} USD at this pace." if forecast is not None else f"{words}."


def _in_the_way(status: Object, pool: Object) -> Iterator[str]:
    """Orders, money and doubt."""
    machines = {each["id"] for each in status["instances"] if each["pool"] == pool["name"]}
    orders = [f"an order: {order_text(each)}" for each in status["orders"] if _is_about(each, pool["name"], machines)]
    rules = [reason for part in ("why", "why_not") for reason in pool["decision"][part]]
    held = [f"{reason['text']}  [{reason['rule']}]" for reason in rules if reason["rule"].startswith("budget.")]
    held += [f"{each['name']} cannot be listed: {each['unknown']}" for each in status["providers"] if each["unknown"]]
    held += [f"a warning about the queue: {code}: {advice}" for code, advice in pool["demand"]["advice"].items()]
    if status["error"]:
        held.append(f"the newest tick failed: {status['error']}")
    if not orders and not held:
        yield "  Nothing stands in its way: no order, no cap, no doubt."
        return
    yield "  What stands in its way:"
    for text in [*orders, *held]:
        yield f"    - {text}"


def _is_about(order: Object, pool: str, machines: Set[str]) -> bool:
    """Whether an order touches a pool."""
    match order["kind"]:
        case "pause" | "floor" | "ceiling":
            return order["subject"] in ("", pool)
        case "adopt":
            return bool(order["pool"] == pool)
        case "evacuate":
            return True
        case _:
            return order["subject"] in machines


def _to_do(concerns: Sequence[Object], pool: str) -> Iterator[str]:
    """What a person can do."""
    own = [concern for concern in concerns if concern["pool"] in ("", pool)]
    if not own:
        yield "  To do: nothing, it needs nobody."
        return
    yield "  To do:"
    for concern in own:
        yield f"    - {concern['text']}"
        if concern["command"]:
            yield f"        {concern['command']}"
