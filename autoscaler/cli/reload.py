"""``autoscaler reload``: let a running daemon take its changed file."""

from __future__ import annotations

import asyncio
import getpass
from pathlib import Path

import click
from rich.text import Text

from autoscaler.cli.endpoint import ask_reload, url_option
from autoscaler.cli.options import config_of
from autoscaler.cli.output import screen
from autoscaler.core.errors import SettingsError

_STYLES = {": added: ": "green", ": removed": "red"}


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@url_option
@click.option(
    "--token",
    envvar="AUTOSCALER_TOKEN",
    help="The daemon's `http.token`; that of FILE when not given.  [env: AUTOSCALER_TOKEN]",
)
@click.option("--dry-run", is_flag=True, help="Only show it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--by", default=getpass.getuser, help="Who reloads it.  [default: your user name]")
@click.option("--why", default="", help="For the journal.")
def reload(file: Path | None, *, url: str, token: str | None, dry_run: bool, yes: bool, by: str, why: str) -> None:
    """Show what a changed file would change, and take it.

    The daemon reads the file that it was started with. FILE, the same one, serves to look for mistakes before it is
    asked, and to find the token.

    \b
      autoscaler reload fleet.yaml                                   look, answer y
      autoscaler reload fleet.yaml --yes --why "more for Friday"     without a question
    """  # noqa: D301 - a real backspace is click's mark of lines that are not to be joined
    token = token or _token_of(file)
    found = asyncio.run(ask_reload(url, token, {"by": by}))
    if not found["diff"]:
        click.echo("Nothing changes: the daemon's file says what is in force already.")
        return
    shown = screen()
    for line in found["diff"]:
        shown.print(Text(line, style=next((style for mark, style in _STYLES.items() if mark in line), "yellow")))
    if dry_run:
        return
    if not yes and not click.confirm("Let this take effect?"):
        click.echo("Nothing has changed.")
        return
    asyncio.run(ask_reload(url, token, {"by": by, "why": why, "digest": found["digest"]}))
    click.echo("In force: the next tick decides with it.")


def _token_of(file: Path | None) -> str:
    """The token in a file.

    Raises:
        SettingsError: there is none, or the file has problems.
    """
    token = None if file is None else config_of(file).http.token
    if token is None:
        raise SettingsError("--token: missing; give the daemon's http.token, or the FILE that it stands in")
    return token.reveal()
