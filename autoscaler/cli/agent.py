"""``autoscaler agent``: what runs inside a rented machine."""

from __future__ import annotations

import os
import sys

import click


class _Untouched(click.Command):
    """A command whose words are another parser's, also those after ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leave them as they are."""
        ctx.args = args
        return []


@click.command(cls=_Untouched, add_help_option=False)
@click.pass_context
def agent(ctx: click.Context) -> None:
    """Run a worker inside a rented machine: beat for it and drain it."""
    from autoscaler.agent import main

    sys.exit(main(ctx.args, os.environ))
