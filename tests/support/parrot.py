"""A vendor that repeats what it was told: in front of an emulator, it refuses what it shall refuse in our own words."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Refuses = Callable[[str, str], int | None]
"""The status with which a method and a path are refused; None: the emulator answers."""


@contextmanager
def parrot(emulator: str, refuses: Refuses) -> Iterator[str]:
    """The URL of a server before an emulator, or before nothing where it refuses everything."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            told = self.rfile.read(int(self.headers.get("content-length") or 0))
            status = refuses(self.command, self.path)
            if status is None:
                status, body = self.forwarded(told)
            else:
                body = json.dumps({"error": self.repeated(told), "detail": self.repeated(told)}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):  # whoever asked may have ended
                self.wfile.write(body)

        def repeated(self, told: bytes) -> str:
            """The key first, then as much of the order as is shown."""
            return f"no, {self.headers['authorization']}, {' '.join(sorted(leaves(told), key=len))} {told.decode()}"

        def forwarded(self, told: bytes) -> tuple[int, bytes]:
            headers = {name: self.headers[name] for name in ("authorization", "content-type") if name in self.headers}
            url = emulator + self.path
            request = urllib.request.Request(url, told or None, headers, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=10) as response:
                    return response.status, response.read()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read()

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names are the library's

        def log_message(self, *_arguments: object) -> None:
            """It is quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def leaves(told: bytes) -> list[str]:
    """The texts in a body of JSON."""
    found: list[str] = []

    def look(value: object) -> None:
        if isinstance(value, str):
            found.append(value)
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            look(item)

    look(json.loads(told) if told else None)
    return found
