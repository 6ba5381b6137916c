"""`status --watch` on a real pseudo-terminal, against a real daemon that ends and comes back."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.daemon_process import StartDaemon, a_config, connect
from tests.support.redis_server import free_port
from tests.support.screen import on_screen

WATCH = ("status", "--watch", "--interval", "0.1", "--url")


def test_a_real_daemon_is_watched_with_keys_through_its_end_and_its_return(
    start_daemon: StartDaemon, redis_url: str, tmp_path: Path
) -> None:
    daemon = start_daemon(a_config(tmp_path, redis_url))
    daemon.wait_ready()
    with connect(redis_url) as jobs, on_screen(*WATCH, daemon.url, columns=120, rows=40) as screen:
        screen.until("attic  leads")
        jobs.rpush("jobs:pro", *range(7))
        screen.until("7 waiting")
        screen.type("w")
        screen.until("Why nothing else is done:")
        screen.type("\x1b")
        screen.until("sorted by pool")
        screen.type("\r")
        screen.until("Its life:")
        screen.type("\x1b[15~q")
        assert screen.ended() == 0
    with on_screen(*WATCH, daemon.url, columns=120, rows=40) as screen:
        screen.until("attic  leads")
        daemon.terminate()
        screen.until(
            lambda text: text.startswith(" OLD, of ") and "no daemon answers" in text and "images  HOT" in text
        )
        daemon.start()
        screen.until("attic  leads")


def test_the_demo_is_watched_with_the_same_keys_and_q_ends_it() -> None:
    demo = (sys.executable, "-m", "tests.support.demo_process", str(free_port()), str(free_port()))
    with on_screen(command=demo, columns=100, rows=30) as screen:
        screen.until("images  HOT")
        screen.type("j")
        screen.until("1 HOT wanted")
        screen.type(" ")
        screen.until("FROZEN")
        screen.type("q")
        assert (screen.ended(), screen.is_as_before) == (0, True)
