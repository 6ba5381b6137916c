"""Where the commands of the simulator write: the screen, and a directory of files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from autoscaler.core.errors import SettingsError

_PIPE_COLUMNS = 200
"""How wide figures may be where there is no terminal."""

out_option = click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Write everything, and a page of charts, there."
)


def screen() -> Console:
    """Where figures are printed: a terminal as wide as it is, a pipe as wide as needed.

    Names come from vendors, queues and files: `[bold]` and `:smile:` in them are no more than that.
    """
    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    return Console(highlight=False, markup=False, emoji=False, width=width)


def require_writable(directory: Path) -> None:
    """Find out before the work, not after it.

    Raises:
        SettingsError: the directory cannot be made or written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--out: {directory} cannot be made: {error.strerror or error}") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise SettingsError(f"--out: {directory} cannot be written: expected a directory that you may write")


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Say of what goes wrong meanwhile that the directory cannot be written.

    Raises:
        SettingsError: it cannot.
    """
    try:
        yield
    except OSError as error:
        raise SettingsError(f"--out: {directory} cannot be written: {error.strerror or error}") from error
