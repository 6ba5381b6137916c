"""What is really on the screen of a terminal on which a command runs, after all that it wrote there."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pyte

from tests.support import real_time

_OWNED = "import fcntl, os, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
"""Makes the terminal the process's own, so that Ctrl-C and Ctrl-Z typed there reach it."""
PROGRAM = (sys.executable, "-c", f"{_OWNED}from autoscaler.cli import main; main()")
SHELL = (sys.executable, "-c", f"{_OWNED}os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])")


class Screen:
    """A terminal of so many columns and rows, and the process on it."""

    def __init__(self, command: tuple[str, ...], columns: int, rows: int, environment: Mapping[str, str]) -> None:
        self._end, self._other = pty.openpty()
        termios.tcsetwinsize(self._other, (rows, columns))
        self.settings = termios.tcgetattr(self._other)
        """As they were before anything ran."""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        """All that was written so far."""
        given = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            stdin=self._other,
            stdout=self._other,
            stderr=self._other,
            env={**given, "TERM": "xterm", **environment},
            start_new_session=True,
        )

    @property
    def lines(self) -> list[str]:
        """The screen now."""
        while select.select([self._end], [], [], 0.01)[0]:
            written = os.read(self._end, 65536)
            self.written += written
            self._stream.feed(written)
        return [each.rstrip() for each in self._screen.display]

    @property
    def text(self) -> str:
        """The screen now, in one piece."""
        return "\n".join(self.lines)

    def until(self, shown: str | Callable[[str], object]) -> str:
        """Wait until these words are there, or a condition on the text holds; gives the text."""
        holds = (lambda text: shown in text) if isinstance(shown, str) else shown
        last = ""

        def is_so() -> object:
            nonlocal last
            last = self.text
            return holds(last)

        try:
            real_time.until(is_so, f"the screen showed {shown!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows\n{last}") from error
        return last

    def type(self, keys: str) -> None:
        """Type."""
        os.write(self._end, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._screen.resize(rows, columns)
        termios.tcsetwinsize(self._end, (rows, columns))
        os.kill(self.process.pid, signal.SIGWINCH)

    def ended(self) -> int:
        """Wait for the end; gives the exit code."""
        real_time.until(lambda: (self.text, self.process.poll() is not None)[1], "the command ended")
        return self.process.wait()

    @property
    def is_as_before(self) -> bool:
        """Whether lines are edited again, the cursor is seen, and the other screen is left."""
        last = {mode: self.written.rfind(f"\x1b[?{mode}".encode()) for mode in ("1049h", "1049l", "25h", "25l")}
        modes = last["1049l"] > last["1049h"] and last["25h"] > last["25l"]
        return modes and termios.tcgetattr(self._other) == self.settings

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self._other)
        os.close(self._end)
        self._end = self._other = -1

    def close(self) -> None:
        """End what still runs."""
        self.process.kill()
        self.process.wait()
        if self._end >= 0:
            os.close(self._other)
            os.close(self._end)


@contextmanager
def on_screen(
    *arguments: str, columns: int = 100, rows: int = 30, command: tuple[str, ...] = PROGRAM, **environment: str
) -> Iterator[Screen]:
    """`autoscaler` with these arguments, or another command."""
    screen = Screen((*command, *arguments), columns, rows, environment)
    try:
        yield screen
    finally:
        screen.close()
