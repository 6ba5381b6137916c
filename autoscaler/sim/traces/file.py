"""Files of comma separated values: UTF-8, compressed by gzip or not, of any length."""

from __future__ import annotations

import csv
import gzip
import io
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from autoscaler.core.errors import SettingsError

_GZIP = b"\x1f\x8b"
_LONGEST_LINE = 1 << 20
"""Characters. A longer line is no line of a trace; it is read in pieces, so that no file fills the memory."""

Watch = Callable[[BinaryIO], BinaryIO]
"""Wraps the file as it is on disk, to follow how much of it is read."""


class Rows(Protocol):
    """The rows of a file, each a list of fields; a blank line is an empty list."""

    @property
    def line_num(self) -> int:
        """The number of the line that the last row ended with; the first is 1."""
        ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


def unwatched(file: BinaryIO) -> BinaryIO:
    """The file itself."""
    return file


def size_of(path: Path) -> int:
    """The size of a file in bytes.

    Raises:
        SettingsError: it is not there, or is not a file: a pipe could not be read twice.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise SettingsError(f"{path}: cannot be read: {'a directory' if path.is_dir() else 'not a regular file'}")
    return found.st_size


@contextmanager
def open_rows(path: Path, watch: Watch = unwatched) -> Iterator[Rows]:
    """The rows of a file while it is open. Whether it is compressed is told by its content, not by its name.

    Raises:
        SettingsError: it cannot be read, or ends early, or is not text in UTF-8, or its quotes do not match.
    """
    rows: Rows | None = None
    try:
        with path.open("rb") as raw:
            compressed = raw.peek(len(_GZIP)).startswith(_GZIP)
            watched = watch(raw)
            binary = cast("BinaryIO", gzip.GzipFile(fileobj=watched)) if compressed else watched
            with io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
                rows = csv.reader(iter(partial(text.readline, _LONGEST_LINE), ""), strict=True)
                yield rows
    except EOFError as error:
        raise SettingsError(f"{path}: the compressed file is cut short{_after(rows)}") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise SettingsError(f"{path}: the compressed file is damaged{_after(rows)}") from error
    except UnicodeDecodeError as error:
        line = (rows.line_num if rows else 0) + error.object[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}: line {line}: not text in UTF-8") from error
    except csv.Error as error:
        raise SettingsError(f"{path}: line {rows.line_num if rows else 1}: {error}") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _after(rows: Rows | None) -> str:
    return f" after line {rows.line_num}" if rows and rows.line_num else ""


def _unreadable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{path}: cannot be read: {error.strerror or error}")
