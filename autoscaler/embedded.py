"""A Redis that needs no installation, for ``redis: embedded``: fakeredis' commands behind a loopback port.

fakeredis brings a TCP server of its own. It takes 44 ms for a pipeline (Nagle against delayed ACKs), breaks off large
replies, puts ``ERR`` before Redis' error codes, and pops a job for a client that has died while it waited. So the port
is ours: an event loop in a daemon thread, which never keeps the process from ending.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from typing import Any

from fakeredis import FakeServer
from fakeredis._commands import command
from fakeredis._helpers import SimpleError, SimpleString
from fakeredis.aioredis import AsyncFakeSocket
from redis.asyncio import Redis

from autoscaler.core.errors import SettingsError

_HOST = "127.0.0.1"
_INFO = b"# Server\r\nredis_version:7.4.0\r\nredis_mode:standalone\r\nloading:0\r\n"


class EmbeddedRedis:
    """A Redis within this process: empty at its start, forgotten at its end."""

    def __init__(self, port: int | None = None) -> None:
        """Prepare to serve on that loopback port, or on any free one."""
        self._port = port
        self._server = FakeServer()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Serve, and give the address: ``redis://127.0.0.1:PORT``.

        Raises:
            SettingsError: the port is taken, or not ours to use.
        """
        try:
            listener = socket.create_server((_HOST, self._port or 0))
        except OSError as error:
            raise SettingsError(f"redis: {_explain(error, self._port)}") from error
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = runner.get_loop()
        self._thread = threading.Thread(target=self._run, args=(runner, listener), name="embedded-redis", daemon=True)
        self._thread.start()
        return f"redis://{_HOST}:{listener.getsockname()[1]}"

    def stop(self) -> None:
        """Hang up on every client and free the port."""
        if self._loop is not None and self._thread is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def _run(self, runner: asyncio.Runner, listener: socket.socket) -> None:
        with runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: _Connection(self._server), sock=listener)
        await self._stopping.wait()
        listening.close()
        for client in list(self._server.sockets):
            client.hang_up()


class _Connection(asyncio.Protocol):
    """One TCP client."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP server makes
        self._client = _Client(self._server, transport)

    def data_received(self, data: bytes) -> None:
        self._client.feed(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._client.leave()


class _Client(AsyncFakeSocket):
    """fakeredis' state of one client, with its replies going out as RESP."""

    def __init__(self, server: FakeServer, transport: asyncio.Transport) -> None:
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        addresses = {"addr": f"{peer[0]}:{peer[1]}", "laddr": f"{own[0]}:{own[1]}"}
        super().__init__(server, 0, client_class=Redis, client_info=addresses)
        self._transport = transport
        self._outbox: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Run each command that is complete."""
        try:
            self.sendall(data)
        except (SimpleError, ValueError) as error:
            self.put_response(SimpleError(f"ERR Protocol error: {error}"))
            self.hang_up()
        except ConnectionError:  # by CLIENT KILL
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection, after what was said."""
        self._flush()
        self._transport.close()

    def leave(self) -> None:
        """Forget a client that has gone; what it waited for goes to others."""
        with self._server.lock:
            self._unblock_reason = b"timeout"
            self._db.wake_all()
            self.kill()

    def put_response(self, msg: Any) -> None:
        """Send a reply, together with the others of this turn."""
        if not self._outbox:
            self._event_loop.call_soon(self._flush)
        self._outbox.append(_encode(msg, self._client_info.protocol_version))

    def _flush(self) -> None:
        if self._outbox and not self._transport.is_closing():
            self._transport.write(b"".join(self._outbox))
        self._outbox.clear()

    @command(name="INFO", fixed=(), repeat=(bytes,))
    def info(self, *_sections: bytes) -> bytes:
        """What queue libraries ask for before their first push; fakeredis does not have it."""
        return _INFO

    def _decode_result(self, result: Any) -> Any:
        """Keep status lines and errors as they are; fakeredis turns them into redis-py's values here."""
        return result


def _encode(reply: Any, protocol: int) -> bytes:
    """A reply in RESP2 or RESP3."""
    match reply:
        case None:
            return b"_\r\n" if protocol == 3 else b"$-1\r\n"
        case SimpleString():
            return b"+%b\r\n" % reply.value
        case SimpleError():
            return b"-%b\r\n" % " ".join(reply.value.split()).encode()
        case bool() if protocol == 3:
            return b"#t\r\n" if reply else b"#f\r\n"
        case int():
            return b":%d\r\n" % reply
        case float():
            return b",%b\r\n" % repr(reply).encode()
        case str():
            return _encode(reply.encode(), protocol)
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case dict():
            return b"%%%d\r\n" % len(reply) + b"".join(_encode(x, protocol) for pair in reply.items() for x in pair)
        case _:
            return b"*%d\r\n" % len(reply) + b"".join(_encode(item, protocol) for item in reply)


def _explain(error: OSError, port: int | None) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken; stop what listens on {_HOST}:{port}, or name another port"
    return f"cannot listen on port {port} of {_HOST}: {error}"
