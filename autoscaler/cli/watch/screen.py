"""A watch drawn in lines, as many and as wide as the terminal has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

from rich.console import Group, RenderableType
from rich.text import Text

from autoscaler.cli.view.fleet import concern_line, concern_lines, header, money_lines, order_lines
from autoscaler.cli.view.machines import machine_table
from autoscaler.cli.view.pool import pool_in_short, pool_lines
from autoscaler.cli.view.words import Object, entry_line, line, moment, sparkline
from autoscaler.cli.watch.keys import KEYS
from autoscaler.cli.watch.state import Page, Watch
from autoscaler.cli.why_machine import tell_machine
from autoscaler.cli.why_pool import tell_pool

_FEWEST_MACHINES = 6
"""Lines that pools leave to machines; they are told in short, or not all, for that."""
_LEAST_OF_POOL = 3
"""Lines of the smallest pool that is told in full."""
_LEAST = 3
"""Lines that are left for machines on the smallest terminal."""
_ORDERS = 2
_PAST = 20
"""Earlier decisions that are told."""
_SPARK_CELLS = 60
_LABEL = re.compile(r" *\S.{0,17}?  +(?=\S)| {10,}")
"""What stands left of a text that has more than one line: a word, a time, or the room for one."""


def draw(watch: Watch, width: int, height: int) -> RenderableType:
    """The whole screen."""
    room = height - 2
    top = _top(watch, width)
    if watch.status is None:
        body: list[RenderableType] = []
    elif watch.page is Page.FLEET:
        body = _fleet(watch, watch.status, width, room)
    elif watch.page is Page.CONCERNS:
        body = _concerns(watch, width, room)
    else:
        body = _text(watch, watch.status, width, room)
    height_of_body = sum(part.row_count + 1 if hasattr(part, "row_count") else 1 for part in body)
    return Group(top, *body, *[Text()] * (room - height_of_body), _bottom(watch))


def _top(watch: Watch, width: int) -> Text:
    if watch.away:
        old = f"OLD, of {moment(watch.status['clock'])} UTC: " if watch.status else "nothing to show yet: "
        return line(f" {old}{watch.away} ".ljust(width), "reverse")
    if watch.status is None:
        return line("asking the daemon", "dim")
    top = header(watch.status)
    return line("FROZEN  ", "reverse").append_text(top) if watch.frozen else top


def _bottom(watch: Watch) -> Text:
    if watch.typing:
        return line(f"/{watch.filter}", "bold").append("█").append("  Enter keeps it, Esc drops it", "dim")
    text = line()
    for key in KEYS:
        if key.hint:
            text.append(key.shown.partition(" ")[0], "reverse").append(f" {key.hint} ")
    return text


# --- the first page ---------------------------------------------------------------------------------------------------


def _fleet(watch: Watch, status: Object, width: int, room: int) -> list[RenderableType]:
    lines: list[RenderableType] = [*concern_lines(watch.concerns, width, max(2, room // 7))]
    lines += [*money_lines(status), *_sparks(watch), *list(order_lines(status))[:_ORDERS]]
    lines += _pools(watch.pools, width, room - len(lines) - _FEWEST_MACHINES)
    del lines[room - _LEAST :]
    machines = watch.machines
    lines.append(_about(watch, len(machines), status))
    place = watch.place[Page.FLEET]
    shown = place.rows(len(machines), max(1, room - len(lines) - 1))
    if machines:
        lines.append(
            machine_table(
                [machines[row] for row in shown],
                width,
                several=len(watch.pools) > 1,
                selected=place.at - shown.start,
                sorted_by=watch.order,
            )
        )
    left = room - len(lines) - len(shown) - 1
    return [*lines, *([Text(), *map(entry_line, reversed(watch.journal[:left]))] if left > 0 else [])]


def _sparks(watch: Watch) -> list[Text]:
    """Depth and machines over the looks made so far."""
    depths, machines = [depth for depth, _ in watch.looks], [up for _, up in watch.looks]
    if len(watch.looks) < 2:
        return []
    rows = []
    for name, values in (("waiting", depths), ("machines", machines)):
        now = "?" if values[-1] is None else f"{values[-1]:g}"
        most = max((value for value in values if value is not None), default=0.0)
        text = line(f"  {name:<10} ").append(sparkline(values, _SPARK_CELLS), "cyan")
        rows.append(text.append(f" {now}, at most {most:g}"))
    return rows


def _pools(pools: Sequence[Object], width: int, room: int) -> list[RenderableType]:
    """Every pool in full; in short where there is no room for that; those that fit where there is none even for it."""
    several = len(pools) > 1
    if not several or _LEAST_OF_POOL * len(pools) <= room:
        full: list[RenderableType] = [each for pool in pools for each in pool_lines(pool, width, with_money=several)]
        if not several or len(full) <= room:
            return full[: max(room, 1)]
    if len(pools) <= room:
        return [pool_in_short(pool) for pool in pools]
    shown = max(1, room - 1)
    return [*map(pool_in_short, pools[:shown]), line(f"… and {len(pools) - shown} more pools", "dim")]


def _about(watch: Watch, shown: int, status: Object) -> Text:
    """Which machines are shown, and in which order."""
    there = len(status["instances"])
    if not there:
        return line(
            "No machines: all is COLD." if status["leads"] else "It leads no pool, so it knows no machine.", "bold"
        )
    text = line(f"{there} machines" if shown == there else f"{shown} of {there} machines", "bold")
    if watch.pool:
        text.append(f"  of pool {watch.pool}")
    if watch.filter:
        text.append(f"  with “{watch.filter}”")
    return text.append(f"  sorted by {watch.order}", "dim")


# --- the other pages --------------------------------------------------------------------------------------------------


def _concerns(watch: Watch, width: int, room: int) -> list[RenderableType]:
    concerns, place = watch.concerns, watch.place[Page.CONCERNS]
    title = "What needs a person; Enter notes a command, to be printed at the end" if concerns else "Nothing needs you."
    lines: list[RenderableType] = [line(title, "bold")]
    for row in place.rows(len(concerns), room - 1):
        noted = concerns[row]["command"] in watch.noted
        text = line("✓ " if noted else "  ").append_text(concern_line(concerns[row], width - 2))
        if row == place.at:
            text.stylize("reverse")
        lines.append(text)
    return lines


def _text(watch: Watch, status: Object, width: int, room: int) -> list[RenderableType]:
    """A page that is read: folded to the width, and scrolled."""
    lines = [folded for text in _told(watch, status) for folded in _folded(text, width)]
    shown = watch.place[watch.page].lines(len(lines), room)
    return [line(lines[number], "" if lines[number].startswith(" ") else "bold") for number in shown]


def _told(watch: Watch, status: Object) -> list[str]:
    match watch.page:
        case Page.HELP:
            return ["Keys", *(f"  {key.shown:<10}  {key.does}" for key in KEYS)]
        case Page.JOURNAL:
            entries = [entry for entry in watch.journal if watch.pool in ("", entry["pool"])]
            return ["Journal", *(f"  {moment(entry['at'])}  {entry['text']}" for entry in entries)]
        case Page.WHY:
            told = (tell_pool(status, pool, watch.journal, count=_PAST) for pool in watch.pools)
            return [text for pool in told for text in pool] or ["Nothing was decided here."]
        case _:
            return _machine(watch, status)


def _machine(watch: Watch, status: Object) -> list[str]:
    machine = watch.machine
    if machine is None:
        return ["There is no machine."]
    return [*tell_machine(status, machine["id"], machine, watch.journal)]


def _folded(text: str, width: int) -> list[str]:
    """A line in lines that fit; what continues stands below its beginning, or right of its label."""
    label = _LABEL.match(text)
    indent = label.end() if label else len(text) - len(text.lstrip()) + 2
    return wrap(text, width, subsequent_indent=" " * min(indent, width // 2)) or [""]
