"""`status --watch` on a real pseudo-terminal: what is on the screen, and that the terminal is left as it was."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.api import FakeDaemon, a_concern, a_machine, a_status
from tests.support.screen import SHELL, on_screen

WATCH = ("status", "--watch", "--interval", "0.1", "--url")


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with FakeDaemon().serving() as daemon:
        yield daemon


def test_help_is_shown_and_keys_do_as_it_says(daemon: FakeDaemon) -> None:
    with on_screen(*WATCH, daemon.url, columns=80, rows=24) as screen:
        screen.until("aaaa*")
        screen.type("?")
        screen.until("ends the watch")
        screen.type("?ss")
        screen.until("sorted by phase")
        screen.type("/bbb\r")
        screen.until("1 of 2 machines  with “bbb”")
        screen.type("q")
        assert screen.ended() == 0


def test_the_screen_follows_the_size_of_the_window_at_once(daemon: FakeDaemon) -> None:
    with on_screen(*WATCH, daemon.url, "--interval", "600", columns=80, rows=24) as screen:
        screen.until("aaaa*")
        for columns, rows in ((80, 24), (200, 60), (60, 15)):
            screen.resize(columns, rows)
            screen.until(lambda _: len(screen.lines) == rows and "quit" in screen.lines[-1])  # noqa: B023
            screen.until("aaaa*")
        screen.resize(200, 60)
        screen.until("ready after 12m of booting")


@pytest.mark.parametrize("how", ["q", "\x03", signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_as_it_was_however_it_ends(daemon: FakeDaemon, how: str | signal.Signals) -> None:
    with on_screen(*WATCH, daemon.url) as screen:
        screen.until("aaaa*")
        assert not screen.is_as_before
        if isinstance(how, str):
            screen.type(how)
        else:
            screen.process.send_signal(how)
        assert (screen.ended(), screen.is_as_before) == (0, True)


SPOILT = a_status(pools=[{"demand": {"waiting": 0}, "up": 0, "name": "x"}])


@pytest.mark.parametrize(
    ("status", "journal"), [(a_status(), {"entries": 5}), (SPOILT, {"entries": []})], ids=["asking", "drawing"]
)
def test_the_terminal_is_as_it_was_after_a_crash(daemon: FakeDaemon, status: object, journal: object) -> None:
    daemon.status, daemon.journal = status, journal
    with on_screen(*WATCH, daemon.url) as screen:
        assert screen.ended() == 1
        assert screen.is_as_before
        assert "Traceback" in screen.written.partition(b"\x1b[?1049l")[2].decode()


def test_a_window_that_is_closed_ends_it(daemon: FakeDaemon) -> None:
    with on_screen(*WATCH, daemon.url) as screen:
        screen.until("aaaa*")
        screen.hang_up()
        assert screen.process.wait(20) in (0, 1)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(daemon: FakeDaemon) -> None:
    with on_screen(command=SHELL, columns=100, rows=30, PS1="ready> ") as screen:
        screen.until("ready>")
        code = "from autoscaler.cli import main; main()"
        screen.type(f"{sys.executable} -c '{code}' {' '.join(WATCH)} {daemon.url}\n")
        screen.until("aaaa*")
        screen.type("\x1a")
        screen.until(lambda text: "ready>" in text.partition("Stopped")[2])
        assert b"\x1b[?1049l" in screen.written.partition(b"Stopped")[0], "the other screen was left before"
        screen.type("stty -a | tr ' ' '\\n' | grep -c -e '^icanon' -e '^echo;*$'\n")
        screen.until(re.compile(r"^2$", re.MULTILINE).search)
        screen.type("fg\n")
        screen.until(lambda text: "aaaa*" in text and "Stopped" not in text)
        screen.type("q")
        screen.until("ready>")


def test_commands_that_were_noted_are_printed_when_the_screen_is_left(daemon: FakeDaemon) -> None:
    daemon.status = a_status(concerns=[a_concern("bbbb is stuck")])
    with on_screen(*WATCH, daemon.url) as screen:
        screen.until("! bbbb is stuck  → autoscaler drain bbbb")
        screen.type("c\r")
        screen.until("✓ ! bbbb is stuck")
        screen.type("q")
        assert screen.ended() == 0
        assert screen.written.partition(b"\x1b[?1049l")[2].strip() == b"you noted: autoscaler drain bbbb"


def test_a_strangers_words_reach_the_terminal_as_letters_only(daemon: FakeDaemon) -> None:
    told = "\x1b]0;title\x07\x1b[2J\x9b5n[bold]\x1bP1;1q\r\nnew"
    daemon.status = a_status(instances=[a_machine("evil", reason=told, region=told)], concerns=[a_concern(told)])
    with on_screen(*WATCH, daemon.url, columns=160) as screen:
        screen.until("evil")
        sent = re.findall(rb"\x1b(?:\[\??[0-9;]*[A-Za-z])?", screen.written)
        assert {each[-1:] for each in sent} <= set(map(bytes, zip(b"mHKJhl")))
        assert not re.search(rb"[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f]|\xc2[\x80-\x9f]", screen.written)
        assert "[bold]" in screen.text
        screen.type("q")
        screen.ended()


def test_a_picture_that_stays_the_same_sends_nothing(daemon: FakeDaemon) -> None:
    with on_screen(*WATCH, daemon.url) as screen:
        screen.until("aaaa*")
        asked = len(daemon.asked)
        screen.until(lambda _: "2, at most 2" in screen.text and len(daemon.asked) > asked + 10)
        written, asked = len(screen.written), len(daemon.asked)
        screen.until(lambda _: len(daemon.asked) > asked + 10)
        growth = len(screen.written) - written
        assert growth < 10 * 300, "the two sparklines grow; nothing else is drawn again"


def test_without_colours_nothing_is_coloured_and_all_is_said(daemon: FakeDaemon) -> None:
    with on_screen(*WATCH, daemon.url, NO_COLOR="1") as screen:
        assert "late" in screen.until("aaaa*")
        assert not re.search(rb"\x1b\[(?:[0-9]+;)*[349][0-7]m", screen.written)


def test_eight_colours_are_enough(daemon: FakeDaemon) -> None:
    with on_screen(*WATCH, daemon.url) as screen:
        screen.until("aaaa*")
        codes = {int(code) for each in re.findall(rb"\x1b\[([0-9;]+)m", screen.written) for code in each.split(b";")}
        assert codes <= {0, 1, 2, 7, *range(31, 37)}


def test_a_terminal_that_can_do_nothing_gets_plain_lines(daemon: FakeDaemon) -> None:
    with on_screen(*WATCH, daemon.url, TERM="dumb") as screen:
        screen.until("attic  leads")
        assert b"\x1b" not in screen.written
        screen.type("\x03")
        screen.ended()


def test_a_closed_pipe_ends_it_without_a_traceback(daemon: FakeDaemon) -> None:
    command = [sys.executable, "-c", "from autoscaler.cli import main; main()", *WATCH, daemon.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 1
        assert process.stderr.read() == b""
