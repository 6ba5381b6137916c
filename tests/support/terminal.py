"""A command on a terminal of 80 columns, for a test to sit at."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_COLUMNS, _ROWS = 80, 50
_PATIENCE_S = 20.0
_PROGRAM = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal of this session, so that Ctrl-C typed there arrives
from autoscaler.cli import main
main()
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What a command writes to its terminal, and the keys that are typed there."""

    def __init__(self, process: subprocess.Popen[bytes], end: int) -> None:
        self._process = process
        self._end = end
        self.text = ""
        """All that was written so far, without colours."""
        self._read_up_to = 0

    def until(self, words: str) -> None:
        """Read on until these words come."""
        while words not in self.text[self._read_up_to :]:
            assert self._read(), f"{words!r} never came: {self.text}"
        self._read_up_to = self.text.index(words, self._read_up_to) + len(words)

    def answer(self, question: str, keys: str = "") -> None:
        """Type an answer, and Enter, when a question comes."""
        self.until(question)
        self.type(keys + "\n")

    def type(self, keys: str) -> None:
        """Type."""
        os.write(self._end, keys.encode())

    def ended(self) -> int:
        """Read to the end; gives the exit code."""
        while self._read():
            pass
        return self._process.wait()

    def interrupted(self) -> int:
        """Type Ctrl-C, and once more if need be, for Python misses one that comes just before it waits for keys."""
        for _ in range(5):
            self.type("\x03")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=2.0)
                break
        return self.ended()

    def _read(self) -> bool:
        ready, _, _ = select.select([self._end], [], [], _PATIENCE_S)
        assert ready, f"nothing more came: {self.text}"
        try:
            more = os.read(self._end, 4096)
        except OSError:  # what Linux says at the end
            return False
        self.text = _ESCAPES.sub("", self.text + more.decode(errors="replace")).replace("\r\n", "\n")
        return bool(more)

    @property
    def widest(self) -> int:
        """Columns of the longest line."""
        return max(len(line) for line in self.text.splitlines())


@contextmanager
def on_terminal(*arguments: str) -> Iterator[Terminal]:
    """`autoscaler` with these arguments; it is killed if it has not ended by itself."""
    end, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    command = [sys.executable, "-c", _PROGRAM, *arguments]
    environment = {**os.environ, "TERM": "xterm"} | {"COLUMNS": str(_COLUMNS), "LINES": str(_ROWS)}
    process = subprocess.Popen(
        command, stdin=other, stdout=other, stderr=other, env=environment, start_new_session=True
    )
    os.close(other)
    try:
        yield Terminal(process, end)
    finally:
        process.kill()
        process.wait()
        os.close(end)
