"""The terminal itself: keys come in one by one, lines that changed go out, and it is left as it was found.

Keys are read by the event loop, so no thread is needed. Ctrl-C, Ctrl-Z and what the shell does after them work as in
any program: before the process stops the terminal is given back, and it is taken again when it goes on.
"""

from __future__ import annotations

import asyncio
import codecs
import io
import os
import re
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, cast

from rich.console import Console, RenderableType

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The other screen, without a cursor, and nothing is wrapped."""
_LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_CLEAR = "\x1b[2J"
_SMALLEST = (20, 8)
_NAMES = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "pageup",
    "\x1b[6~": "pagedown",
    **dict.fromkeys(("\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~"), "home"),
    **dict.fromkeys(("\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"), "end"),
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x1b": "escape",
}
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.)")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|O)?")
_ESCAPE_S = 0.1
"""An escape character after which nothing comes for so long is the key of that name."""

Colours = Literal["auto", "standard", "256", "truecolor", "windows"]


class Decoder:
    """Makes names of keys out of what a terminal sends, however it is cut into pieces."""

    def __init__(self) -> None:
        self._text = codecs.getincrementaldecoder("utf-8")(errors="ignore")
        self._rest = ""

    @property
    def waits(self) -> bool:
        """What came last may be the beginning of something."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete by now."""
        text, keys = self._rest + self._text.decode(data), []
        while text and not _UNFINISHED.fullmatch(text):
            found = _SEQUENCE.match(text)
            word = found[0] if found else text[0]
            text = text[len(word) :]
            name = _NAMES.get(word, word)
            if name in _NAMES.values() or name.isprintable():
                keys.append(name)
        self._rest = text
        return keys

    def flush(self) -> list[str]:
        """The key that what is left over is, if nothing more comes."""
        rest, self._rest = self._rest, ""
        return ["escape"] if rest == "\x1b" else []


class Terminal:
    """A terminal that is ours while `taken` runs."""

    def __init__(self, pressed: Callable[[str], None], resized: Callable[[], None], gone: Callable[[], None]) -> None:
        """With what is called for each key, when all has to be drawn again, and when the terminal is there no more."""
        self._pressed, self._resized, self._gone = pressed, resized, gone
        self._console = Console()
        self._out = sys.stdout.fileno()
        self._in = sys.stdin.fileno() if sys.stdin.isatty() else None
        self._before = termios.tcgetattr(self._in) if self._in is not None else None
        self._decoder = Decoder()
        self._painted: list[str] = []

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        try:
            columns, lines = os.get_terminal_size(self._out)
        except OSError:
            columns, lines = 80, 24
        return max(columns, _SMALLEST[0]), max(lines, _SMALLEST[1])

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Have the terminal for ourselves; it is given back however the block ends."""
        loop = asyncio.get_running_loop()
        handlers = {
            signal.SIGWINCH: self._repaint,
            signal.SIGCONT: self._take,
            signal.SIGTSTP: self._stop,
        }
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        if self._in is not None:
            loop.add_reader(self._in, self._read, self._in)
        try:
            self._take()
            yield
        finally:
            if self._in is not None:
                loop.remove_reader(self._in)
            for number in handlers:
                loop.remove_signal_handler(number)
            self._give_back()

    def paint(self, picture: RenderableType) -> None:
        """Write the lines that are others than before. A terminal that takes nothing more is gone."""
        lines = self._drawn(picture)
        if len(lines) != len(self._painted):
            self._painted = []
        clear = "" if self._painted else _CLEAR
        old = self._painted or [""] * len(lines)
        changed = [(row, new) for row, (new, was) in enumerate(zip(lines, old, strict=True), start=1) if new != was]
        self._painted = lines
        self._write(clear + "".join(f"\x1b[{row};1H{new}\x1b[0m\x1b[K" for row, new in changed))

    def _drawn(self, picture: RenderableType) -> list[str]:
        """As many lines as there is room for, with the colours that the terminal has."""
        width, height = self.size
        colours = cast("Colours | None", self._console.color_system)
        page = Console(
            file=io.StringIO(), force_terminal=True, color_system=colours, width=width, height=height, highlight=False
        )
        page.print(picture)
        lines = cast("io.StringIO", page.file).getvalue().split("\n")[:height]
        return [*lines, *[""] * (height - len(lines))]

    def _write(self, text: str) -> None:
        """Write, with a question mark for what the terminal's encoding has not."""
        try:
            sys.stdout.buffer.write(text.encode(sys.stdout.encoding, "replace"))
            sys.stdout.buffer.flush()
        except OSError:
            self._gone()

    # --- keys ---------------------------------------------------------------------------------------------------------

    def _read(self, keyboard: int) -> None:
        try:
            data = os.read(keyboard, 1024)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(keyboard)
            self._gone()
            return
        for key in self._decoder.feed(data):
            self._pressed(key)
        if self._decoder.waits:
            asyncio.get_running_loop().call_later(_ESCAPE_S, self._flush)

    def _flush(self) -> None:
        for key in self._decoder.flush():
            self._pressed(key)

    # --- taking it, and giving it back --------------------------------------------------------------------------------

    def _take(self) -> None:
        try:
            if self._in is not None:
                tty.setcbreak(self._in, termios.TCSADRAIN)
        except termios.error:
            self._gone()
        self._write(_ENTER)
        self._repaint()

    def _give_back(self) -> None:
        with suppress(OSError, termios.error):
            self._write(_LEAVE)
            if self._in is not None and self._before is not None:
                termios.tcsetattr(self._in, termios.TCSADRAIN, self._before)

    def _stop(self) -> None:
        """Ctrl-Z: stop as any process does; SIGCONT takes the terminal again."""
        loop = asyncio.get_running_loop()
        self._give_back()
        loop.remove_signal_handler(signal.SIGTSTP)
        signal.raise_signal(signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._stop)
        self._take()

    def _repaint(self) -> None:
        self._painted = []
        self._resized()
