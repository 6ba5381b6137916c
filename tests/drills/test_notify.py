"""Notifications of a real daemon: receivers that hang or fail delay no tick, and no restart tells anything twice.

The daemon sends to a receiver that works, one that never answers and one that always fails. Its queue is made
unreadable, which is a critical concern, and mended again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from autoscaler.store.keys import Keys
from tests.support.daemon_process import FLEET, DaemonProcess, Json, StartDaemon, a_config, autoscaler
from tests.support.real_time import until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SPEED = "5"  # the signature's time runs ahead as fast, and may be five minutes off
GOOD_TICKS = 'autoscaler_ticks_total{outcome="good"}'


class Inbox(ThreadingHTTPServer):
    """Takes messages in at `/good`, never answers at `/hangs`, and fails at `/fails`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Take)
        self.taken: list[Json] = []
        self.asked: list[str] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def news(self, name: str) -> list[str]:
        """What became of a concern, as far as it was told."""
        return [each["change"] for body in self.taken for each in body["data"]["news"] if each["name"] == name]


class _Take(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(self.path)
        if self.path == "/hangs":
            self.server.over.wait(60.0)
        elif self.path == "/good":
            self.server.taken.append(Webhook(SECRET).verify(body, dict(self.headers)))
        self.send_response(200 if self.path == "/good" else 500)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def an_inbox() -> Iterator[Inbox]:
    server = Inbox()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def with_channels(directory: Path, redis_url: str, url: str) -> Json:
    config = a_config(directory, redis_url)
    channels = {
        name: {"kind": "webhook", "url": f"{url}/{name}", "secret": SECRET} for name in ("good", "hangs", "fails")
    }
    return {**config, "tick": "1s", "notify": {"after": "20s", "channels": channels}}


def spoil(client: Any, daemon: DaemonProcess) -> None:
    client.set("jobs:pro", "no list")
    until(lambda: any(each["name"] == "queue_unknown" for each in concerns(daemon)), "the queue was unreadable")


def concerns(daemon: DaemonProcess) -> list[Json]:
    return list(daemon.ask("/api/v1/status")[1].get("concerns", ()))


def test_a_receiver_that_hangs_or_fails_delays_no_tick_and_a_restart_tells_nothing_twice(
    start_daemon: StartDaemon, client: Any, redis_url: str, tmp_path: Path
) -> None:
    with an_inbox() as inbox:
        daemon = start_daemon(with_channels(tmp_path, redis_url, inbox.url), "--speed", SPEED)
        daemon.wait_ready()
        spoil(client, daemon)
        until(lambda: inbox.news("queue_unknown") == ["begun"], "it was told")
        until(lambda: {"/hangs", "/fails"} <= {*inbox.asked}, "the others were tried")

        before = daemon.metrics()
        until(lambda: daemon.metrics()[GOOD_TICKS] >= before[GOOD_TICKS] + 20, "ticks went on")
        assert daemon.metrics().get('autoscaler_ticks_total{outcome="failed"}', 0.0) == 0.0
        until(lambda: client.hexists(Keys(FLEET).documents, "told"), "the store knew what was told")
        daemon.kill()
        daemon.start()
        daemon.wait_ready()
        until(lambda: any(each["name"] == "queue_unknown" for each in concerns(daemon)), "it saw it, too")
        ticks = daemon.metrics()[GOOD_TICKS]
        until(lambda: daemon.metrics()[GOOD_TICKS] >= ticks + 10, "it had time to tell")
        assert inbox.news("queue_unknown") == ["begun"]

        client.delete("jobs:pro")
        until(lambda: inbox.news("queue_unknown") == ["begun", "ended"], "the end was told")
        assert daemon.terminate() == 0


def test_the_test_command_says_what_each_channel_answered(tmp_path: Path, redis_url: str) -> None:
    with an_inbox() as inbox:
        config = with_channels(tmp_path, redis_url, inbox.url)
        del config["notify"]["channels"]["hangs"]
        file = tmp_path / "fleet.yaml"
        file.write_text(json.dumps(config))
        both = autoscaler("notify", "test", file, "--severity", "critical")
        one = autoscaler("notify", "test", file, "--channel", "good")
        none = autoscaler("notify", "test", file, "--channel", "god")

    assert both.returncode == 1
    assert both.stdout.splitlines() == ["good   sent: HTTP 200", "fails  failed: HTTP 500"]
    assert (one.returncode, one.stdout) == (0, "good  sent: HTTP 200\n")
    assert none.returncode == 2
    assert "good" in none.stderr
    assert [body["data"]["severity"] for body in inbox.taken] == ["critical", "warning"]
