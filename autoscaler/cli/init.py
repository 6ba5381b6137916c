"""``autoscaler init``: a configuration for the queues that are in a Redis."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoscaler.core.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autoscaler.discover import Discovery, Looked, Recognised
    from autoscaler.write_config import Fleet

_MAX_SHOWN = 4


@click.command()
@click.option(
    "--redis",
    "url",
    metavar="URL",
    envvar="REDIS_URL",
    default="redis://localhost:6379",
    show_default=True,
    help="Where to look; better by the variable REDIS_URL where it has a password.",
)
@click.option("--yes", is_flag=True, help="Ask nothing: all queues that are found, and the mock provider.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("fleet.yaml"), show_default=True
)
@click.option("--force", is_flag=True, help="Overwrite the output where it exists.")
def init(url: str, yes: bool, output: Path, force: bool) -> None:
    """Write a configuration for the job queues found in a Redis.

    It looks at up to 500,000 keys, once, by SCAN, and changes nothing. Then it asks which queues to serve, in which
    order, and on which machines; Ctrl-C ends it and writes nothing. A password in the URL is not written into the file.
    """
    from autoscaler.cli.init_questions import ask
    from autoscaler.write_config import Fleet, as_yaml, first_draft, redis_reference, save

    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise SettingsError("there is no terminal to ask on; expected --yes, which asks nothing")
    if output.exists() and not force:
        raise SettingsError(f"--output: {output} exists; name another file, or overwrite it with --force")
    if not os.access(output.parent, os.W_OK | os.X_OK):
        raise SettingsError(f"--output: {output} cannot be written; expected a directory that you may write")
    found = asyncio.run(_look(url))
    _show(found, url)
    try:
        first = Fleet(redis=redis_reference(url), pools=tuple(map(first_draft, found.queues)))
        fleet = first if yes else ask(first)
    except click.Abort:
        click.echo("\nNothing was written.", err=True)
        sys.exit(130)
    try:
        save(as_yaml(fleet), output)
    except OSError as error:
        raise SettingsError(f"--output: {output} cannot be written: {error.strerror or error}") from error
    _say_what_next(fleet, output)


async def _look(url: str) -> Discovery:
    from autoscaler.cli.progress import progress_bar
    from autoscaler.core.errors import StoreUnavailable
    from autoscaler.discover import MAX_KEYS, discover
    from autoscaler.link import RedisLink, RedisSettings
    from autoscaler.runtime.clock import SystemClock

    settings = RedisSettings(url=url)
    try:
        shown = str(settings)
    except ValueError as error:
        raise SettingsError(f"--redis: {error}") from error
    link = RedisLink(settings)
    try:
        with progress_bar("looking at keys", 1.0) as done:
            found = await discover(link, SystemClock(), lambda seen, of: done(seen / max(1, min(of, MAX_KEYS))))
    except StoreUnavailable as error:
        raise SettingsError(f"--redis {shown}: {error}") from error
    finally:
        await link.close()
    if not found.queues:
        unseen = "".join(f". {line}" for line in _unseen(found.looked))
        raise SettingsError(
            f"--redis {shown}: no queue was recognised among {found.looked.seen} keys{unseen}; is this the right Redis "
            "and the right database (URL/1)? A queue that is empty may have no key at all: put a job into it"
        )
    return found


# --- what was found ---------------------------------------------------------------------------------------------------


def _show(found: Discovery, url: str) -> None:
    from rich.text import Text

    from autoscaler.cli.output import screen
    from autoscaler.link import RedisSettings

    console, count = screen(), len(found.queues)
    queues = "1 queue" if count == 1 else f"{count} queues"
    console.print(Text(f"{queues} among {found.looked.seen} keys of {RedisSettings(url=url)}:"))
    for number, each in enumerate(found.queues, 1):
        console.print()
        console.print(_queue(number, each))
    console.print()
    for line in _left_out(found):
        console.print(Text(line, "dim"))


def _queue(number: int, each: Recognised) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    from autoscaler.cli.queue_view import queue_view
    from autoscaler.queues import LIBRARIES

    title = Text.assemble((f"{number}  {each.name}", "bold"), f"  {LIBRARIES[each.kind].title}")
    notes = [Padding(Text(f"? {note}", "cyan"), (0, 0, 0, 2), expand=False) for note in each.found.notes]
    return Group(title, queue_view(each.demand), *notes)


def _unseen(looked: Looked) -> Iterator[str]:
    if not looked.complete:
        yield f"There are more keys: only {looked.seen} were looked at, so queues may be missing here"
    if looked.refused:
        yield f"This user may not read {looked.refused} keys, so queues may be missing here"


def _left_out(found: Discovery) -> Iterator[str]:
    yield from (f"{line}." for line in _unseen(found.looked))
    for kind, keys in found.left_out.items():
        more = f" and {len(keys) - _MAX_SHOWN} more" if len(keys) > _MAX_SHOWN else ""
        yield f"left out, {kind}: {', '.join(map(_shown, keys[:_MAX_SHOWN]))}{more}"


def _shown(key: str) -> str:
    from autoscaler.config.words import one_line

    return one_line(key)


def _say_what_next(fleet: Fleet, output: Path) -> None:
    click.echo(f"\nWrote {output}.")
    for variable in fleet.variables:
        click.echo(f"  set this first: {variable}")
    click.echo(f"\nNext: autoscaler check {output}")
