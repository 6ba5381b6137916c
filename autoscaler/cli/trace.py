"""``autoscaler trace``: what its commands have in common, and where they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from autoscaler.cli import CommandGroup
from autoscaler.sim.traces.formats import FORMATS

if TYPE_CHECKING:
    from autoscaler.sim.traces import Trace
    from autoscaler.sim.traces.file import Watch


class _TraceGroup(CommandGroup):
    table = MappingProxyType(
        {
            "info": "autoscaler.cli.trace_info:info",
            "convert": "autoscaler.cli.trace_convert:convert",
            "record": "autoscaler.cli.trace_record:record",
        }
    )


@click.group(cls=_TraceGroup)
def trace() -> None:
    """Look at traces of jobs; make plain ones of public ones."""


format_option = click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    help="The format; without it, the first line tells.",
)
tier_option = click.option("--tier-column", metavar="NAME", help="The column that names the tier, if it is not `tier`.")


@contextmanager
def progress_of(trace: Trace) -> Iterator[Watch]:
    """A bar on a terminal that shows how much of a trace's file is read."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        yield partial(bar.wrap_file, total=trace.size, description=trace.path.name)
