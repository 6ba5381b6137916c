"""A fleet in lines of text: its concerns, its queues, its machines, its money, and why.

What colour says, a word or a sign says too, and no line is wider than the terminal. Only the terminal's own colours are
used, never its black or white, so that it can be read on any background.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from autoscaler.cli.view.fleet import concern_lines, header, order_lines
from autoscaler.cli.view.machines import machine_table
from autoscaler.cli.view.pool import pool_lines
from autoscaler.cli.view.words import Object, entry_line, line

_JOURNAL_LINES = 6


def render(status: Object, journal: Sequence[Object] = (), *, width: int) -> RenderableType:
    """The status of a fleet (`/api/v1/status`) and its newest journal entries, `width` columns wide."""
    several = len(status["pools"]) > 1
    lines: list[RenderableType] = [header(status), *concern_lines(status["concerns"], width), *order_lines(status)]
    for pool in status["pools"]:
        lines += [Text(), *pool_lines(pool, width, with_money=several)]
    lines.append(Text())
    if status["instances"]:
        lines.append(machine_table(status["instances"], width, several=several))
    elif status["leads"]:
        lines.append(line("No machines: all is COLD.", "dim"))
    if journal:
        lines += [Text(), *(entry_line(entry) for entry in reversed(journal[:_JOURNAL_LINES]))]
    return Group(*lines)
