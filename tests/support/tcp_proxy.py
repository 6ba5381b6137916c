"""A TCP proxy under a test's control: the network between two processes, which can be slow, silent or cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self

_CHUNK = 65536


class TcpProxy:
    """Passes everything between whoever connects to `port` and a server on loopback, from a thread of its own.

    A network that hangs loses nothing: what was sent meanwhile arrives once it forwards again, as TCP has it.
    """

    def __init__(self, server_port: int) -> None:
        self.port = 0
        """Where to connect to; known once it has started."""
        self.asked = b""
        """All that went to the server so far."""
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True, name="tcp-proxy")
        self._started = threading.Event()
        self._asks, self._answers = asyncio.Event(), asyncio.Event()
        self._delay_s = 0.0
        self._refuses = False
        self._connections: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on a port of its own, and forward."""
        self._thread.start()
        self._started.wait()
        self.forward()

    def stop(self) -> None:
        """Cut all connections and listen no more."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def forward(self) -> None:
        """Pass everything on at once; what was held back goes first."""
        self._set(asks=True, answers=True)

    def delay(self, seconds: float) -> None:
        """Pass each piece on that much later, either way."""
        self._set(asks=True, answers=True, delay_s=seconds)

    def hang(self) -> None:
        """Pass nothing on and refuse nobody: whoever waits for an answer waits."""
        self._set(asks=False, answers=False)

    def hold_answers(self) -> None:
        """Pass on what is asked, and not what is answered."""
        self._set(asks=True, answers=False)

    def cut(self) -> None:
        """Break all connections, what they held is lost; refuse new ones."""
        self._set(asks=False, answers=False, refuses=True)

    def _set(self, *, asks: bool, answers: bool, delay_s: float = 0.0, refuses: bool = False) -> None:
        done = threading.Event()

        def change() -> None:
            self._delay_s, self._refuses = delay_s, refuses
            for flow, flows in ((self._asks, asks), (self._answers, answers)):
                (flow.set if flows else flow.clear)()
            for connection in list(self._connections) if refuses else ():
                connection.transport.abort()
            done.set()

        self._loop.call_soon_threadsafe(change)
        done.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1"))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self._refuses:
            to_client.transport.abort()
            return
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            to_client.transport.abort()
            return
        ends = {to_client, to_server}
        self._connections |= ends
        with contextlib.suppress(OSError, asyncio.CancelledError):  # cancelled when the proxy stops
            await asyncio.gather(
                self._pass_on(client, to_server, self._asks),
                self._pass_on(server, to_client, self._answers),
            )
        self._connections -= ends
        for end in ends:
            end.transport.abort()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, flow: asyncio.Event) -> None:
        while piece := await source.read(_CHUNK):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)  # noqa: TID251 - other processes do not share our virtual time
            await flow.wait()
            if flow is self._asks:
                self.asked += piece
            sink.write(piece)
            await sink.drain()
        await flow.wait()
        sink.close()
