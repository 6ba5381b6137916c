"""The page of the command line: the help of each command."""

from __future__ import annotations

from collections.abc import Iterator

import click

from autoscaler.cli import main

_WIDTH = 100
_HEAD = """\
# Commands

Each command's own `--help`. Exit codes: 0 done, 1 it did not work out, 2 bad input, 130 ended by Ctrl-C.
"""


def page() -> str:
    """The whole page."""
    text = _HEAD
    for command, context in commands(main, click.Context(main, info_name="autoscaler")):
        text += f"\n## {context.command_path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    return text


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and all below it, each with the context in which it says its help."""
    context.terminal_width, context.max_content_width = _WIDTH, _WIDTH
    with context:  # some make themselves for the terminal that asks
        yield command, context
        if not isinstance(command, click.Group):
            return
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, click.Context(inner, info_name=name, parent=context))
